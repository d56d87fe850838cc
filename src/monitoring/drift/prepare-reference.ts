import {
  type ColumnCounts,
  decodeProfile,
  type Profile,
  type ProfileColumn,
  type ProfileSpec,
  type Reference,
} from '../../profiles/index.ts';
import { dayVariance, LEAST_DAY_VARIANCE } from '../../statistics/index.ts';
import { type BinGroups, groupByDeciles, groupCategories, groupCounts } from './group-bins.ts';

/** A rate of fewer hits than these says nothing of how it varies. */
const FEW_HITS = 5;

/** With fewer windows of its own a column's spread from day to day is a guess. */
export const WATCHED_WINDOWS = 10;

/** The counts of a profile's columns, wherever they were counted. */
export type CountedColumns = Pick<Profile, 'columns'>;

/** A share of rows in the reference: how many of how many, and how much its own windows differ in it. */
export interface ReferenceRate {
  hits: number;
  rest: number;
  s2: number;
}

/** What a column's tests need of the reference. */
export interface PreparedColumn {
  column: ProfileColumn;
  /** Rows, missing ones too. */
  rows: number;
  /** Windows of the reference that have the column. */
  windows: number;
  /** Whether they are enough to know how much it varies by itself: else its tests are shown, and raise no alarm. */
  isWatched: boolean;
  /** All windows together, bin by bin as the profile has them. */
  bins: Float64Array;
  mean: number;
  sd: number;
  values?: { groups: BinGroups; counts: Float64Array; s2: number };
  missing?: ReferenceRate;
  unseen?: ReferenceRate;
}

/** A reference, decoded and summed once, to test any number of windows against. */
export interface PreparedReference {
  columns: PreparedColumn[];
  rows: number;
  windows: number;
  /** How many tests of a window can raise an alarm: what its threshold is multiplied by. */
  tests: number;
}

/** @throws ApiError INVALID_PARAMETER_VALUE when a window does not fit the reference's own spec. */
export function prepareReference({ spec, windows }: Reference): PreparedReference {
  return prepareWindows(
    spec,
    windows.map(({ profile }) => decodeProfile(spec, profile)),
  );
}

/** The same of windows that are counted already. */
export function prepareWindows(spec: ProfileSpec, windows: readonly CountedColumns[]): PreparedReference {
  const columns = spec.columns.map((column, index) => {
    const counted = windows.map((window) => window.columns[index]!).filter((counts) => rowsOf(counts) > 0);
    return prepareColumn(column, counted);
  });
  const watched = columns.filter(({ isWatched }) => isWatched);
  const perColumn = watched.map(({ values, missing, unseen }) => [values, missing, unseen]);
  return {
    columns,
    rows: Math.max(0, ...columns.map(({ rows }) => rows)),
    windows: windows.filter(({ columns: counts }) => counts.some((each) => rowsOf(each) > 0)).length,
    tests: perColumn.flat().filter((test) => test !== undefined).length,
  };
}

export const rowsOf = (counts: ColumnCounts | undefined): number =>
  counts === undefined ? 0 : counts.count + counts.missing + counts.nonFinite;

function prepareColumn(column: ProfileColumn, windows: ColumnCounts[]): PreparedColumn {
  const bins = new Float64Array(windows[0]?.bins.length ?? 0);
  for (const window of windows) for (let i = 0; i < bins.length; i++) bins[i]! += window.bins[i]!;
  const rows = windows.reduce((sum, window) => sum + rowsOf(window), 0);
  const prepared: PreparedColumn = {
    column,
    rows,
    windows: windows.length,
    isWatched: windows.length >= WATCHED_WINDOWS,
    bins,
    ...momentsOf(windows),
  };
  if (rows === 0) return prepared;
  const groups = column.kind === 'numeric' ? groupByDeciles(bins) : groupCategories(bins);
  if (groups.size > 1) {
    const counts = groupCounts(bins, groups);
    const byWindow = windows.map((window) => groupCounts(window.bins, groups));
    prepared.values = { groups, counts, s2: dayVariance(byWindow, counts) };
  }
  // The model's own answers are tested as values only.
  if (column.name.startsWith('@')) return prepared;
  prepared.missing = rateOf(
    windows.map((window) => [window.missing + window.nonFinite, window.count]),
    0,
  );
  const unseen = unseenInReference(column, windows, bins);
  if (unseen !== undefined) prepared.unseen = rateOf(unseen, column.kind === 'numeric' ? 2 : 1);
  return prepared;
}

/** How many rows of each window would have been unseen, had it come last; undefined where the test would say nothing. */
function unseenInReference(
  column: ProfileColumn,
  windows: ColumnCounts[],
  bins: Float64Array,
): [number, number][] | undefined {
  if (column.kind === 'categorical' && column.hasOther) return undefined;
  const counts = column.kind === 'numeric' ? countBeyondOthers(windows, bins) : countOnlyHere(windows, bins);
  // A day of the reference that is mostly unlike all its others shows a column that never repeats, such as a date.
  return counts.some(([hits, rest]) => hits > rest) ? undefined : counts;
}

/**
 * The rate in the reference. `unknown` rows are added to its hits, since one more row of the same kind could be the
 * first of its value, or the new extreme.
 */
function rateOf(byWindow: [hits: number, rest: number][], unknown: number): ReferenceRate {
  const counts = byWindow.map((pair) => Float64Array.from(pair));
  const total = new Float64Array(2);
  for (const window of counts) for (let i = 0; i < 2; i++) total[i]! += window[i]!;
  const isRare = Math.min(total[0]!, total[1]!) < FEW_HITS;
  const s2 = isRare ? LEAST_DAY_VARIANCE : dayVariance(counts, total);
  return { hits: total[0]! + unknown, rest: total[1]!, s2 };
}

/** Rows of each window whose category no other window has: what would have been unseen, had it come later. */
function countOnlyHere(windows: ColumnCounts[], total: Float64Array): [number, number][] {
  return windows.map((window) => {
    let alone = 0;
    if (windows.length > 1) {
      for (let i = 0; i < total.length; i++) if (window.bins[i] === total[i]) alone += total[i]!;
    }
    return [alone, window.count - alone];
  });
}

/** Rows of each window in bins below or above all that the other windows have. */
function countBeyondOthers(windows: ColumnCounts[], total: Float64Array): [number, number][] {
  return windows.map((window) => {
    if (windows.length < 2) return [0, window.count];
    let beyond = 0;
    for (let i = 0; i < total.length && window.bins[i] === total[i]; i++) beyond += total[i]!;
    for (let i = total.length - 1; i >= 0 && window.bins[i] === total[i]; i--) beyond += total[i]!;
    return [Math.min(beyond, window.count), Math.max(0, window.count - beyond)];
  });
}

function momentsOf(windows: ColumnCounts[]): { mean: number; sd: number } {
  let count = 0;
  let sum = 0;
  for (const window of windows) {
    if (window.count === 0) continue;
    count += window.count;
    sum += window.mean * window.count;
  }
  const mean = sum / count;
  let squares = 0;
  for (const window of windows) {
    if (window.count > 0) squares += window.m2 + window.count * (window.mean - mean) ** 2;
  }
  return { mean, sd: Math.sqrt(squares / count) };
}
