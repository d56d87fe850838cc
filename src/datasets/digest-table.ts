import { createHash } from 'node:crypto';
import type { DuckDBDataChunk } from '@duckdb/node-api';
import { columnsAtOnce } from './describe-table.ts';
import { type DuckdbSession, parquetRelation } from './duckdb/duckdb-session.ts';
import { rawItems } from './duckdb/duckdb-vectors.ts';
import { quoteIdentifier } from './duckdb/quote-sql.ts';
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
  const size = columnsAtOnce(rows);
  for (let first = 0; first < columns.length; first += size) {
    hashes.push(...(await digestColumns(session, relation, columns.slice(first, first + size))));
    onProgress?.(hashes.length / columns.length);
  }
  const schema = columns.map(({ name, type, role }) => [name, type, role ?? null]);
  const content = createHash('sha256').update(JSON.stringify(['tidemill-rows-1', schema, rows, hashes]));
  return `sha256:${content.digest('hex')}`;
}

async function digestColumns(
  session: DuckdbSession,
  relation: string,
  columns: readonly DatasetColumn[],
): Promise<string[]> {
  const hashes = columns.map(hashColumn);
  const selected = hashes.flatMap(({ sql }) => sql);
  for await (const chunk of session.chunks(`SELECT ${selected.join(', ')} FROM ${relation}`)) {
    let place = 0;
    for (const { sql, update } of hashes) {
      update(chunk, place);
      place += sql.length;
    }
  }
  return hashes.map(({ digest }) => digest());
}

/** What is selected of a column, and what its values, from place `at` of a chunk on, do to its hash. */
interface ColumnHash {
  sql: string[];
  update: (chunk: DuckDBDataChunk, at: number) => void;
  digest: () => string;
}

function hashColumn({ name: raw, type, nullable }: DatasetColumn): ColumnHash {
  const name = quoteIdentifier(raw);
  const hash = createHash('sha256');
  const digest = () => hash.digest('hex');
  switch (type) {
    case 'string':
      return {
        sql: [`CASE WHEN ${name} IS NULL THEN '-' ELSE strlen(${name}) || ':' || ${name} END`],
        update: (chunk, at) => hash.update(chunk.getColumnValues(at).join('')),
        digest,
      };
    case 'boolean':
      return {
        sql: [`coalesce(CAST(${name} AS UTINYINT), 2)`],
        update: (chunk, at) => hash.update(rawItems(chunk, at)),
        digest,
      };
    case 'double':
    case 'long':
    case 'datetime': {
      const nulls = createHash('sha256');
      return {
        sql: [
          `coalesce(${type === 'datetime' ? `epoch_us(${name})` : name}, 0)`,
          `CAST(${name} IS NULL AS UTINYINT)`,
        ],
        update(chunk, at) {
          hash.update(rawItems(chunk, at));
          nulls.update(rawItems(chunk, at + 1));
        },
        digest() {
          if (nullable) hash.update(nulls.digest());
          return digest();
        },
      };
    }
  }
}
