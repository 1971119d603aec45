import { z } from 'zod';

/**
 * The version of the messages between hosts, in `info` and in each `recv.start`. It is incremented when an older release would
 * misunderstand a newer one. A message of another version is refused before its other fields are read.
 */
export const protocol = 1;

export const protocolSchema = z.literal(protocol);
