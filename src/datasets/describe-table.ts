import { type DuckdbSession, parquetRelation } from './duckdb-session.ts';
import { quoteIdentifier } from './quote-sql.ts';
import type { DatasetColumn } from './table.ts';

/** What is known about the values of one column. Numbers that a column cannot have are null; datetimes are ISO texts. */
export interface ColumnStatistics {
  name: string;
  /** Values that are there. */
  count: number;
  missing: number;
  distinct: number;
  min: number | string | null;
  max: number | string | null;
  mean: number | null;
  /** Of the sample: divided by count - 1. */
  standardDeviation: number | null;
  /** The values below which 5, 25, 50, 75 and 95 % lie; interpolated. */
  quantiles: { p05: number; p25: number; p50: number; p75: number; p95: number } | null;
  /** The most frequent values of text and boolean columns, most frequent first. */
  top: { value: string; count: number }[];
}

export interface TableStatistics {
  rows: number;
  columns: ColumnStatistics[];
}

const TOP_VALUES = 20;
const TOP_VALUE_LENGTH = 200;
/** Above this many rows distinct counts and quantiles are estimates; distinct counts may be off by a tenth. */
const EXACT_ROWS = 10_000_000;

/** The most frequent values are not counted where most of so many values are different. */
const ID_LIKE_ROWS = 100_000;

/** Computes the statistics of a canonical Parquet file, a column at a time, so that memory stays bounded. */
export async function describeTable(
  session: DuckdbSession,
  parquetPath: string,
  columns: readonly Pick<DatasetColumn, 'name' | 'type'>[],
  onProgress?: (done: number) => void,
): Promise<{ statistics: TableStatistics; notes: string[] }> {
  const relation = parquetRelation(parquetPath);
  const rows = Number((await session.row(`SELECT count(*) AS n FROM ${relation}`))['n']);
  const notes: string[] = [];
  const described: ColumnStatistics[] = [];
  for (const [index, column] of columns.entries()) {
    described.push(await describeColumn(session, relation, column, rows, notes));
    onProgress?.((index + 1) / columns.length);
  }
  return { statistics: { rows, columns: described }, notes };
}

async function describeColumn(
  session: DuckdbSession,
  relation: string,
  { name, type }: Pick<DatasetColumn, 'name' | 'type'>,
  rows: number,
  notes: string[],
): Promise<ColumnStatistics> {
  const column = quoteIdentifier(name);
  const exact = rows <= EXACT_ROWS;
  const distinct = exact ? `count(DISTINCT ${column})` : `approx_count_distinct(${column})`;
  const numeric = type === 'double' || type === 'long';
  const value = `CAST(${column} AS DOUBLE)`;
  const points = '[0.05, 0.25, 0.5, 0.75, 0.95]';
  const selected = [`count(${column}) AS count`, `${distinct} AS distinct_values`];
  if (numeric) {
    selected.push(
      `min(${value}) AS min`,
      `max(${value}) AS max`,
      `favg(${value}) AS mean`,
      exact
        ? `quantile_cont(${value}, ${points}) AS quantiles`
        : `approx_quantile(${value}, ${points}) AS quantiles`,
    );
  } else if (type === 'datetime') {
    selected.push(`epoch_ms(min(${column})) AS min`, `epoch_ms(max(${column})) AS max`);
  } else {
    selected.push('NULL AS min', 'NULL AS max');
  }
  if (type === 'long')
    selected.push(`count(*) FILTER (${column} NOT BETWEEN -9007199254740992 AND 9007199254740992) AS wide`);
  const row = await session.row(`SELECT ${selected.join(', ')} FROM ${relation}`);
  const count = Number(row['count']);
  if (Number(row['wide'] ?? 0) > 0) {
    notes.push(
      `column ${JSON.stringify(name)}: ${Number(row['wide'])} whole numbers beyond 2^53 lose their last digits where they are used as numbers`,
    );
  }
  const mean = finiteOrNull(row['mean']);
  const [p05, p25, p50, p75, p95] = (row['quantiles'] ?? []) as readonly number[];
  const idLike = count > ID_LIKE_ROWS && Number(row['distinct_values']) > count / 2;
  const top =
    (type === 'string' || type === 'boolean') && !idLike
      ? await session.rows(
          `SELECT CAST(${column} AS VARCHAR)[:${TOP_VALUE_LENGTH}] AS value, count(*) AS n FROM ${relation}
           WHERE ${column} IS NOT NULL GROUP BY ${column} ORDER BY n DESC, ${column} LIMIT ${TOP_VALUES}`,
        )
      : [];
  return {
    name,
    count,
    missing: rows - count,
    distinct: Number(row['distinct_values']),
    min: type === 'datetime' ? isoOrNull(row['min']) : finiteOrNull(row['min']),
    max: type === 'datetime' ? isoOrNull(row['max']) : finiteOrNull(row['max']),
    mean,
    standardDeviation: numeric ? await standardDeviation(session, relation, value, mean, count) : null,
    quantiles:
      p05 === undefined ? null : { p05, p25: p25 ?? p05, p50: p50 ?? p05, p75: p75 ?? p05, p95: p95 ?? p05 },
    top: top.map((entry) => ({ value: String(entry['value']), count: Number(entry['n']) })),
  };
}

/** In two passes, since squares of what is far from the mean would overflow or cancel in one. */
async function standardDeviation(
  session: DuckdbSession,
  relation: string,
  value: string,
  mean: number | null,
  count: number,
): Promise<number | null> {
  if (mean === null || count < 2) return null;
  const row = await session.row(
    `SELECT fsum((${value} - ${sqlNumber(mean)}) * (${value} - ${sqlNumber(mean)})) AS squares FROM ${relation}`,
  );
  const squares = finiteOrNull(row['squares']);
  return squares === null ? null : Math.sqrt(squares / (count - 1));
}

const sqlNumber = (value: number) => `CAST('${value}' AS DOUBLE)`;

function finiteOrNull(value: unknown): number | null {
  if (value === null || value === undefined) return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}

function isoOrNull(value: unknown): string | null {
  const ms = finiteOrNull(value);
  if (ms === null) return null;
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
