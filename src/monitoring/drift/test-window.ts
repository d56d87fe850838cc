import type { ColumnCounts, ProfileSpec } from '../../profiles/index.ts';
import { ksOfCounts, regularisedBeta, testHomogeneity } from '../../statistics/index.ts';
import type { TestAspect } from '../alarms/alarm.ts';
import { groupCounts, sumOf } from './group-bins.ts';
import type {
  CountedColumns,
  PreparedColumn,
  PreparedReference,
  ReferenceRate,
} from './prepare-reference.ts';

/** Fewer values than these say nothing about ten bins. */
const LEAST_VALUES = 50;
/** Below so many expected rows the chi-square approximation of a rate is too sure of itself. */
const SPARSE = 5;
const SMALLEST_P = 1e-12;

/** One test of one column: does the window differ from the reference more than the reference's own windows do? */
export interface ColumnTest {
  column: string;
  /** Its values (10 bins at the reference's deciles, or categories), or a rate: of missing values, or of unseen ones
   * (categories that the reference does not have, numbers outside its range). */
  aspect: TestAspect;
  /** Rows of the window and of the reference that were compared. */
  rows: number;
  referenceRows: number;
  p: number;
  statistic: number;
  df: number;
  psi: number;
  /** Kolmogorov-Smirnov distance of numeric values; shown, not part of `p`. */
  ks?: number;
  /** False when the reference has too few windows of the column to raise alarms by it. */
  isWatched: boolean;
  /** The shares, where a rate is tested. */
  rate?: number;
  referenceRate?: number;
}

/**
 * Tests every column of a window against the reference: homogeneity with day effects of the values; the rates of
 * missing and of unseen values, the score and the predicted class are tests of their own.
 *
 * @param spec the spec that `window` was counted by, the reference's
 */
export function testWindow(
  spec: ProfileSpec,
  reference: PreparedReference,
  window: CountedColumns,
): ColumnTest[] {
  const tests: ColumnTest[] = [];
  for (const [index, prepared] of reference.columns.entries()) {
    const counts = window.columns[index];
    if (counts === undefined || spec.columns[index]?.name !== prepared.column.name) continue;
    const values = testValues(prepared, counts);
    if (values) tests.push(values);
    const seen = prepared.column.kind === 'numeric' ? sumOf(counts.bins) : counts.count;
    const beyond =
      prepared.column.kind === 'numeric' ? counts.bins[0]! + (counts.bins.at(-1) ?? 0) : counts.unseen;
    const missing = counts.missing + counts.nonFinite;
    tests.push(
      ...testRate(prepared, 'missing', prepared.missing, missing, counts.count),
      ...testRate(prepared, 'unseen', prepared.unseen, beyond, seen - beyond),
    );
  }
  return tests;
}

function testValues(
  { column, values, bins, isWatched }: PreparedColumn,
  counts: ColumnCounts,
): ColumnTest | undefined {
  if (values === undefined) return undefined;
  const observed = groupCounts(counts.bins, values.groups);
  const rows = sumOf(observed);
  if (rows < LEAST_VALUES) return undefined;
  const result = testHomogeneity(observed, values.counts, values.s2);
  return {
    column: column.name,
    aspect: 'values',
    isWatched,
    rows,
    referenceRows: sumOf(values.counts),
    ...result,
    ...(column.kind === 'numeric' ? { ks: ksOfCounts(counts.bins, bins) } : {}),
  };
}

function testRate(
  { column, isWatched }: PreparedColumn,
  aspect: 'missing' | 'unseen',
  reference: ReferenceRate | undefined,
  hits: number,
  rest: number,
): ColumnTest[] {
  const rows = hits + rest;
  if (reference === undefined || rows === 0) return [];
  const referenceRows = reference.hits + reference.rest;
  const rate = hits / rows;
  const referenceRate = reference.hits / referenceRows;
  const base = { column: column.name, aspect, isWatched, rows, referenceRows, rate, referenceRate };
  const same = { p: 1, statistic: 0, df: 1, psi: 0 };
  if (hits + reference.hits === 0 || rest + reference.rest === 0) return [{ ...base, ...same }];
  // Fewer unseen values than usual are no news.
  if (aspect === 'unseen' && rate <= referenceRate) return [{ ...base, ...same }];
  const result = testHomogeneity(
    Float64Array.of(hits, rest),
    Float64Array.of(reference.hits, reference.rest),
    reference.s2,
  );
  const share = rows / (rows + referenceRows);
  const isSparse = (hits + reference.hits) * share < SPARSE || (rest + reference.rest) * share < SPARSE;
  const exact = isSparse ? exactP(hits, rest, reference, share, aspect) : 0;
  return [{ ...base, ...result, p: Math.max(result.p, exact, SMALLEST_P) }];
}

/** The rarer of the two kinds, dealt to window and reference by chance: binomial, which is wider than the exact urn. */
function exactP(
  hits: number,
  rest: number,
  reference: ReferenceRate,
  share: number,
  aspect: TestAspect,
): number {
  const hitsAreRare = hits + reference.hits <= rest + reference.rest;
  const here = hitsAreRare ? hits : rest;
  const all = here + (hitsAreRare ? reference.hits : reference.rest);
  const atLeast = here === 0 ? 1 : regularisedBeta(here, all - here + 1, share);
  const atMost = here === all ? 1 : 1 - regularisedBeta(here + 1, all - here, share);
  if (aspect === 'unseen') return hitsAreRare ? atLeast : atMost;
  return Math.min(1, 2 * Math.min(atLeast, atMost));
}
