import { ApiError } from '../../platform/index.ts';
import { type DuckdbSession, parquetRelation, withDuckdb } from '../duckdb/duckdb-session.ts';
import { quoteIdentifier } from '../duckdb/quote-sql.ts';
import { convertColumn } from '../ingest/read-parquet-source.ts';
import type { DatasetColumn, TrainingPlan } from '../table.ts';
import { unknownColumn } from '../unknown-column.ts';
import { parseExpression } from './parse-expression.ts';

/** What is to be predicted, ready to be selected. */
export interface Target {
  /** A column's name, or the expression as it was written. */
  name: string;
  /** Numbers are finite or NULL. */
  sql: string;
  columns: string[];
  type: 'double' | 'long' | 'boolean' | 'string';
}

/** Reads a target: a column, or one expression over the columns of a row. Throws `INVALID_PARAMETER_VALUE`. */
export async function parseTarget(
  session: DuckdbSession,
  text: string,
  names: readonly string[],
): Promise<Pick<Target, 'name' | 'sql' | 'columns'>> {
  if (text.trim() === '')
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      'The target is empty; give a column or an expression such as "delay > 15"',
    );
  const parsed = names.includes(text)
    ? { sql: quoteIdentifier(text), columns: [text] }
    : await parseExpression(session, text, names).catch((error: unknown) => {
        const near =
          error instanceof ApiError && !error.details?.['column'] && !error.details?.['incomplete']
            ? unknownColumn(text, names, 'the target')
            : undefined;
        throw near?.details?.['nearest'] === undefined ? error : near;
      });
  const only = parsed.columns.length === 1 ? parsed.columns[0]! : undefined;
  const isColumn =
    only !== undefined &&
    text
      .trim()
      .replace(/^"(.*)"$/s, '$1')
      .toLowerCase() === only.toLowerCase();
  return { ...parsed, name: isColumn ? only : text.trim() };
}

/** The same, with the type that it has in a table. */
export async function readTarget(
  session: DuckdbSession,
  relation: string,
  text: string,
  names: readonly string[],
): Promise<Target> {
  const parsed = await parseTarget(session, text, names);
  const { name } = parsed;
  const [described] = await session
    .rows(`DESCRIBE SELECT ${parsed.sql} AS target FROM ${relation}`)
    .catch((error: unknown) => refuseTarget(text, error));
  const type = convertColumn('target', String(described?.['column_type']), false)?.type;
  if (type === undefined || type === 'datetime') {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `The target ${JSON.stringify(text)} gives ${String(described?.['column_type'])}; it must give a number, a truth value or a text`,
    );
  }
  const sql =
    type === 'double'
      ? `CASE WHEN isfinite(CAST(${parsed.sql} AS DOUBLE)) THEN CAST(${parsed.sql} AS DOUBLE) END`
      : type === 'long'
        ? `CAST(${parsed.sql} AS BIGINT)`
        : parsed.sql;
  return { name, sql, columns: parsed.columns, type };
}

/** Says what DuckDB has against a target, as an error of who wrote it. */
export function refuseTarget(text: string, error: unknown): never {
  if (!(error instanceof Error) || error instanceof ApiError || error.message === 'INTERRUPT') throw error;
  const [reason] = error.message.split('\n');
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    `The target ${JSON.stringify(text)} cannot be computed: ${reason}`,
    undefined,
    {
      cause: error,
    },
  );
}

/** The part of a plan that says what the target is, for rows that are only scored. */
export async function planTarget(request: {
  parquetPath: string;
  schema: readonly DatasetColumn[];
  target: string;
}): Promise<Pick<TrainingPlan, 'targetName' | 'targetSql' | 'targetColumns'>> {
  const { parquetPath, schema, target } = request;
  const names = schema.map(({ name }) => name);
  return withDuckdb({ read: [parquetPath] }, async (session) => {
    const { name, sql, columns } = await readTarget(session, parquetRelation(parquetPath), target, names);
    return { targetName: name, targetSql: sql, targetColumns: columns };
  });
}
