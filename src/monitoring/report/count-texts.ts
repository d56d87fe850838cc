import { type DuckdbSession, quoteTextList } from '../../datasets/index.ts';
import type { CategoricalColumn, ColumnCounts } from '../../profiles/index.ts';
import type { ColumnFacts } from './describe-table.ts';
import type { TableFile, TableFileColumn } from './open-table.ts';
import { NO_WINDOW, type WindowRule, windowSql } from './window-rule.ts';

const MOST_CATEGORIES = 500;
/** Above so many distinct texts the frequent ones are found by a sketch, which needs no memory for the others. */
const MANY_DISTINCT = 20_000;

export interface CountedTexts {
  /** By the label of a window. */
  windows: Map<number, ColumnCounts>;
  /** The exact number of values, where they are few. */
  distinct?: number;
}

/** The dictionary of a reference's column: its most frequent texts. */
export async function chooseCategories(
  session: DuckdbSession,
  table: TableFile,
  { name, sql }: TableFileColumn,
  { distinct = 0 }: ColumnFacts,
): Promise<CategoricalColumn> {
  const take = MOST_CATEGORIES + 1;
  const rows =
    distinct > MANY_DISTINCT
      ? await session.rows(
          `SELECT unnest(approx_top_k(${sql}, ${take})) AS value FROM ${table.relation} WHERE ${sql} IS NOT NULL`,
        )
      : await session.rows(
          `SELECT ${sql} AS value FROM ${table.relation} WHERE ${sql} IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT ${take}`,
        );
  const values = rows.map(({ value }) => String(value));
  return {
    name,
    kind: 'categorical',
    categories: values.slice(0, MOST_CATEGORIES),
    hasOther: values.length > MOST_CATEGORIES,
  };
}

/** Counts a column of texts by a dictionary, window by window. */
export async function countTexts(
  session: DuckdbSession,
  table: TableFile,
  { sql }: TableFileColumn,
  { column, facts, rule }: { column: CategoricalColumn; facts: ColumnFacts; rule: WindowRule },
): Promise<CountedTexts> {
  const isWide = column.hasOther || (facts.distinct ?? 0) > MANY_DISTINCT;
  const value = isWide ? 'known' : sql;
  const join = isWide ? ` LEFT JOIN ${dictionaryRelation(column.categories)} ON ${sql} = known` : '';
  const rows = await session.rows(
    `SELECT ${windowSql(table, rule)} AS w, ${value} AS value, CAST(count(*) AS DOUBLE) AS n, CAST(count(${sql}) AS DOUBLE) AS present FROM ${table.relation}${join} GROUP BY 1, 2`,
  );
  const indexes = new Map(column.categories.map((category, i) => [category, i]));
  const windows = new Map<number, ColumnCounts>();
  const values = new Set<unknown>();
  for (const row of rows) {
    const label = Number(row['w']);
    if (row['value'] !== null) values.add(row['value']);
    if (label === NO_WINDOW) continue;
    const at = windows.get(label) ?? emptyTexts(column);
    windows.set(label, at);
    const [n, present] = [Number(row['n']), Number(row['present'])];
    at.missing += n - present;
    at.count += present;
    const bin = row['value'] === null ? undefined : indexes.get(String(row['value']));
    if (bin !== undefined) at.bins[bin]! += present;
    else if (column.hasOther) at.bins[column.categories.length]! += present;
    else at.unseen += present;
  }
  return { windows, ...(isWide ? {} : { distinct: values.size }) };
}

/** The most frequent values of a column that a dictionary does not have. */
export async function listNewValues(
  session: DuckdbSession,
  table: TableFile,
  { sql }: TableFileColumn,
  categories: readonly string[],
): Promise<{ value: string; rows: number }[]> {
  const rows = await session.rows(
    `SELECT ${sql} AS value, count(*) AS n FROM ${table.relation} ANTI JOIN ${dictionaryRelation(categories)} ON ${sql} = known WHERE ${sql} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5`,
  );
  return rows.map((row) => ({ value: String(row['value']), rows: Number(row['n']) }));
}

export const emptyTexts = ({ categories }: CategoricalColumn): ColumnCounts => ({
  bins: new Float64Array(categories.length + 1),
  missing: 0,
  nonFinite: 0,
  unseen: 0,
  unseenValues: new Float64Array(0),
  count: 0,
  mean: Number.NaN,
  m2: 0,
});

/** A dictionary as a table with the column `known`: a join finds its values by hash, where IN would try each. */
const dictionaryRelation = (categories: readonly string[]): string =>
  `(SELECT unnest(${categories.length === 0 ? 'CAST([] AS VARCHAR[])' : quoteTextList(categories)}) AS known)`;
