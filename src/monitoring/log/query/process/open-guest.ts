import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import type { SharedLog } from '../../log-messages.ts';
import { instanceOptions } from '../../process/duckdb-instances.ts';
import { literal, literals } from '../../process/quote-sql.ts';
import type { QuerySetUp } from '../query-messages.ts';

/**
 * DuckDB for users' SQL: it reaches the files that it is given and the copies of hot rows beside them, nothing else of the
 * machine, and its configuration is locked.
 */
export async function openGuest(
  { workFolder, hotFolder, memoryLimitMb, threads }: QuerySetUp,
  { files }: SharedLog,
): Promise<DuckDBInstance> {
  const spill = join(workFolder, 'spill');
  await mkdir(spill, { recursive: true });
  const instance = await DuckDBInstance.create(
    ':memory:',
    instanceOptions(spill, memoryLimitMb, threads, '1GB'),
  );
  const connection = await instance.connect();
  for (const statement of [
    `SET GLOBAL TimeZone = 'UTC'`,
    'SET GLOBAL parquet_metadata_cache = true',
    `SET allowed_paths = ${literals(files.map(({ path }) => path))}`,
    `SET allowed_directories = [${literal(`${hotFolder}/`)}]`,
    'SET enable_external_access = false',
    'SET lock_configuration = true',
  ])
    await connection.run(statement);
  connection.closeSync();
  return instance;
}
