import type { ColumnCounts } from '../../profiles/index.ts';
import { groupCounts, sumOf } from './group-bins.ts';
import type { CountedColumns, PreparedColumn, PreparedReference } from './prepare-reference.ts';
import type { ColumnTest } from './test-window.ts';

/** A group of values and its share before and now. */
export interface MovedBin {
  label: string;
  reference: number;
  window: number;
}

/** How much a difference matters: columns are ranked by it. */
export interface Weight {
  /** How far the column is from the reference (PSI), and that times how much the model relies on it. */
  effect: number;
  importance?: number;
  weight: number;
}

export interface Explanation extends Weight {
  /** The groups that moved most, largest change first. */
  moved: MovedBin[];
  words: string;
}

const MOST_BINS = 5;
/** Changes of a share below this are not told. */
const LEAST_CHANGE = 0.005;

/** Effect times importance, where it is known how much the model relies on the column. */
export function weighTest(
  { column, psi }: ColumnTest,
  importance: Readonly<Record<string, number>> | undefined,
): Weight {
  const share = importance?.[column];
  return { effect: psi, ...(share === undefined ? {} : { importance: share }), weight: psi * (share ?? 1) };
}

/** Says of a test which bins moved and by how much. */
export function explainTest(
  reference: PreparedReference,
  window: CountedColumns,
  test: ColumnTest,
  importance?: Readonly<Record<string, number>>,
): Explanation {
  const index = reference.columns.findIndex(({ column }) => column.name === test.column);
  const prepared = reference.columns[index];
  const counts = window.columns[index];
  const base = weighTest(test, importance);
  if (test.aspect !== 'values' || !prepared?.values || !counts) {
    const { rate = 0, referenceRate = 0 } = test;
    const label = test.aspect === 'missing' ? 'missing' : 'not in the reference';
    const moved = [{ label, reference: referenceRate, window: rate }];
    return { ...base, moved, words: sayMoved(moved) };
  }
  const moved = listGroups(prepared, counts)
    .filter((bin) => Math.abs(bin.window - bin.reference) >= LEAST_CHANGE)
    .sort((a, b) => Math.abs(b.window - b.reference) - Math.abs(a.window - a.reference))
    .slice(0, MOST_BINS);
  return { ...base, moved, words: sayMoved(moved) };
}

/** The groups that were tested, with their shares in the reference and in the window. */
export function listGroups(prepared: PreparedColumn, counts: ColumnCounts): MovedBin[] {
  const { values } = prepared;
  if (values === undefined) return [];
  const now = groupCounts(counts.bins, values.groups);
  const [before, after] = [sumOf(values.counts), sumOf(now)];
  return labelGroups(prepared).map((label, group) => ({
    label,
    reference: values.counts[group]! / before,
    window: after === 0 ? 0 : now[group]! / after,
  }));
}

function labelGroups({ column, values, bins }: PreparedColumn): string[] {
  const { groupOf, size } = values!.groups;
  const members: number[][] = Array.from({ length: size }, () => []);
  for (let bin = 0; bin < bins.length; bin++) members[groupOf[bin]!]!.push(bin);
  if (column.kind === 'categorical') {
    const { categories } = column;
    return members.map((inside) => {
      if (inside.length === 1 && inside[0]! < categories.length) return categories[inside[0]!]!;
      return 'other';
    });
  }
  const edges = [column.min, ...column.edges, column.max];
  // Bin i of [under, bin 0 …, over] begins at edges[i - 1].
  return members.map((inside, group) => {
    const begin = edges[Math.max(0, inside[0]! - 1)]!;
    const end = edges[Math.min(edges.length - 1, inside.at(-1)!)]!;
    if (group === 0) return `below ${shortNumber(end)}`;
    if (group === size - 1) return `from ${shortNumber(begin)}`;
    return `${shortNumber(begin)} to ${shortNumber(end)}`;
  });
}

function sayMoved(moved: MovedBin[]): string {
  return moved
    .slice(0, 3)
    .map(({ label, reference, window }) => `${label}: ${percent(reference)} -> ${percent(window)}`)
    .join('; ');
}

function percent(share: number): string {
  const value = share * 100;
  return `${value >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1)} %`;
}

export function shortNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  return String(Number(value.toPrecision(4)));
}
