import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { openDatabase } from '../../src/platform/database/open-database.ts';
import { silentLogger } from './silent-logger.ts';
import { type PostgresServer, startPostgres } from './start-postgres.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A migrated SQLite file to copy, or why there is none. */
    sqliteTemplate: { path: string } | { problem: string };
    /** A PostgreSQL server with a migrated template database, or why there is none. */
    postgresServer: { url: string; template: string } | { problem: string };
  }
}

const TEMPLATE = 'tidemill_template';
const commandsModule = new URL('../../src/commands.ts', import.meta.url);

/** Vitest's global set-up: one migrated SQLite file and one PostgreSQL server with a migrated template database. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemill-tests-'));
  const [sqlite, postgres] = await Promise.allSettled([makeSqliteTemplate(folder), makePostgres()]);

  project.provide(
    'sqliteTemplate',
    sqlite.status === 'fulfilled' ? { path: sqlite.value } : { problem: describe(sqlite.reason) },
  );
  if (postgres.status === 'fulfilled') {
    project.provide('postgresServer', { url: postgres.value.url, template: TEMPLATE });
  } else {
    const problem = describe(postgres.reason);
    if (mustHavePostgres(process)) {
      rmSync(folder, { recursive: true, force: true });
      throw new Error(`PostgreSQL did not start, and CI must test on it: ${problem}`);
    }
    project.provide('postgresServer', { problem });
    // One line of its own, in this form, so that .ci/run can tell it again at its end.
    process.stdout.write(`\n${skippedLine(problem)}\n`);
  }
  return async () => {
    if (postgres.status === 'fulfilled') await postgres.value.stop();
    rmSync(folder, { recursive: true, force: true });
  };
}

/** Whether a missing PostgreSQL fails the tests: in CI on the system that its package is known to run on. */
export function mustHavePostgres({
  env,
  platform,
  arch,
}: Pick<NodeJS.Process, 'env' | 'platform' | 'arch'>): boolean {
  const isCi = !['', '0', 'false'].includes((env['CI'] ?? '').toLowerCase());
  return isCi && platform === 'linux' && arch === 'x64';
}

/** What is printed where the tests on PostgreSQL are skipped. */
export function skippedLine(problem: string): string {
  return `skipped: the tests on PostgreSQL, because the server did not start: ${problem.replace(/\s+/g, ' ')}`;
}

async function makeSqliteTemplate(folder: string): Promise<string> {
  const path = join(folder, 'template.db');
  const database = await openDatabase({
    url: `sqlite:${path}`,
    commandsModule,
    logger: silentLogger,
    threads: false,
  });
  await database.close();
  return path;
}

async function makePostgres(): Promise<PostgresServer> {
  const server = await startPostgres();
  try {
    await server.createDatabase(TEMPLATE);
    const database = await openDatabase({
      url: `${server.url}/${TEMPLATE}`,
      commandsModule,
      logger: silentLogger,
    });
    await database.close();
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

function describe(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
