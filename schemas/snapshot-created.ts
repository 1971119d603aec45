import { z } from 'zod';
import { snapshotSchema } from './names.ts';

/** `zfs.<host>.event.snapshot.created`; as plain text, only the snapshot's name. It is a trigger: the sender lists the snapshots itself. */
export const snapshotCreatedSchema = z.strictObject({ snapshot: snapshotSchema });
