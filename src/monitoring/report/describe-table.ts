import type { DuckdbSession } from '../../datasets/index.ts';
import type { TableFile, TableFileColumn } from './open-table.ts';

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

/** What is known of texts, booleans and dates; their distinct values are estimated, to 2 % or so. */
export async function describeColumns(
  session: DuckdbSession,
  table: TableFile,
  columns: readonly TableFileColumn[],
): Promise<Map<string, ColumnFacts>> {
  if (columns.length === 0) return new Map();
  const inner = columns.map(({ sql }, i) => `${sql} AS x${i}`);
  const outer = columns.flatMap(({ kind }, i) => [
    `count(x${i}) AS count${i}`,
    ...(kind === 'date'
      ? [`min(x${i}) AS min${i}`, `max(x${i}) AS max${i}`]
      : [`approx_count_distinct(x${i}) AS distinct${i}`]),
  ]);
  const row = await session.row(
    `SELECT ${outer.join(', ')} FROM (SELECT ${inner.join(', ')} FROM ${table.relation})`,
  );
  const facts = columns.map(({ name }, i): [string, ColumnFacts] => {
    const value = (key: string) => (row[`${key}${i}`] == null ? undefined : Number(row[`${key}${i}`]));
    const present = value('count') ?? 0;
    const [distinct, min, max] = ['distinct', 'min', 'max'].map(value);
    return [
      name,
      {
        rows: table.rows,
        missing: table.rows - present,
        nonFinite: 0,
        isConstant: min === undefined ? (distinct ?? 0) <= 1 : min === max,
        ...(distinct === undefined ? {} : { distinct: Math.min(distinct, present), isEstimate: true }),
        ...(min === undefined ? {} : { min }),
        ...(max === undefined ? {} : { max }),
      },
    ];
  });
  return new Map(facts);
}

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
