import { z } from 'zod';
import { snapshotSchema } from './names.ts';

/** `zfs.<host>.event.snapshot.created`; as plain text the snapshot's name alone. A hint: the snapshot is looked up. */
export const snapshotCreatedSchema = z.strictObject({ snapshot: snapshotSchema });
