import type { Span } from '../alarms/alarm.ts';

/** After the end of a window so long is waited for those who report late. */
export const GRACE_MS = 3_600_000;
/** A window that has too few rows ends after so many times its length. */
export const MOST_SPANS = 31;
/** Below so many rows a window is too small to be tested. */
export const LEAST_ROWS = 200;

export interface FoundWindow extends Span {
  rows: number;
  /** The clock's time from which it is closed. */
  closesAt: number;
}

/**
 * The next window of a model: a span of `everyMs` or `rows` rows, whichever is later, 31 spans at most. Spans
 * begin at multiples of `everyMs`, in UTC; time without a row belongs to no window.
 *
 * @param byHour rows by the start of their hour
 * @returns the window as far as it is known: one without enough rows closes when it can grow no longer
 */
export function findNextWindow(
  byHour: ReadonlyMap<number, number>,
  { after, everyMs, rows: wanted }: { after: number | undefined; everyMs: number; rows: number },
): FoundWindow | undefined {
  const hours = [...byHour]
    .filter(([hour, rows]) => rows > 0 && (after === undefined || hour >= after))
    .sort(([a], [b]) => a - b);
  const first = hours[0]?.[0];
  if (first === undefined) return undefined;
  const start = Math.floor(first / everyMs) * everyMs;
  const from = after === undefined ? start : Math.max(start, after);
  let rows = 0;
  let next = 0;
  let to = start;
  for (let span = 0; span < MOST_SPANS && rows < wanted; span++) {
    to += everyMs;
    for (; next < hours.length && hours[next]![0] < to; next++) rows += hours[next]![1];
  }
  return { from, to, rows, closesAt: to + GRACE_MS };
}
