import type { ColumnCounts, ProfileColumn, ProfileSpec } from '../../profiles/index.ts';
import { explainTest } from '../drift/explain-tests.ts';
import { sumOf } from '../drift/group-bins.ts';
import type { PreparedReference } from '../drift/prepare-reference.ts';
import type { ColumnTest } from '../drift/test-window.ts';
import type { ColumnFacts } from './describe-table.ts';
import type { TableFileColumn } from './open-table.ts';
import type { ColumnReport, ColumnSummary } from './report.ts';

const MOST_BARS = 12;

export interface Findings {
  spec: ProfileSpec;
  prepared: PreparedReference;
  window: { columns: readonly ColumnCounts[] };
  tests: ColumnTest[];
  flags: boolean[];
  facts: { reference: ReadonlyMap<string, ColumnFacts>; current: ReadonlyMap<string, ColumnFacts> };
}

/** What is said of a column that was compared. */
export function reportColumn(column: TableFileColumn, findings: Findings): ColumnReport {
  const { spec, prepared, window, tests, flags, facts } = findings;
  const own = tests.flatMap((test, index) =>
    test.column === column.name ? [{ test, drifted: flags[index] ?? false }] : [],
  );
  const drifted = own.filter((each) => each.drifted).map(({ test }) => test);
  const strongest = drifted.toSorted((a, b) => b.psi - a.psi)[0];
  const index = spec.columns.findIndex(({ name }) => name === column.name);
  const counts = window.columns[index];
  const histogram = counts && histogramOf(spec.columns[index]!, prepared.columns[index]!.bins, counts);
  const before = summaryOf(facts.reference.get(column.name));
  const now = summaryOf(facts.current.get(column.name));
  return {
    name: column.name,
    kind: column.kind,
    status: own.length === 0 ? 'not tested' : drifted.length > 0 ? 'drifted' : 'same',
    ...(own.length === 0
      ? {
          note:
            now?.rows === 0 ? 'the current file has no rows' : 'it has too few values, or each of its own',
        }
      : {}),
    effect: Math.max(0, ...own.map(({ test }) => test.psi)),
    tests: own.map(({ test: { aspect, p, psi, ks, rate, referenceRate }, drifted: isDrifted }) => ({
      aspect,
      p,
      psi,
      ...(ks === undefined ? {} : { ks }),
      ...(rate === undefined ? {} : { rate }),
      ...(referenceRate === undefined ? {} : { reference_rate: referenceRate }),
      drifted: isDrifted,
    })),
    ...(strongest ? { words: explainTest(prepared, window, strongest).words } : {}),
    ...(before ? { reference: before } : {}),
    ...(now ? { current: now } : {}),
    ...(histogram ? { histogram } : {}),
  };
}

/** What is said of a column that was not. */
export function reportLeft(column: TableFileColumn, note: string, facts: Findings['facts']): ColumnReport {
  const before = summaryOf(facts.reference.get(column.name));
  const now = summaryOf(facts.current.get(column.name));
  return {
    name: column.name,
    kind: column.kind,
    status: 'not tested',
    note,
    tests: [],
    ...(before ? { reference: before } : {}),
    ...(now ? { current: now } : {}),
  };
}

function summaryOf(facts: ColumnFacts | undefined): ColumnSummary | undefined {
  if (facts === undefined) return undefined;
  const { nonFinite, missing, isConstant: _, isEstimate = false, ...rest } = facts;
  return { ...rest, missing: missing + nonFinite, ...(isEstimate ? { distinct_is_estimate: true } : {}) };
}

function histogramOf(
  column: ProfileColumn,
  reference: Float64Array,
  { bins, unseen }: ColumnCounts,
): ColumnReport['histogram'] {
  const before = sumOf(reference);
  const now = sumOf(bins) + unseen;
  const share = (count: number, total: number) => (total === 0 ? 0 : count / total);
  if (column.kind === 'numeric') {
    if (column.edges.length === 0) return undefined;
    // What is out of range is told by its own test, and would have bars without a width.
    const inside = (counts: Float64Array) => [...counts.subarray(1, counts.length - 1)];
    return {
      kind: 'number',
      edges: [column.min, ...column.edges, column.max],
      reference: inside(reference).map((count) => share(count, before)),
      current: inside(bins).map((count) => share(count, now)),
    };
  }
  const order = column.categories
    .map((label, index) => ({ label, before: reference[index]!, now: bins[index]! }))
    .sort((a, b) => b.before + b.now - a.before - a.now);
  const shown = order.slice(0, MOST_BARS);
  const rest = order.slice(MOST_BARS);
  const restBefore = rest.reduce((sum, each) => sum + each.before, reference.at(-1) ?? 0);
  const restNow = rest.reduce((sum, each) => sum + each.now, bins.at(-1) ?? 0);
  const bars = shown.map((each) => ({ ...each }));
  if (restBefore + restNow > 0) bars.push({ label: 'other', before: restBefore, now: restNow });
  if (unseen > 0) bars.push({ label: 'not in the reference', before: 0, now: unseen });
  return {
    kind: 'category',
    labels: bars.map(({ label }) => label),
    reference: bars.map((bar) => share(bar.before, before)),
    current: bars.map((bar) => share(bar.now, now)),
  };
}
