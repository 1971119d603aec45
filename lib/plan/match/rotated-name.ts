/** Stands between a dataset's former name and a number, in the name that `--conflict rotate` gives it. */
export const mark = '_diverged_';

const rotatedName = new RegExp(`^(.+)${mark}[0-9]+(?:_[0-9]+)?$`);

/** The dataset that was renamed aside to this name, by its former name; undefined for any other name. */
export const originalNameOf = (name: string): string | undefined => rotatedName.exec(name)?.[1];
