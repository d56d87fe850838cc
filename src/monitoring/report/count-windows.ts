import type { DuckdbSession } from '../../datasets/index.ts';
import type { CategoricalColumn, ColumnCounts, NumericColumn, ProfileSpec } from '../../profiles/index.ts';
import { sumOf } from '../drift/group-bins.ts';
import type { CountedColumns } from '../drift/prepare-reference.ts';
import {
  COLUMNS_AT_ONCE,
  type ColumnFacts,
  dictionaryRelation,
  inGroups,
  MANY_DISTINCT,
} from './describe-table.ts';
import type { TableFile, TableFileColumn } from './open-table.ts';

/** Rows without a time are dealt into so many windows, but no window gets fewer than 50. */
const WINDOWS = 40;
const LEAST_WINDOW_ROWS = 50;
const DAY_MS = 86_400_000;

/** How a file is cut into windows: by the days of a column, at random, or not at all. */
export type WindowRule = { kind: 'days'; sql: string } | { kind: 'random' } | { kind: 'whole' };

/** The number of each row's window. */
export function windowSql(table: TableFile, rule: WindowRule): string {
  if (rule.kind === 'whole') return '0';
  if (rule.kind === 'random')
    return table.chunkSql(Math.max(1, Math.min(WINDOWS, Math.floor(table.rows / LEAST_WINDOW_ROWS))));
  return `CAST(floor(${rule.sql} / ${DAY_MS}) AS INTEGER)`;
}

/**
 * Counts a file by the bins of `spec`, window by window. Columns that the file lacks stay empty. `distinct` has the
 * exact number of values of texts that have few.
 */
export async function countWindows(
  session: DuckdbSession,
  table: TableFile,
  columns: readonly TableFileColumn[],
  { spec, facts, rule }: { spec: ProfileSpec; facts: ReadonlyMap<string, ColumnFacts>; rule: WindowRule },
): Promise<{ windows: CountedColumns[]; distinct: Map<string, number> }> {
  const window = windowSql(table, rule);
  const where = rule.kind === 'days' ? ` WHERE ${rule.sql} IS NOT NULL` : '';
  const byName = new Map(columns.map((column) => [column.name, column]));
  const distinct = new Map<string, number>();
  const windows = new Map<number, (ColumnCounts | undefined)[]>();
  const countsOf = (label: number) => {
    const known = windows.get(label);
    if (known !== undefined) return known;
    const counts = spec.columns.map((): ColumnCounts | undefined => undefined);
    windows.set(label, counts);
    return counts;
  };

  const numeric = spec.columns.flatMap((column, index) => {
    const source = byName.get(column.name);
    return column.kind === 'numeric' && source ? [{ column, index, source }] : [];
  });
  for (const group of inGroups(numeric, COLUMNS_AT_ONCE)) {
    const inner = group.flatMap(({ source: { sql, isFloat }, index }) => [
      `${sql} AS x${index}`,
      ...(isFloat ? [`CASE WHEN isfinite(${sql}) THEN ${sql} END AS f${index}`] : []),
    ]);
    const outer = group.flatMap(({ column, source: { isFloat }, index }) => {
      // As text: a plain 0.09999999999999999 is a DECIMAL, and rounds to 0.1 on its way to a double.
      const bounds = boundsOf(column).map((bound) => `'${bound}'::DOUBLE`);
      return [
        // The counts in the order of the bounds, then what is over the last.
        `map_values(histogram(${isFloat ? 'f' : 'x'}${index}, [${bounds.join(', ')}])) AS h${index}`,
        `count(x${index}) AS c${index}`,
        ...(isFloat ? [`count(*) FILTER (isnan(x${index})) AS n${index}`] : []),
      ];
    });
    const rows = await session.rows(
      `SELECT w, count(*) AS n, ${outer.join(', ')} FROM (SELECT ${window} AS w, ${inner.join(', ')} FROM ${table.relation}${where}) GROUP BY 1`,
    );
    for (const row of rows) {
      const counts = countsOf(Number(row['w']));
      for (const { column, index } of group) {
        const bins = binsOf(row[`h${index}`] as readonly unknown[] | null, column.edges.length + 3);
        const present = Number(row[`c${index}`]) - Number(row[`n${index}`] ?? 0);
        const finite = sumOf(bins);
        counts[index] = {
          ...emptyNumeric(column),
          bins,
          missing: Number(row['n']) - present,
          nonFinite: present - finite,
          count: finite,
        };
      }
    }
  }

  for (const [index, column] of spec.columns.entries()) {
    const source = byName.get(column.name);
    if (column.kind !== 'categorical' || !source) continue;
    const { sql } = source;
    const isWide = column.hasOther || (facts.get(column.name)?.distinct ?? 0) > MANY_DISTINCT;
    const value = isWide ? 'known' : sql;
    const join = isWide ? ` LEFT JOIN ${dictionaryRelation(column.categories)} ON ${sql} = known` : '';
    const rows = await session.rows(
      `SELECT ${window} AS w, ${value} AS value, count(*) AS n, count(${sql}) AS present FROM ${table.relation}${join}${where} GROUP BY 1, 2`,
    );
    const indexes = new Map(column.categories.map((category, i) => [category, i]));
    if (!isWide) {
      const values = new Set(rows.map((row) => row['value']));
      distinct.set(column.name, values.size - (values.has(null) ? 1 : 0));
    }
    for (const row of rows) {
      const counts = countsOf(Number(row['w']));
      const at = counts[index] ?? emptyCategorical(column);
      counts[index] = at;
      const [n, present] = [Number(row['n']), Number(row['present'])];
      at.missing += n - present;
      at.count += present;
      const bin = row['value'] === null ? undefined : indexes.get(String(row['value']));
      if (bin !== undefined) at.bins[bin]! += present;
      else if (column.hasOther) at.bins[column.categories.length]! += present;
      else at.unseen += present;
    }
  }
  const labels = [...windows.keys()].sort((a, b) => a - b);
  const empty = spec.columns.map((column) =>
    column.kind === 'categorical' ? emptyCategorical(column) : emptyNumeric(column),
  );
  return {
    distinct,
    windows: labels.map((label) => ({
      columns: windows.get(label)!.map((counts, index) => counts ?? empty[index]!),
    })),
  };
}

/** Right-closed bounds of DuckDB's histogram that mean `below min`, `edge <= value < next edge`, …, `up to max`. */
function boundsOf({ min, max, edges }: NumericColumn): number[] {
  return [nextBelow(min), ...edges.map(nextBelow), max];
}

function binsOf(values: readonly unknown[] | null, size: number): Float64Array {
  const bins = new Float64Array(size);
  for (const [i, value] of (values ?? []).entries()) bins[i] = Number(value);
  return bins;
}

const emptyNumeric = ({ edges }: NumericColumn): ColumnCounts => ({
  bins: new Float64Array(edges.length + 3),
  missing: 0,
  nonFinite: 0,
  unseen: 0,
  unseenValues: new Float64Array(0),
  count: 0,
  mean: Number.NaN,
  m2: 0,
});

const emptyCategorical = ({ categories }: CategoricalColumn): ColumnCounts => ({
  bins: new Float64Array(categories.length + 1),
  missing: 0,
  nonFinite: 0,
  unseen: 0,
  unseenValues: new Float64Array(0),
  count: 0,
  mean: Number.NaN,
  m2: 0,
});

/** The largest double below a number. */
export function nextBelow(value: number): number {
  if (!Number.isFinite(value)) return value;
  if (value === 0) return -Number.MIN_VALUE;
  const bits = new BigInt64Array(1);
  const numbers = new Float64Array(bits.buffer);
  numbers[0] = value;
  bits[0]! += value > 0 ? -1n : 1n;
  return numbers[0]!;
}
