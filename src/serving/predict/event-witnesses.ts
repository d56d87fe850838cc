import { MOST_AHEAD_MS } from '../../platform/index.ts';

/**
 * The times of one request that a clock of events hears of: the newest that is no gap away from those before it, and the
 * newest of all. A batch in another unit of time is one mistake, and must not pass for many events after a gap.
 */
export function eventWitnesses(timesMs: readonly number[]): number[] {
  const sorted = timesMs.toSorted((a, b) => a - b);
  const newest = sorted.at(-1);
  if (newest === undefined) return [];
  const before = sorted.findIndex((time, i) => (sorted[i + 1] ?? time) - time > MOST_AHEAD_MS);
  return before < 0 ? [newest] : [sorted[before] as number, newest];
}
