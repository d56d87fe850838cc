import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { ProcessSetUp } from '../log-messages.ts';

/** DuckDB for our own work: it reads and writes the log's files. */
export async function openMain({
  workFolder,
  memoryLimitMb,
  threads,
}: ProcessSetUp): Promise<DuckDBInstance> {
  const spill = join(workFolder, 'spill-main');
  await emptyFolder(spill);
  const instance = await DuckDBInstance.create(':memory:', instanceOptions(spill, memoryLimitMb, threads));
  const connection = await instance.connect();
  await connection.run(`SET GLOBAL TimeZone = 'UTC'`);
  await connection.run('SET GLOBAL parquet_metadata_cache = true');
  connection.closeSync();
  return instance;
}

/** Settings that every instance has; none reaches for extensions. */
export function instanceOptions(
  spill: string,
  memoryLimitMb: number,
  threads: number,
  spillLimit = '4GB',
): Record<string, string> {
  return {
    threads: String(threads),
    memory_limit: `${memoryLimitMb}MB`,
    temp_directory: spill,
    max_temp_directory_size: spillLimit,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
  };
}

async function emptyFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { recursive: true });
}

/** Runs work on a connection of its own, which `signal` interrupts. */
export async function withConnection<T>(
  instance: DuckDBInstance,
  signal: AbortSignal,
  work: (connection: DuckDBConnection) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const connection = await instance.connect();
  const interrupt = () => connection.interrupt();
  signal.addEventListener('abort', interrupt, { once: true });
  try {
    return await work(connection);
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', interrupt);
    connection.closeSync();
  }
}
