import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ApiError, nearestName } from '../platform/index.ts';
import { parquetRelation, resolvePath, withDuckdb } from './duckdb/duckdb-session.ts';
import { quoteIdentifier, quoteText } from './duckdb/quote-sql.ts';
import { describeCanonical, type IngestedTable, rowsOfGroup } from './ingest/ingest-file.ts';
import type { DatasetColumn, DatasetColumnType } from './table.ts';

export interface AppendRequest {
  /** The canonical file of the version that rows are added to, and its schema. */
  basePath: string;
  schema: readonly DatasetColumn[];
  rows: readonly unknown[];
  outPath: string;
  /** A file for what is on its way; it is removed. */
  scratchPath: string;
  signal?: AbortSignal;
}

/**
 * Writes a canonical file with the rows of another and, below them, new ones, after checking these against its schema.
 * Throws `INVALID_PARAMETER_VALUE` naming row and column.
 */
export async function appendRows(
  request: AppendRequest,
): Promise<Pick<IngestedTable, 'rows' | 'schema' | 'statistics' | 'digest' | 'notes'>> {
  const { basePath, schema, outPath, scratchPath, signal } = request;
  const lines = request.rows.map((row, index) => `${JSON.stringify(checkRow(row, index, schema))}\n`);
  await pipeline(Readable.from(lines), createWriteStream(scratchPath));
  try {
    return await withDuckdb({ read: [basePath, scratchPath], write: [outPath], signal }, async (session) => {
      const columns = schema.map(({ name }) => quoteIdentifier(name)).join(', ');
      const read = schema.map((_, index) => `'c${index}': ${quoteText(STORED[schema[index]!.type])}`);
      const added = schema.map(
        ({ name, type }, index) => `${fromStored(`c${index}`, type)} AS ${quoteIdentifier(name)}`,
      );
      await session.run(
        `COPY (SELECT ${columns} FROM ${parquetRelation(basePath)} UNION ALL
           SELECT ${added.join(', ')} FROM read_json(${quoteText(resolvePath(scratchPath))}, format = 'newline_delimited',
             maximum_object_size = ${64 * 2 ** 20}, columns = {${read.join(', ')}}))
         TO ${quoteText(resolvePath(outPath))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${rowsOfGroup(schema.length)}, USE_TMP_FILE false)`,
      );
      const roleOf = (role: 'id' | 'time') => schema.find((column) => column.role === role)?.name;
      return describeCanonical(
        session,
        { outPath, id: roleOf('id'), time: roleOf('time') },
        { columns: schema.map(({ name, type }) => ({ name, type, sql: '' })), notes: [] },
      );
    });
  } finally {
    await rm(scratchPath, { force: true });
  }
}

/** How values lie in the scratch file: dates as microseconds, so that nothing is parsed twice. */
const STORED: Record<DatasetColumnType, string> = {
  double: 'DOUBLE',
  long: 'BIGINT',
  boolean: 'BOOLEAN',
  string: 'VARCHAR',
  datetime: 'BIGINT',
};

const fromStored = (sql: string, type: DatasetColumnType) =>
  type === 'datetime' ? `make_timestamp(${sql})` : sql;

function checkRow(row: unknown, index: number, schema: readonly DatasetColumn[]): Record<string, unknown> {
  const fail = (problem: string, details: Record<string, unknown> = {}): never => {
    throw new ApiError('INVALID_PARAMETER_VALUE', `Row ${index}: ${problem}`, { row: index, ...details });
  };
  if (typeof row !== 'object' || row === null || Array.isArray(row)) {
    return fail(`${shown(row)} is not an object of column names and values`);
  }
  const names = schema.map(({ name }) => name);
  for (const name of Object.keys(row)) {
    if (names.includes(name)) continue;
    const nearest = nearestName(name, names);
    const remedy = nearest
      ? `did you mean ${JSON.stringify(nearest)}?`
      : `the columns are ${names.map((known) => JSON.stringify(known)).join(', ')}`;
    fail(`no column ${JSON.stringify(name)}: ${remedy}`, { column: name });
  }
  const stored: Record<string, unknown> = {};
  for (const [position, { name, type, nullable }] of schema.entries()) {
    if (!Object.hasOwn(row, name)) {
      if (!nullable)
        fail(`column ${JSON.stringify(name)} is missing; give null for a missing value`, { column: name });
      continue;
    }
    const value = (row as Record<string, unknown>)[name];
    if (value === null) continue;
    const converted = convertValue(value, type);
    if (converted === undefined) {
      fail(`column ${JSON.stringify(name)}: ${shown(value)} is not ${EXPECTED[type]}`, { column: name });
    }
    stored[`c${position}`] = converted;
  }
  return stored;
}

const EXPECTED: Record<DatasetColumnType, string> = {
  double: 'a number',
  long: 'a whole number',
  boolean: 'true or false',
  string: 'a text',
  datetime: 'a date as ISO text (2026-01-31, 2026-01-31T12:00:00Z) or in milliseconds since 1970',
};

const shown = (value: unknown) => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
};

function convertValue(value: unknown, type: DatasetColumnType): unknown {
  switch (type) {
    case 'double':
      return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
    case 'long':
      return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined;
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined;
    case 'string':
      return typeof value === 'string' ? value : undefined;
    case 'datetime':
      return toMicroseconds(value);
  }
}

const ISO = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(\.\d{1,9})?\s*(Z|[+-]\d{2}(?::?\d{2})?)?)?$/;

/** Without a zone the time is UTC, as everywhere in datasets. */
function toMicroseconds(value: unknown): number | undefined {
  if (typeof value === 'number')
    return Number.isSafeInteger(value * 1000) ? Math.round(value * 1000) : undefined;
  const parts = typeof value === 'string' ? ISO.exec(value.trim()) : null;
  if (!parts) return undefined;
  const [, day, time = '00:00', fraction = '', zone = 'Z'] = parts;
  const offset = /^[+-]\d{2}$/.test(zone) ? `${zone}:00` : zone.replace(/^([+-]\d{2})(\d{2})$/, '$1:$2');
  const ms = Date.parse(`${day}T${time.length === 5 ? `${time}:00` : time}${offset}`);
  if (Number.isNaN(ms) || new Date(Date.parse(`${day}T00:00:00Z`)).toISOString().slice(0, 10) !== day)
    return undefined;
  return ms * 1000 + Math.trunc(Number(`0${fraction}`) * 1e6);
}
