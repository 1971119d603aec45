import { z } from 'zod';

/**
 * The version of the messages of hosts on the bus: in `info`, and in each `recv.start`. It rises when an older release
 * would misunderstand a newer one. A message of another version is refused before anything else of it is read.
 */
export const protocol = 1;

export const protocolSchema = z.literal(protocol);
