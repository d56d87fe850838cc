import { type DuckdbSession, quoteTextList, rawItems } from '../../datasets/index.ts';
import {
  type CategoricalColumn,
  columnOf,
  finiteFloat,
  type NumericColumn,
  type ProfileColumn,
  type ProfileSpec,
  specOf,
} from '../../profiles/index.ts';
import type { TableFile, TableFileColumn } from './open-table.ts';

/** Edges are at the quantiles of so many rows, drawn at random. */
const SAMPLE_ROWS = 20_000;
const MOST_CATEGORIES = 500;
/** Above so many distinct texts the frequent ones are found by a sketch, which needs no memory for the others. */
export const MANY_DISTINCT = 20_000;

/** DuckDB holds a piece of each column that a query reads, so that few at once need less memory. */
export const COLUMNS_AT_ONCE = 5;

export function inGroups<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
}

/** What is known of a column of one file beside its bins. */
export interface ColumnFacts {
  rows: number;
  missing: number;
  nonFinite: number;
  isConstant: boolean;
  /** Of texts. */
  distinct?: number;
  /** Whether `distinct` comes from a sketch. */
  isEstimate?: boolean;
  min?: number;
  max?: number;
  mean?: number;
  sd?: number;
}

/** One pass over a file: counts, ranges and moments. Distinct texts are estimated, to 2 % or so. */
export async function describeColumns(
  session: DuckdbSession,
  table: TableFile,
  columns: readonly TableFileColumn[],
): Promise<Map<string, ColumnFacts>> {
  const inner = columns.flatMap(({ sql, isFloat }, i) => [
    `${sql} AS x${i}`,
    ...(isFloat ? [`CASE WHEN isfinite(${sql}) THEN ${sql} END AS f${i}`] : []),
  ]);
  const outer = columns.flatMap(({ kind, isFloat }, i) => {
    const x = isFloat ? `f${i}` : `x${i}`;
    const counts = [`count(x${i}) AS count${i}`];
    if (isFloat) counts.push(`count(f${i}) AS finite${i}`, `count(*) FILTER (isnan(x${i})) AS nan${i}`);
    if (kind === 'text' || kind === 'boolean')
      return [...counts, `approx_count_distinct(x${i}) AS distinct${i}`];
    const moments = [`min(${x}) AS min${i}`, `max(${x}) AS max${i}`];
    if (kind === 'number') moments.push(`avg(${x}) AS mean${i}`, `stddev_pop(${x}) AS sd${i}`);
    return [...counts, ...moments];
  });
  const row = await session.row(
    `SELECT ${outer.join(', ')} FROM (SELECT ${inner.join(', ')} FROM ${table.relation})`,
  );
  const facts = columns.map(({ name }, i): [string, ColumnFacts] => {
    const value = (key: string) => (row[`${key}${i}`] == null ? undefined : Number(row[`${key}${i}`]));
    const present = (value('count') ?? 0) - (value('nan') ?? 0);
    const [distinct, min, max, mean, sd] = ['distinct', 'min', 'max', 'mean', 'sd'].map(value);
    return [
      name,
      {
        rows: table.rows,
        missing: table.rows - present,
        nonFinite: present - (value('finite') ?? present),
        isConstant: min === undefined ? (distinct ?? 0) <= 1 : min === max,
        ...(distinct === undefined ? {} : { distinct: Math.min(distinct, present), isEstimate: true }),
        ...(min === undefined ? {} : { min }),
        ...(max === undefined ? {} : { max }),
        ...(mean === undefined ? {} : { mean }),
        ...(sd === undefined ? {} : { sd }),
      },
    ];
  });
  return new Map(facts);
}

/** Chooses the bins of a reference: at the quantiles of a sample, and a dictionary of the most frequent texts. */
export async function chooseBins(
  session: DuckdbSession,
  table: TableFile,
  columns: readonly TableFileColumn[],
  facts: ReadonlyMap<string, ColumnFacts>,
): Promise<ProfileSpec> {
  const numeric = columns.filter(({ kind }) => kind === 'number');
  const sample = await sampleNumbers(session, table, numeric);
  const spec: ProfileColumn[] = [];
  for (const column of columns) {
    const known = facts.get(column.name)!;
    if (column.kind === 'number') {
      const values = sample.get(column.name)!;
      const chosen = specOf([{ name: column.name, values: columnOf(values) }], values.length)
        .columns[0] as NumericColumn;
      // The range comes from all rows, the edges from the sample; those beyond it would be bins of nothing.
      // The same number may come as a double here and as a float there; neither is out of range.
      const min = Math.min(known.min ?? 0, finiteFloat(known.min ?? 0));
      const max = Math.max(known.max ?? 0, finiteFloat(known.max ?? 0));
      spec.push({ ...chosen, min, max, edges: chosen.edges.filter((edge) => edge > min && edge <= max) });
    } else {
      spec.push(await chooseCategories(session, table, column, known));
    }
  }
  return { columns: spec };
}

async function sampleNumbers(
  session: DuckdbSession,
  table: TableFile,
  columns: readonly TableFileColumn[],
): Promise<Map<string, Float64Array>> {
  const every = Math.max(1, Math.floor(table.rows / SAMPLE_ROWS));
  const where = every === 1 ? '' : ` WHERE hash(file_row_number + 7) % ${every} = 0`;
  const sample = new Map<string, Float64Array>();
  for (const group of inGroups(columns, COLUMNS_AT_ONCE)) {
    const buffers = group.map(() => new Float64Array(Math.ceil((table.rows / every) * 1.2) + 2048));
    const selected = group.map(({ sql }, i) => `coalesce(${sql}, 'nan'::DOUBLE) AS s${i}`).join(', ');
    let rows = 0;
    for await (const chunk of session.chunks(`SELECT ${selected} FROM ${table.relation}${where}`)) {
      const count = Math.min(chunk.rowCount, buffers[0]!.length - rows);
      for (const [i, buffer] of buffers.entries()) {
        buffer.set(rawItems<Float64Array>(chunk, i).subarray(0, count), rows);
      }
      rows += count;
    }
    for (const [i, { name }] of group.entries()) sample.set(name, buffers[i]!.subarray(0, rows));
  }
  return sample;
}

async function chooseCategories(
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

/** A dictionary as a table with the column `known`: a join finds its values by hash, where IN would try each. */
export const dictionaryRelation = (categories: readonly string[]): string =>
  `(SELECT unnest(${categories.length === 0 ? 'CAST([] AS VARCHAR[])' : quoteTextList(categories)}) AS known)`;

/** Rows that another row equals in every column; counted by a hash of 64 bits, in parts that need little memory. */
export async function countDuplicates(
  session: DuckdbSession,
  table: TableFile,
  columns: readonly TableFileColumn[],
): Promise<number> {
  const hash = `hash(${columns.map(({ sql }) => sql).join(', ')})`;
  await session.run(`CREATE OR REPLACE TEMP TABLE row_hashes AS SELECT ${hash} AS h FROM ${table.relation}`);
  const parts = Math.max(1, Math.ceil(table.rows / 250_000));
  let distinct = 0;
  for (let part = 0; part < parts; part++) {
    const row = await session.row(
      `SELECT count(*) AS n FROM (SELECT h FROM row_hashes WHERE h % ${parts} = ${part} GROUP BY 1)`,
    );
    distinct += Number(row['n']);
  }
  await session.run('DROP TABLE row_hashes');
  return table.rows - distinct;
}
