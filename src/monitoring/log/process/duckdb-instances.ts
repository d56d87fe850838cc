import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { ProcessSetUp } from '../log-messages.ts';
import { literal, literals } from './quote-sql.ts';

/** DuckDB for our own work: it reads and writes the log's files. */
export async function openMain({
  workFolder,
  memoryLimitMb,
  threads,
}: ProcessSetUp): Promise<DuckDBInstance> {
  const spill = join(workFolder, 'spill-main');
  await emptyFolder(spill);
  const instance = await DuckDBInstance.create(':memory:', options(spill, memoryLimitMb, threads));
  const connection = await instance.connect();
  await connection.run(`SET GLOBAL TimeZone = 'UTC'`);
  await connection.run('SET GLOBAL parquet_metadata_cache = true');
  connection.closeSync();
  return instance;
}

/**
 * DuckDB for users' SQL: it reaches the files that it is given and nothing else of the machine, and its configuration is
 * locked. What it holds goes with it.
 */
export async function openGuest(
  { workFolder, guestMemoryLimitMb, threads }: ProcessSetUp,
  files: readonly string[],
  folder: string,
): Promise<DuckDBInstance> {
  const spill = join(workFolder, 'spill-guest');
  await mkdir(spill, { recursive: true });
  const instance = await DuckDBInstance.create(
    ':memory:',
    options(spill, guestMemoryLimitMb, threads, '1GB'),
  );
  const connection = await instance.connect();
  for (const statement of [
    `SET GLOBAL TimeZone = 'UTC'`,
    'SET GLOBAL parquet_metadata_cache = true',
    `SET allowed_paths = ${literals(files)}`,
    `SET allowed_directories = [${literal(`${folder}/`)}]`,
    'SET enable_external_access = false',
    'SET lock_configuration = true',
  ])
    await connection.run(statement);
  connection.closeSync();
  return instance;
}

function options(
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

export async function emptyFolder(path: string): Promise<void> {
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
