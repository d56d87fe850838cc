import { type DuckdbSession, parquetRelation } from './duckdb/duckdb-session.ts';
import { quoteIdentifier } from './duckdb/quote-sql.ts';
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

/** So many values may lie in memory for one query, which then describes several columns of a wide table. */
const VALUES_AT_ONCE = 2_000_000;
const COLUMNS_AT_ONCE = 16;

/** What is read of a column before its second pass. */
interface FirstPass {
  column: Pick<DatasetColumn, 'name' | 'type'>;
  count: number;
  distinct: number;
  min: unknown;
  max: unknown;
  mean: number | null;
  quantiles: ColumnStatistics['quantiles'];
}

/**
 * Computes the statistics of a canonical Parquet file, few columns at a time: one by one they would read a wide file's
 * description over and over, all together they would need its whole memory.
 */
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
  const size = columnsAtOnce(rows);
  for (let first = 0; first < columns.length; first += size) {
    const some = await readColumns(session, relation, columns.slice(first, first + size), rows, notes);
    const deviations = await standardDeviations(session, relation, some);
    for (const [index, each] of some.entries()) {
      const { column, count, distinct, mean, quantiles } = each;
      const isDate = column.type === 'datetime';
      described.push({
        name: column.name,
        count,
        missing: rows - count,
        distinct,
        min: isDate ? isoOrNull(each.min) : finiteOrNull(each.min),
        max: isDate ? isoOrNull(each.max) : finiteOrNull(each.max),
        mean,
        standardDeviation: deviations[index] ?? null,
        quantiles,
        top: await topValues(session, relation, each),
      });
    }
    onProgress?.(described.length / columns.length);
  }
  return { statistics: { rows, columns: described }, notes };
}

/** One where rows are many, more where they are few. */
export const columnsAtOnce = (rows: number): number =>
  Math.max(1, Math.min(COLUMNS_AT_ONCE, Math.floor(VALUES_AT_ONCE / Math.max(1, rows))));

const isNumeric = ({ type }: Pick<DatasetColumn, 'type'>) => type === 'double' || type === 'long';
const valueSql = ({ name }: Pick<DatasetColumn, 'name'>) => `CAST(${quoteIdentifier(name)} AS DOUBLE)`;

async function readColumns(
  session: DuckdbSession,
  relation: string,
  columns: readonly Pick<DatasetColumn, 'name' | 'type'>[],
  rows: number,
  notes: string[],
): Promise<FirstPass[]> {
  const exact = rows <= EXACT_ROWS;
  const points = '[0.05, 0.25, 0.5, 0.75, 0.95]';
  const selected = columns.flatMap((column, i) => {
    const name = quoteIdentifier(column.name);
    const value = valueSql(column);
    const distinct = exact ? `count(DISTINCT ${name})` : `approx_count_distinct(${name})`;
    const all = [`count(${name}) AS count${i}`, `${distinct} AS distinct${i}`];
    if (isNumeric(column)) {
      all.push(`min(${value}) AS min${i}`, `max(${value}) AS max${i}`, `favg(${value}) AS mean${i}`);
      all.push(`${exact ? 'quantile_cont' : 'approx_quantile'}(${value}, ${points}) AS quantiles${i}`);
    } else if (column.type === 'datetime') {
      all.push(`epoch_ms(min(${name})) AS min${i}`, `epoch_ms(max(${name})) AS max${i}`);
    }
    if (column.type === 'long')
      all.push(`count(*) FILTER (${name} NOT BETWEEN -9007199254740992 AND 9007199254740992) AS wide${i}`);
    return all;
  });
  const row = await session.row(`SELECT ${selected.join(', ')} FROM ${relation}`);
  return columns.map((column, i) => {
    const wide = Number(row[`wide${i}`] ?? 0);
    if (wide > 0) {
      notes.push(
        `column ${JSON.stringify(column.name)}: ${wide} whole numbers beyond 2^53 lose their last digits where they are used as numbers`,
      );
    }
    const [p05, p25, p50, p75, p95] = (row[`quantiles${i}`] ?? []) as readonly number[];
    return {
      column,
      count: Number(row[`count${i}`]),
      distinct: Number(row[`distinct${i}`]),
      min: row[`min${i}`],
      max: row[`max${i}`],
      mean: finiteOrNull(row[`mean${i}`]),
      quantiles:
        p05 === undefined
          ? null
          : { p05, p25: p25 ?? p05, p50: p50 ?? p05, p75: p75 ?? p05, p95: p95 ?? p05 },
    };
  });
}

/** In a second pass, since squares of what is far from the mean would overflow or cancel in one. */
async function standardDeviations(
  session: DuckdbSession,
  relation: string,
  columns: readonly FirstPass[],
): Promise<(number | null)[]> {
  const squares = columns.map(({ column, mean, count }, i) => {
    if (!isNumeric(column) || mean === null || count < 2) return `NULL AS s${i}`;
    const distance = `(${valueSql(column)} - ${sqlNumber(mean)})`;
    return `fsum(${distance} * ${distance}) AS s${i}`;
  });
  if (squares.every((sql) => sql.startsWith('NULL'))) return columns.map(() => null);
  const row = await session.row(`SELECT ${squares.join(', ')} FROM ${relation}`);
  return columns.map(({ count }, i) => {
    const sum = finiteOrNull(row[`s${i}`]);
    return sum === null ? null : Math.sqrt(sum / (count - 1));
  });
}

async function topValues(
  session: DuckdbSession,
  relation: string,
  { column: { name, type }, count, distinct }: FirstPass,
): Promise<ColumnStatistics['top']> {
  const idLike = count > ID_LIKE_ROWS && distinct > count / 2;
  if ((type !== 'string' && type !== 'boolean') || idLike) return [];
  const column = quoteIdentifier(name);
  const rows = await session.rows(
    `SELECT CAST(${column} AS VARCHAR)[:${TOP_VALUE_LENGTH}] AS value, count(*) AS n FROM ${relation}
     WHERE ${column} IS NOT NULL GROUP BY ${column} ORDER BY n DESC, ${column} LIMIT ${TOP_VALUES}`,
  );
  return rows.map((row) => ({ value: String(row['value']), count: Number(row['n']) }));
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
