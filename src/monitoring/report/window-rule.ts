import type { TableFile } from './open-table.ts';

/** Rows without a time are dealt into so many windows, but no window gets fewer than 50. */
const WINDOWS = 40;
const LEAST_WINDOW_ROWS = 50;
const DAY_MS = 86_400_000;

/** How a file is cut into windows: by the days of a column, at random, or not at all. */
export type WindowRule = { kind: 'days'; sql: string } | { kind: 'random' } | { kind: 'whole' };

/** The label of rows that are in no window, because their day is not known. */
export const NO_WINDOW = -(2 ** 31) + 1;

/** The number of each row's window, as a 32-bit integer. */
export function windowSql(table: TableFile, rule: WindowRule): string {
  if (rule.kind === 'whole') return '0::INTEGER';
  if (rule.kind === 'random')
    return table.chunkSql(Math.max(1, Math.min(WINDOWS, Math.floor(table.rows / LEAST_WINDOW_ROWS))));
  return `coalesce(CAST(floor(${rule.sql} / ${DAY_MS}) AS INTEGER), ${NO_WINDOW}::INTEGER)`;
}
