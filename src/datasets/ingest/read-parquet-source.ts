import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { ApiError } from '../../platform/index.ts';
import { parquetRelation } from '../duckdb/duckdb-session.ts';
import { quoteIdentifier } from '../duckdb/quote-sql.ts';
import { infiniteNote } from './infer-text-columns.ts';
import { checkColumnNames } from './sniff-csv.ts';
import type { SourceColumn, SourceRequest, SourceTable } from './source-table.ts';

/** Reads the schema of a Parquet file; columns of a type that no model takes are left out, which a note says. */
export async function readParquetSource(request: SourceRequest): Promise<SourceTable> {
  const { session, path, sourceName, text } = request;
  const { sha256, sizeBytes } = await hashFile(request);
  const relation = parquetRelation(path);
  const described = await session.rows(`DESCRIBE SELECT * FROM ${relation}`).catch((error: unknown) => {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `${sourceName} cannot be read as Parquet: it is damaged or of another format`,
      undefined,
      { cause: error },
    );
  });
  const names = described.map((row) => String(row['column_name']));
  checkColumnNames(names, (problem) => {
    throw new ApiError('INVALID_PARAMETER_VALUE', `${sourceName}: ${problem}`);
  });
  const notes: string[] = [];
  const columns: SourceColumn[] = [];
  for (const row of described) {
    const name = String(row['column_name']);
    const column = convertColumn(name, String(row['column_type']), text.includes(name));
    if (column) columns.push(column);
    else
      notes.push(
        `column ${JSON.stringify(name)} of type ${String(row['column_type'])} is left out: not a single value a row`,
      );
  }
  notes.push(...(await countLosses(request, relation, columns, described)));
  return { relation, columns, notes, sha256, sizeBytes };
}

/** How a DuckDB type becomes one of ours; undefined where it cannot. */
export function convertColumn(name: string, duckdbType: string, asText: boolean): SourceColumn | undefined {
  const sql = quoteIdentifier(name);
  const base = duckdbType.replace(/\(.*$/s, '');
  if (/\[\d*\]$/.test(duckdbType)) return undefined;
  if (asText && base !== 'STRUCT' && base !== 'MAP' && base !== 'BLOB') {
    return { name, type: 'string', sql: `CAST(${sql} AS VARCHAR)` };
  }
  switch (base) {
    case 'BOOLEAN':
      return { name, type: 'boolean', sql };
    case 'TINYINT':
    case 'SMALLINT':
    case 'INTEGER':
    case 'BIGINT':
    case 'UTINYINT':
    case 'USMALLINT':
    case 'UINTEGER':
      return { name, type: 'long', sql: `CAST(${sql} AS BIGINT)` };
    case 'UBIGINT':
    case 'HUGEINT':
    case 'UHUGEINT':
    case 'DECIMAL':
    case 'FLOAT':
    case 'DOUBLE': {
      const value = `CAST(${sql} AS DOUBLE)`;
      return { name, type: 'double', sql: `CASE WHEN isfinite(${value}) THEN ${value} END` };
    }
    case 'VARCHAR':
    case 'ENUM':
    case 'UUID':
      return { name, type: 'string', sql: `CAST(${sql} AS VARCHAR)` };
    case 'DATE':
    case 'TIMESTAMP':
    case 'TIMESTAMP_S':
    case 'TIMESTAMP_MS':
    case 'TIMESTAMP_NS':
    case 'TIMESTAMP WITH TIME ZONE': {
      const value = `CAST(${sql} AS TIMESTAMP)`;
      return { name, type: 'datetime', sql: `CASE WHEN isfinite(${value}) THEN ${value} END` };
    }
    default:
      return undefined;
  }
}

async function countLosses(
  { session }: SourceRequest,
  relation: string,
  columns: SourceColumn[],
  described: Record<string, unknown>[],
): Promise<string[]> {
  const floats = columns.filter(({ name, type }) => {
    const source = String(described.find((row) => row['column_name'] === name)?.['column_type']);
    return type === 'double' && /^(FLOAT|DOUBLE)$/.test(source);
  });
  if (floats.length === 0) return [];
  const counts = floats.map(
    ({ name }, index) => `count(*) FILTER (isinf(${quoteIdentifier(name)})) AS "${index}"`,
  );
  const row = await session.row(`SELECT ${counts.join(', ')} FROM ${relation}`);
  return floats.flatMap(({ name }, index) =>
    Number(row[index]) > 0 ? [infiniteNote(name, Number(row[index]))] : [],
  );
}

async function hashFile({
  path,
  signal,
  onProgress,
}: SourceRequest): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of createReadStream(path, {
    highWaterMark: 2 ** 20,
    signal,
  }) as AsyncIterable<Uint8Array>) {
    hash.update(chunk);
    sizeBytes += chunk.length;
    onProgress?.(sizeBytes);
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}
