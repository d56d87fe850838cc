import { createHash } from 'node:crypto';
import type { DuckDBDataChunk } from '@duckdb/node-api';
import { type DuckdbSession, parquetRelation } from './duckdb-session.ts';
import { rawItems } from './duckdb-vectors.ts';
import { quoteIdentifier } from './quote-sql.ts';
import type { DatasetColumn } from './table.ts';

/**
 * The digest of a table's content: sha256 over its schema, its number of rows, and a sha256 of each column's values in the order
 * of the rows. It depends on nothing else, so the same rows from CSV and from Parquet have the same digest, whatever wrote them.
 *
 * Values: doubles, 64-bit integers and datetimes (microseconds) as 8 bytes, little-endian, 0 where missing, a column with missing
 * values followed by a byte for every row (1: missing); booleans as a byte (2: missing); text as `length:text` in UTF-8 (`-`: missing).
 */
export async function digestTable(
  session: DuckdbSession,
  parquetPath: string,
  columns: readonly DatasetColumn[],
  rows: number,
  onProgress?: (done: number) => void,
): Promise<string> {
  const relation = parquetRelation(parquetPath);
  const hashes: string[] = [];
  for (const [index, column] of columns.entries()) {
    hashes.push(await digestColumn(session, relation, column));
    onProgress?.((index + 1) / columns.length);
  }
  const schema = columns.map(({ name, type, role }) => [name, type, role ?? null]);
  const content = createHash('sha256').update(JSON.stringify(['tidemill-rows-1', schema, rows, hashes]));
  return `sha256:${content.digest('hex')}`;
}

async function digestColumn(
  session: DuckdbSession,
  relation: string,
  column: DatasetColumn,
): Promise<string> {
  const name = quoteIdentifier(column.name);
  const hash = createHash('sha256');
  switch (column.type) {
    case 'string': {
      const text = `CASE WHEN ${name} IS NULL THEN '-' ELSE strlen(${name}) || ':' || ${name} END`;
      for await (const chunk of session.chunks(`SELECT ${text} FROM ${relation}`)) {
        hash.update(chunk.getColumnValues(0).join(''));
      }
      break;
    }
    case 'boolean':
      await update(session, `SELECT coalesce(CAST(${name} AS UTINYINT), 2) FROM ${relation}`, (chunk) =>
        hash.update(rawItems(chunk, 0)),
      );
      break;
    case 'double':
    case 'long':
    case 'datetime': {
      const value = { double: name, long: name, datetime: `epoch_us(${name})` }[column.type];
      const nulls = createHash('sha256');
      await update(
        session,
        `SELECT coalesce(${value}, 0), CAST(${name} IS NULL AS UTINYINT) FROM ${relation}`,
        (chunk) => {
          hash.update(rawItems(chunk, 0));
          nulls.update(rawItems(chunk, 1));
        },
      );
      if (column.nullable) hash.update(nulls.digest());
    }
  }
  return hash.digest('hex');
}

async function update(
  session: DuckdbSession,
  sql: string,
  take: (chunk: DuckDBDataChunk) => void,
): Promise<void> {
  for await (const chunk of session.chunks(sql)) take(chunk);
}
