import type { ColumnCounts } from '../../profiles/index.ts';
import { groupCounts } from './group-bins.ts';
import {
  type CountedColumns,
  type PreparedColumn,
  type PreparedReference,
  rowsOf,
} from './prepare-reference.ts';

/**
 * The reference's rows of one segment, to test the segment's rows of a window against. Bins and day effects are those of
 * the whole reference: a part of it has too few rows to know its own.
 */
export function prepareSegment(whole: PreparedReference, segment: CountedColumns): PreparedReference {
  const columns = whole.columns.map((prepared, index) => narrow(prepared, segment.columns[index]));
  return { ...whole, columns, rows: Math.max(0, ...columns.map(({ rows }) => rows)) };
}

function narrow(prepared: PreparedColumn, counts: ColumnCounts | undefined): PreparedColumn {
  const { values, missing, unseen, ...rest } = prepared;
  // A column that the segment was not counted by, such as the score of other rows, has nothing to be tested against.
  if (counts === undefined || rowsOf(counts) === 0) return { ...rest, rows: 0 };
  return {
    ...rest,
    rows: rowsOf(counts),
    bins: counts.bins,
    mean: counts.mean,
    sd: Math.sqrt(counts.m2 / counts.count),
    ...(values && { values: { ...values, counts: groupCounts(counts.bins, values.groups) } }),
    ...(missing && {
      missing: { hits: counts.missing + counts.nonFinite, rest: counts.count, s2: missing.s2 },
    }),
    // What no row of the reference has is unseen in each of its segments, as often as it is in all of them.
    ...(unseen && { unseen }),
  };
}
