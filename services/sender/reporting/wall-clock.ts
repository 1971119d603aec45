/** A moment of this process's monotonic clock as others read it: UTC, to the second. @param at monotonic milliseconds */
export const wallClock = (at: number): string => {
  const seconds = Math.round((Date.now() + at - performance.now()) / 1000);
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
};
