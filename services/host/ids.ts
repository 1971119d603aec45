import { customAlphabet } from 'nanoid';

/** A new id for a job or an instance: ten letters and digits, one subject token. */
export const newId = customAlphabet('0123456789abcdefghijklmnopqrstuvwxyz', 10);
