import { ApiError } from '../../platform/index.ts';
import type { TableStatistics } from '../describe-table.ts';
import { type DuckdbSession, parquetRelation, resolvePath, withDuckdb } from '../duckdb/duckdb-session.ts';
import { quoteIdentifier, quoteText } from '../duckdb/quote-sql.ts';
import { describeCanonical, rowsOfGroup } from '../ingest/ingest-file.ts';
import { convertColumn } from '../ingest/read-parquet-source.ts';
import type { DatasetColumn, DatasetColumnType } from '../table.ts';
import { unknownColumn } from '../unknown-column.ts';
import { ENTITY_COLUMN, TIME_COLUMN } from './export-held-out.ts';
import { parseTarget, readTarget } from './read-target.ts';

/** Rows of one Parquet file. Columns that it does not have are missing in all its rows. */
export interface ComposeSource {
  parquetPath: string;
  /** Only rows that happened in [from, to), ms since the epoch. */
  from?: number | undefined;
  to?: number | undefined;
  /** The target is a column of its own already, such as the labels of a prediction log; else it is computed. */
  targetIsComputed?: boolean | undefined;
}

export interface ComposeRequest {
  sources: readonly ComposeSource[];
  /** The columns of the dataset; the types that all rows get. */
  schema: readonly DatasetColumn[];
  /** A column, or an expression over columns. */
  target: string;
  /** When a row happened; a source without the column may say it in `__time` (BIGINT, ms). */
  time?: string | undefined;
  /** Whom a row is of; a source without the column may say it in `__entity`. */
  id?: string | undefined;
  outPath: string;
  /** Of more rows the newest are kept. */
  maxRows?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface ComposedTable {
  path: string;
  digest: string;
  rows: number;
  schema: DatasetColumn[];
  statistics: TableStatistics;
  notes: string[];
  /** The column that holds the target. */
  targetName: string;
  /** Rows of the sources that were left out because their target is missing. */
  withoutTarget: number;
  /** From the first to behind the last row, ms; left out where no time is known. */
  from?: number;
  to?: number;
}

const SQL_TYPES: Record<DatasetColumnType, string> = {
  double: 'DOUBLE',
  long: 'BIGINT',
  boolean: 'BOOLEAN',
  string: 'VARCHAR',
  datetime: 'TIMESTAMP',
};

/**
 * Writes one table to train on out of several: the dataset's columns but those that the target is made of, all rows typed alike, and
 * the target as a column of its own, in the order of time. The same rows give the same digest.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when no row is left, or a column that is needed is not there
 */
export async function composeTable(request: ComposeRequest): Promise<ComposedTable> {
  const { sources, outPath, signal } = request;
  const read = [...new Set(sources.map(({ parquetPath }) => parquetPath))];
  return withDuckdb({ read, write: [outPath], signal }, (session) => composeIn(session, request));
}

interface TargetColumn {
  name: string;
  type: DatasetColumnType;
  /** For sources in which it is not computed yet. */
  sql: string;
  columns: readonly string[];
}

async function composeIn(session: DuckdbSession, request: ComposeRequest): Promise<ComposedTable> {
  const { sources, schema, outPath, maxRows } = request;
  for (const name of [request.time, request.id])
    if (name !== undefined && !schema.some((column) => column.name === name))
      throw unknownColumn(name, namesOf(schema));
  const target = await findTarget(session, request);
  const columns = [
    ...schema.filter(({ name }) => !target.columns.includes(name) && name !== target.name),
    { name: target.name, type: target.type, nullable: false },
  ];
  const parts: string[] = [];
  for (const [index, source] of sources.entries())
    parts.push(await selectSource(session, request, source, index, target, columns));
  await session.run(`CREATE TEMP TABLE composed AS ${parts.join(' UNION ALL ')}`);
  const { n } = await session.row('SELECT count(*) AS n FROM composed WHERE c_target IS NULL');
  const withoutTarget = Number(n);
  const newest = maxRows === undefined ? '' : ` LIMIT ${Math.max(1, Math.floor(maxRows))}`;
  const order = (direction: '' | ' DESC') =>
    ['happened', 'part', 'place'].map((name) => `${name}${direction} NULLS LAST`).join(', ');
  const selected = columns.map(({ name }, index) => {
    const value = name === target.name ? 'c_target' : `c${index}`;
    return `${value} AS ${quoteIdentifier(name)}`;
  });
  await session.run(
    `COPY (SELECT ${selected.join(', ')} FROM (SELECT * FROM composed WHERE c_target IS NOT NULL ORDER BY ${order(' DESC')}${newest})
       ORDER BY ${order('')})
     TO ${quoteText(resolvePath(outPath))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${rowsOfGroup(columns.length)}, USE_TMP_FILE false)`,
  );
  const described = await describeCanonical(
    session,
    { outPath, id: request.id, time: request.time },
    { columns: columns.map(({ name, type }) => ({ name, type, sql: '' })), notes: [] },
  );
  if (described.rows === 0) throw nothingLeft(request, withoutTarget);
  return {
    ...described,
    path: outPath,
    targetName: target.name,
    withoutTarget,
    ...(await findRange(session, request, outPath)),
  };
}

/** What the target is called and how it is typed: by the first source that it has to be computed for. */
async function findTarget(session: DuckdbSession, request: ComposeRequest): Promise<TargetColumn> {
  const { sources, schema, target } = request;
  const raw = sources.find(({ targetIsComputed }) => !targetIsComputed);
  if (raw) return readTarget(session, parquetRelation(raw.parquetPath), target, namesOf(schema));
  const first = sources[0];
  if (!first) throw new ApiError('INVALID_PARAMETER_VALUE', 'No source of rows was named');
  const { name, sql, columns } = await parseTarget(session, target, namesOf(schema));
  const types = await typesOf(session, first.parquetPath);
  const column = convertColumn(name, types.get(name) ?? '', false);
  if (!column) throw unknownColumn(name, [...types.keys()], 'the target');
  return { name, type: column.type, sql, columns };
}

async function selectSource(
  session: DuckdbSession,
  request: ComposeRequest,
  source: ComposeSource,
  index: number,
  target: TargetColumn,
  columns: readonly DatasetColumn[],
): Promise<string> {
  const { time, id, schema } = request;
  const types = await typesOf(session, source.parquetPath);
  if (source.targetIsComputed && !types.has(target.name))
    throw unknownColumn(target.name, [...types.keys()], 'the target');
  const timeType = schema.find(({ name }) => name === time)?.type;
  const value = ({ name, type }: DatasetColumn): string => {
    const own = types.has(name) ? `CAST(${quoteIdentifier(name)} AS ${SQL_TYPES[type]})` : undefined;
    const said =
      name === time && type === 'datetime' && types.has(TIME_COLUMN)
        ? `epoch_ms(CAST(${TIME_COLUMN} AS BIGINT))`
        : name === id && types.has(ENTITY_COLUMN)
          ? `TRY_CAST(${ENTITY_COLUMN} AS ${SQL_TYPES[type]})`
          : undefined;
    const known = [own, said].filter((sql) => sql !== undefined);
    if (known.length === 0) return `CAST(NULL AS ${SQL_TYPES[type]})`;
    return known.length === 1 ? known[0]! : `coalesce(${known.join(', ')})`;
  };
  const timeColumn = schema.find(({ name }) => name === time);
  const at =
    timeColumn && timeType === 'datetime'
      ? value(timeColumn)
      : types.has(TIME_COLUMN)
        ? `epoch_ms(CAST(${TIME_COLUMN} AS BIGINT))`
        : undefined;
  const label = source.targetIsComputed
    ? `TRY_CAST(${quoteIdentifier(target.name)} AS ${SQL_TYPES[target.type]})`
    : target.sql;
  const selected = columns.map((column, position) =>
    column.name === target.name ? `${label} AS c_target` : `${value(column)} AS c${position}`,
  );
  const windows = [
    ...(source.from === undefined ? [] : [`happened >= ${moment(source.from)}`]),
    ...(source.to === undefined ? [] : [`happened < ${moment(source.to)}`]),
  ];
  if (windows.length > 0 && at === undefined) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      'Rows are wanted of a stretch of time, and no column of dates says when they happened: name the time column',
    );
  }
  const where = windows.length > 0 ? ` WHERE ${windows.join(' AND ')}` : '';
  return (
    `SELECT * FROM (SELECT ${selected.join(', ')}, ${at ?? 'CAST(NULL AS TIMESTAMP)'} AS happened, ${index} AS part, ` +
    `row_number() OVER () AS place FROM ${parquetRelation(source.parquetPath)})${where}`
  );
}

const moment = (ms: number): string => `epoch_ms(CAST(${Math.floor(ms)} AS BIGINT))`;

const namesOf = (schema: readonly DatasetColumn[]): string[] => schema.map(({ name }) => name);

async function typesOf(session: DuckdbSession, path: string): Promise<Map<string, string>> {
  const rows = await session.rows(`DESCRIBE SELECT * FROM ${parquetRelation(path)}`);
  return new Map(rows.map((row) => [String(row['column_name']), String(row['column_type'])]));
}

async function findRange(
  session: DuckdbSession,
  { schema, time }: ComposeRequest,
  path: string,
): Promise<{ from?: number; to?: number }> {
  if (schema.find(({ name }) => name === time)?.type !== 'datetime') return {};
  const column = quoteIdentifier(time!);
  const row = await session.row(
    `SELECT CAST(epoch_ms(min(${column})) AS DOUBLE) AS first, CAST(epoch_ms(max(${column})) AS DOUBLE) AS last FROM ${parquetRelation(path)}`,
  );
  return row['first'] === null ? {} : { from: Number(row['first']), to: Number(row['last']) + 1 };
}

function nothingLeft({ sources }: ComposeRequest, withoutTarget: number): ApiError {
  const shown = sources.map(({ from, to }) => {
    const say = (ms: number | undefined) => (ms === undefined ? '…' : new Date(ms).toISOString());
    return from === undefined && to === undefined ? 'all rows' : `rows from ${say(from)} to ${say(to)}`;
  });
  const dropped = withoutTarget > 0 ? `; ${withoutTarget} have no target` : '';
  return new ApiError(
    'INVALID_PARAMETER_VALUE',
    `There is no row to train on: ${shown.join(', ')} of ${sources.length} ${sources.length === 1 ? 'source' : 'sources'}${dropped}`,
  );
}
