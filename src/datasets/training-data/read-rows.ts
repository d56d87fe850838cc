import { basename } from 'node:path';
import type { JS } from '@duckdb/node-api';
import { type DuckdbSession, openDuckdb } from '../duckdb/duckdb-session.ts';
import { wholeMs } from '../duckdb/quote-sql.ts';
import { sizeOfFile, tellFormat } from '../ingest/ingest-file.ts';
import { readCsvSource } from '../ingest/read-csv-source.ts';
import { readJsonLinesSource } from '../ingest/read-json-lines-source.ts';
import { readParquetSource } from '../ingest/read-parquet-source.ts';
import type { SourceFormat, SourceTable } from '../ingest/source-table.ts';
import type { DatasetColumn } from '../table.ts';
import { unknownColumn } from '../unknown-column.ts';
import { ENTITY_COLUMN, TIME_COLUMN } from './export-held-out.ts';

export interface ReadRowsOptions {
  /** The columns to read; all otherwise. */
  columns?: readonly string[];
  limit?: number;
  format?: SourceFormat;
  /** Columns that are text whatever their values look like, such as those that a model's signature calls text. */
  text?: readonly string[];
  signal?: AbortSignal;
}

/** A value of a row: datetimes are ISO texts in UTC, missing values null. */
export type RowValue = number | string | boolean | null;

/**
 * Reads the rows of a CSV, Parquet or JSON lines file in their order, in batches of up to 2048, with the same checks and the same
 * types as `ingestFile`. The objects have no prototype, so that any column name is safe.
 */
export async function* readRows(
  path: string,
  options: ReadRowsOptions = {},
): AsyncGenerator<Record<string, RowValue>[]> {
  const sourceName = basename(path);
  await sizeOfFile(path);
  const opened = await openDuckdb({ read: [path], signal: options.signal });
  try {
    const source = await openSource(opened.session, path, sourceName, options);
    const names = source.columns.map(({ name }) => name);
    for (const name of options.columns ?? []) if (!names.includes(name)) throw unknownColumn(name, names);
    const columns = source.columns.filter(({ name }) => options.columns?.includes(name) ?? true);
    const selected = columns.map(
      ({ sql, type }, index) => `${type === 'datetime' ? wholeMs(sql) : sql} AS c${index}`,
    );
    const limit = options.limit === undefined ? '' : ` LIMIT ${Math.max(0, Math.floor(options.limit))}`;
    for await (const chunk of opened.session.chunks(
      `SELECT ${selected.join(', ')} FROM ${source.relation}${limit}`,
    )) {
      yield toRows(
        columns,
        columns.map((_, index) => chunk.getColumnValues(index) as JS[]),
        chunk.rowCount,
      );
    }
  } catch (error) {
    throw opened.explain(error);
  } finally {
    await opened.close();
  }
}

async function openSource(
  session: DuckdbSession,
  path: string,
  sourceName: string,
  { format, text = [], signal }: ReadRowsOptions,
): Promise<SourceTable> {
  const read = { csv: readCsvSource, parquet: readParquetSource, jsonl: readJsonLinesSource }[
    format ?? (await tellFormat(path, sourceName))
  ];
  return read({ session, path, sourceName, text, signal });
}

function toRows(columns: readonly Pick<DatasetColumn, 'name' | 'type'>[], values: JS[][], count: number) {
  const rows: Record<string, RowValue>[] = [];
  for (let row = 0; row < count; row++) {
    const object: Record<string, RowValue> = Object.create(null);
    for (const [index, { name, type }] of columns.entries())
      object[name] = toValue(values[index]![row], type);
    rows.push(object);
  }
  return rows;
}

function toValue(value: JS | undefined, type: DatasetColumn['type']): RowValue {
  if (value === null || value === undefined) return null;
  if (type === 'datetime') {
    const date = new Date(Number(value));
    return Number.isNaN(date.getTime()) ? null : date.toISOString();
  }
  return typeof value === 'bigint' ? Number(value) : (value as RowValue);
}

/** Rows of a held-out file, the features and the target apart, for scoring a model. */
export async function readHeldOut(
  path: string,
  options: { targetName: string; limit?: number; text?: readonly string[]; signal?: AbortSignal },
): Promise<{ rows: Record<string, RowValue>[]; targets: RowValue[] }> {
  const rows: Record<string, RowValue>[] = [];
  const targets: RowValue[] = [];
  for await (const batch of readRows(path, {
    limit: options.limit,
    text: options.text,
    signal: options.signal,
  })) {
    for (const row of batch) {
      if (!Object.hasOwn(row, options.targetName))
        throw unknownColumn(options.targetName, Object.keys(row), 'the target');
      targets.push(row[options.targetName] ?? null);
      for (const name of [options.targetName, TIME_COLUMN, ENTITY_COLUMN]) delete row[name];
      rows.push(row);
    }
  }
  return { rows, targets };
}
