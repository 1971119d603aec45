import { randomInt } from 'node:crypto';

const alphabet = '0123456789abcdefghijklmnopqrstuvwxyz';

/** A new id for a job or an instance: ten letters and digits, one subject token. */
export const newId = (): string => Array.from({ length: 10 }, () => alphabet[randomInt(alphabet.length)]).join('');
