import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type {
  FlushRequest,
  FlushResult,
  ForgetRequest,
  ForgetResult,
  MergeRequest,
  WrittenFile,
} from '../log-messages.ts';
import { withConnection } from './duckdb-instances.ts';
import type { HotBatch } from './hot-rows.ts';
import { predictionsOf } from './log-relations.ts';
import type { LogStateHolder } from './log-state.ts';
import { jsonPointer, literal, literals } from './quote-sql.ts';

/** A month with fewer rows goes into one file; beyond, each of its days has its own. */
const ROWS_OF_A_FILE = 100_000;

/** Rows of a model that lie in more months than this have clocks that go wrong: one file holds them. */
const MOST_MONTHS = 60;
/** A date of JavaScript. */
const MAX_TIME_MS = 8.64e15;

const FORMAT = '(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 40960, USE_TMP_FILE false)';

/** Writes the rows of a batch as files, by model and event time; the batch stays as it is. */
export function flushBatch(
  main: DuckDBInstance,
  state: LogStateHolder,
  { batch: name, folder, now }: FlushRequest,
  signal: AbortSignal,
): Promise<FlushResult> {
  const batch = state.batch(name);
  return withConnection(main, signal, async (connection) => {
    await mkdir(folder, { recursive: true });
    const files: WrittenFile[] = [];
    for (const kind of ['predictions', 'feedback'] as const) {
      const table = kind === 'predictions' ? batch.predictions : batch.labels;
      for (const part of await partsOf(connection, table)) {
        const columns = kind === 'predictions' ? [...(batch.columns.get(part.model) ?? [])] : [];
        const path = join(folder, `${kind}-${files.length}.parquet`);
        const where = `model = ${literal(part.model)} AND t >= ${part.from} AND t < ${part.to}`;
        const written = await copy(connection, `SELECT * FROM ${table} WHERE ${where}`, path);
        files.push({ kind, model: part.model, columns, path, ...written! });
      }
    }
    if (batch.setAside.length > 0) files.push(await writeSetAside(connection, batch, folder, now));
    return { files, segments: batch.segments };
  });
}

/** Keeps the lines that are no log entries as text, with what is wrong with each. */
async function writeSetAside(
  connection: DuckDBConnection,
  batch: HotBatch,
  folder: string,
  now: number,
): Promise<WrittenFile> {
  await connection.run(
    'CREATE TEMP TABLE set_aside (segment BIGINT, kind VARCHAR, line INTEGER, problem VARCHAR, text VARCHAR, t BIGINT)',
  );
  const appender = await connection.createAppender('set_aside');
  const safe = (text: string) => text.replaceAll('\0', '\ufffd');
  for (const { segment, kind, line, problem, bytes } of batch.setAside) {
    appender.appendBigInt(BigInt(segment));
    appender.appendVarchar(kind);
    appender.appendInteger(line);
    appender.appendVarchar(safe(problem));
    appender.appendVarchar(safe(Buffer.from(bytes).toString('utf8')));
    appender.appendBigInt(BigInt(Math.round(now)));
    appender.endRow();
  }
  appender.closeSync();
  const path = join(folder, 'set-aside.parquet');
  const written = await copy(connection, 'SELECT * FROM set_aside', path);
  return { kind: 'set-aside', model: '', columns: [], path, ...written! };
}

/** Event times that go into one file each: months, and the days of full months. */
async function partsOf(
  connection: DuckDBConnection,
  table: string,
): Promise<{ model: string; from: number; to: number }[]> {
  const reader = await connection.runAndReadAll(
    // The first and the last month of the calendar reach beyond what a Date holds: DuckDB says where months end.
    `SELECT model, epoch_ms(date_trunc('month', epoch_ms(t)))::DOUBLE AS month,
       epoch_ms(date_trunc('day', epoch_ms(t)))::DOUBLE AS day, count(*)::DOUBLE AS rows,
       epoch_ms(date_trunc('month', epoch_ms(t)) + INTERVAL 1 MONTH)::DOUBLE AS next
     FROM ${table} GROUP BY ALL ORDER BY ALL`,
  );
  const days = reader.getRowsJS() as [string, number, number, number, number][];
  const months = new Map<string, number>();
  const keyOf = ([model, month]: (typeof days)[number]) => `${month} ${model}`;
  for (const day of days) months.set(keyOf(day), (months.get(keyOf(day)) ?? 0) + day[3]);
  const monthsOf = new Map<string, Set<number>>();
  for (const [model, month] of days) monthsOf.set(model, (monthsOf.get(model) ?? new Set()).add(month));
  const parts = new Map<string, { model: string; from: number; to: number }>();
  for (const each of days) {
    const [model, month, day, , next] = each;
    if (monthsOf.get(model)!.size > MOST_MONTHS) {
      parts.set(`all ${model}`, { model, from: -MAX_TIME_MS, to: MAX_TIME_MS + 1 });
      continue;
    }
    const isFull = months.get(keyOf(each))! > ROWS_OF_A_FILE;
    if (isFull) parts.set(`${keyOf(each)} ${day}`, { model, from: day, to: day + 86_400_000 });
    else parts.set(keyOf(each), { model, from: month, to: next });
  }
  return [...parts.values()];
}

/** Writes several files as one. */
export function mergeFiles(
  main: DuckDBInstance,
  { kind, model, paths, columns, folder }: MergeRequest,
  signal: AbortSignal,
): Promise<WrittenFile> {
  return withConnection(main, signal, async (connection) => {
    await mkdir(folder, { recursive: true });
    const path = join(folder, `${kind}.parquet`);
    const written = await copy(connection, `SELECT * FROM read_parquet(${literals(paths)})`, path);
    if (!written) throw new Error('Files without rows cannot be merged');
    return { kind, model, columns, path, ...written };
  });
}

/**
 * Writes the files anew that hold predictions with a value, without them and their labels. The rows of batches are not looked
 * at: file them first.
 */
export async function forgetRows(
  main: DuckDBInstance,
  state: LogStateHolder,
  request: ForgetRequest,
  signal: AbortSignal,
): Promise<ForgetResult> {
  const { model, value, folder } = request;
  const taken = state.snapshot();
  const snapshot = { ...taken, batches: [] };
  const work = async (connection: DuckDBConnection) => {
    await mkdir(folder, { recursive: true });
    const result: ForgetResult = { rewritten: [], removed: [], setAside: 0 };
    const removed = new Map<string, { predictions: number; labels: number }>();
    const countOf = (name: string) => {
      const count = removed.get(name) ?? { predictions: 0, labels: 0 };
      removed.set(name, count);
      return count;
    };
    const matches = matchSql(request);
    await connection.run(
      `CREATE OR REPLACE TEMP TABLE forgotten AS SELECT DISTINCT u, model FROM ${predictionsOf(snapshot, { ...(model !== undefined && { model }) })} WHERE ${matches}`,
    );
    for (const file of snapshot.files) {
      if (model !== undefined && file.kind !== 'set-aside' && file.model !== model) continue;
      const source = `read_parquet([${literal(file.path)}])`;
      if (file.kind === 'set-aside') {
        const kept = `SELECT * FROM ${source} WHERE NOT contains(text, ${literal(value)})`;
        const gone = await countRows(connection, `${source} WHERE contains(text, ${literal(value)})`);
        if (gone === 0) continue;
        result.setAside += gone;
        const path = join(folder, `set-aside-${result.rewritten.length}.parquet`);
        const left = await copy(connection, kept, path);
        result.rewritten.push({ path: file.path, ...(left && { left: { ...file, path, ...left } }) });
        continue;
      }
      const isForgotten = `EXISTS (SELECT 1 FROM forgotten g WHERE g.u = f.u AND g.model = f.model)`;
      const gone = await countRows(connection, `${source} f WHERE ${isForgotten}`);
      if (gone === 0) continue;
      countOf(file.model)[file.kind === 'predictions' ? 'predictions' : 'labels'] += gone;
      const path = join(folder, `${file.kind}-${result.rewritten.length}.parquet`);
      const left = await copy(connection, `SELECT * FROM ${source} f WHERE NOT ${isForgotten}`, path);
      result.rewritten.push({ path: file.path, ...(left && { left: { ...file, path, ...left } }) });
    }
    result.removed = [...removed].map(([name, count]) => ({ model: name, ...count }));
    return result;
  };
  try {
    return await withConnection(main, signal, work);
  } finally {
    await taken.release();
  }
}

/** Numbers are the same however they are written; everything else is the same text. `@key` is what the split was drawn by. */
function matchSql({ column, value }: ForgetRequest): string {
  const found =
    column === '@key' ? 'split_key' : `json_extract_string(features, ${literal(jsonPointer(column))})`;
  const wanted = literal(value);
  const asNumber = (text: string) => `TRY_CAST(${text} AS DECIMAL(38, 9))`;
  return `(${found} = ${wanted} OR ${asNumber(found)} = ${asNumber(wanted)})`;
}

/** Writes a query's rows in the order of their event time, and tells their number and span; nothing when there are none. */
async function copy(
  connection: DuckDBConnection,
  query: string,
  path: string,
): Promise<{ fromMs: number; toMs: number; rows: number } | undefined> {
  const order = (await connection.runAndReadAll(`DESCRIBE ${query}`))
    .getRowsJS()
    .some(([name]) => name === 'u')
    ? ' ORDER BY t, u, segment, line'
    : '';
  await connection.run(`COPY (${query}${order}) TO ${literal(path)} ${FORMAT}`);
  const reader = await connection.runAndReadAll(
    `SELECT count(*)::DOUBLE, min(t)::DOUBLE, max(t)::DOUBLE FROM read_parquet(${literal(path)})`,
  );
  const [rows, fromMs, toMs] = reader.getRowsJS()[0] as [number, number, number];
  return rows === 0 ? undefined : { rows, fromMs, toMs };
}

async function countRows(connection: DuckDBConnection, from: string): Promise<number> {
  const reader = await connection.runAndReadAll(`SELECT count(*)::DOUBLE FROM ${from}`);
  return reader.getRowsJS()[0]![0] as number;
}
