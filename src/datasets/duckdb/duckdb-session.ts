import { realpathSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir, totalmem } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import type { DuckDBConnection, DuckDBDataChunk } from '@duckdb/node-api';
import { ApiError } from '../../platform/index.ts';
import { quoteText, quoteTextList } from './quote-sql.ts';

/** What one piece of work in DuckDB may touch and use; everything else on the machine is out of its reach. */
export interface DuckdbLimits {
  /** Files that may be read. */
  read: string[];
  /** Files that may be written; their folders must exist. */
  write?: string[];
  threads?: number;
  memoryLimitMb?: number;
  /** Disk that sorting and grouping may use when memory runs out. */
  spillLimitMb?: number;
  /** After this the query is interrupted. */
  timeLimitMs?: number;
  signal?: AbortSignal;
}

/** The values that our own queries answer in rows. */
export type Cell = string | number | bigint | boolean | readonly number[] | null;

/** A connection that is open while `withDuckdb` runs. */
export interface DuckdbSession {
  run(sql: string): Promise<void>;
  /** All rows as objects without a prototype, so that a column may be called `__proto__`. */
  rows(sql: string): Promise<Record<string, Cell>[]>;
  /** The one row that a query answers. */
  row(sql: string): Promise<Record<string, Cell>>;
  /** The result in chunks of up to 2048 rows, in the order of the rows; a chunk's memory is only valid until the next. */
  chunks(sql: string): AsyncGenerator<DuckDBDataChunk>;
  /** Another connection to the same memory and files, whose queries run at the same time; it ends with this one. */
  beside(): Promise<DuckdbSession>;
}

/** Two in five parts of the machine's memory, or of the container's, and never more than 2 GB. */
const defaultMemoryLimitMb = () => {
  const bytes = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  return Math.round(Math.min(2048, (bytes / 2 ** 20) * 0.4));
};
const TEN_MINUTES_MS = 600_000;

/**
 * Runs `work` with a DuckDB instance of its own, which is closed afterwards, so that an idle process holds no memory for it.
 * It reaches only the files of `limits`; its configuration is locked. DuckDB's complaints come out as `ApiError`s.
 */
export async function withDuckdb<T>(
  limits: DuckdbLimits,
  work: (session: DuckdbSession) => Promise<T>,
): Promise<T> {
  const opened = await openDuckdb(limits);
  try {
    return await work(opened.session);
  } catch (error) {
    throw opened.explain(error);
  } finally {
    await opened.close();
  }
}

/** The same for work that lasts longer than a call, such as a generator: `close` must be called, `explain` makes errors readable. */
export async function openDuckdb(limits: DuckdbLimits): Promise<{
  session: DuckdbSession;
  explain: (error: unknown) => unknown;
  close: () => Promise<void>;
}> {
  limits.signal?.throwIfAborted();
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const spillFolder = await mkdtemp(join(tmpdir(), 'tidemill-duckdb-'));
  const instance = await DuckDBInstance.create(':memory:', {
    threads: String(limits.threads ?? Math.min(4, availableParallelism())),
    memory_limit: `${limits.memoryLimitMb ?? defaultMemoryLimitMb()}MB`,
    temp_directory: spillFolder,
    max_temp_directory_size: `${limits.spillLimitMb ?? 20_000}MB`,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
  });
  const connection = await instance.connect();
  const connections = [connection];
  const state: { stopped?: 'time' | 'signal' } = {};
  const timeLimitMs = limits.timeLimitMs ?? TEN_MINUTES_MS;
  const stop = (why: 'time' | 'signal') => {
    state.stopped ??= why;
    for (const each of connections) each.interrupt();
  };
  const timer = setTimeout(stop, timeLimitMs, 'time');
  const abort = () => stop('signal');
  limits.signal?.addEventListener('abort', abort, { once: true });
  if (limits.signal?.aborted) stop('signal');
  const close = async () => {
    clearTimeout(timer);
    limits.signal?.removeEventListener('abort', abort);
    for (const each of connections) each.closeSync();
    instance.closeSync();
    await rm(spillFolder, { recursive: true, force: true });
  };
  const explain = (error: unknown) => {
    if (state.stopped === 'signal') return limits.signal?.reason ?? error;
    if (state.stopped === 'time') {
      return new ApiError(
        'INVALID_PARAMETER_VALUE',
        `The table took longer than ${timeLimitMs / 1000} s to process; use fewer rows or a simpler expression`,
      );
    }
    return explainDuckdbError(error);
  };
  try {
    const reachable = [...limits.read, ...(limits.write ?? [])].map(resolvePath);
    await connection.run(`SET GLOBAL TimeZone = 'UTC'`);
    await connection.run(`SET allowed_paths = ${quoteTextList(reachable)}`);
    await connection.run('SET parquet_metadata_cache = true');
    await connection.run('SET enable_external_access = false');
    await connection.run('SET lock_configuration = true');
  } catch (error) {
    await close();
    throw error;
  }
  const connect = async () => {
    const another = await instance.connect();
    connections.push(another);
    return another;
  };
  return { session: createSession(connection, state, connect), explain, close };
}

/** The path under which DuckDB knows a file: absolute and without symbolic links in its folder. */
export function resolvePath(path: string): string {
  const absolute = resolve(path);
  try {
    return join(realpathSync(dirname(absolute)), basename(absolute));
  } catch {
    return absolute;
  }
}

/** A Parquet file as something to select from, its rows in the order of the file. */
export const parquetRelation = (path: string): string => `read_parquet(${quoteText(resolvePath(path))})`;

function createSession(
  connection: DuckDBConnection,
  state: { stopped?: string },
  connect: () => Promise<DuckDBConnection>,
): DuckdbSession {
  const checkStopped = () => {
    if (state.stopped) throw new Error('INTERRUPT');
  };
  const rows = async (sql: string) => {
    checkStopped();
    const reader = await connection.runAndReadAll(sql);
    const names = reader.columnNames();
    return reader.getRowsJS().map((values) => {
      const row: Record<string, Cell> = Object.create(null);
      for (const [index, name] of names.entries()) row[name] = values[index] as Cell;
      return row;
    });
  };
  return {
    rows,
    run: async (sql) => {
      checkStopped();
      await connection.run(sql);
    },
    row: async (sql) => {
      const [first] = await rows(sql);
      if (!first) throw new Error('A query that answers one row answered none');
      return first;
    },
    chunks: async function* (sql) {
      checkStopped();
      const result = await connection.stream(sql);
      for (let chunk = await result.fetchChunk(); chunk?.rowCount; chunk = await result.fetchChunk()) {
        yield chunk;
        checkStopped();
      }
    },
    beside: async () => createSession(await connect(), state, connect),
  };
}

function explainDuckdbError(error: unknown): unknown {
  if (error instanceof ApiError || !(error instanceof Error)) return error;
  if (/^Out of Memory Error/i.test(error.message)) {
    return new ApiError(
      'INVALID_PARAMETER_VALUE',
      'The table does not fit into the memory that its processing may use; use fewer rows or columns',
      undefined,
      { cause: error },
    );
  }
  return error;
}
