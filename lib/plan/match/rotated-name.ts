/** Separates the original name and a number in the name that `--conflict rotate` gives. */
export const rotatedMark = '_diverged_';

const rotatedName = new RegExp(`^(.+)${rotatedMark}[0-9]+(?:_[0-9]+)?$`);

/** The original name of a rotated dataset; undefined for any other name. */
export const originalNameOf = (name: string): string | undefined => rotatedName.exec(name)?.[1];
