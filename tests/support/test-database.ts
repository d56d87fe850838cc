import { randomBytes } from 'node:crypto';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, inject } from 'vitest';
import { type Database, type DialectName, openDatabase } from '../../src/platform/database/index.ts';
import { silentLogger } from './silent-logger.ts';
import { runStatement } from './start-postgres.ts';
import { tempDir } from './temp-dir.ts';

const commandsModule = new URL('../../src/commands.ts', import.meta.url);
const cleanUps: (() => Promise<unknown>)[] = [];
const urls = new WeakMap<Database, string>();

afterAll(async () => {
  await Promise.all(cleanUps.splice(0).map((cleanUp) => cleanUp()));
});

/**
 * A new database of its own with the whole schema of `src/commands.ts` and no rows; closed and removed when the test
 * file is done. Its commands run in the test's own thread, so that they count for coverage.
 */
export async function openTestDatabase(dialect: DialectName): Promise<Database> {
  const { url, drop } = dialect === 'sqlite' ? copySqliteTemplate() : await clonePostgresTemplate();
  const database = await openDatabase({
    url,
    commandsModule,
    logger: silentLogger,
    threads: false,
    poolSize: 4,
  });
  urls.set(database, url);
  cleanUps.push(async () => {
    await database.close();
    await drop();
  });
  return database;
}

/** Runs the suite on SQLite and on PostgreSQL; the latter is skipped where no server could start. */
export function describeDatabases(
  name: string,
  body: (openDatabase: () => Promise<Database>, dialect: DialectName) => void,
): void {
  describe(`${name} (sqlite)`, () => {
    body(() => openTestDatabase('sqlite'), 'sqlite');
  });
  describe.skipIf('problem' in inject('postgresServer'))(`${name} (postgres)`, () => {
    body(() => openTestDatabase('postgres'), 'postgres');
  });
}

/** Runs one statement behind the platform's back: what a vandal, or an operator with a SQL prompt, could do. */
export async function tamperWith(database: Database, statement: string): Promise<void> {
  const url = urls.get(database) as string;
  if (database.dialect === 'postgres') return runStatement(url, statement);
  const db = new DatabaseSync(url.slice('sqlite:'.length), { timeout: 5000 });
  db.exec(statement);
  db.close();
}

/** The URL of a new empty PostgreSQL database, for tests that migrate it themselves; needs a running server. */
export async function createPostgresDatabase(
  template?: string,
): Promise<{ url: string; drop: () => Promise<void> }> {
  const server = inject('postgresServer');
  if ('problem' in server) throw new Error(`No PostgreSQL: ${server.problem}`);
  const name = `test_${randomBytes(8).toString('hex')}`;
  const from = template === undefined ? '' : ` template ${template} strategy file_copy`;
  await runStatement(`${server.url}/postgres`, `create database ${name}${from}`);
  return {
    url: `${server.url}/${name}`,
    drop: () => runStatement(`${server.url}/postgres`, `drop database if exists ${name} with (force)`),
  };
}

function clonePostgresTemplate() {
  const server = inject('postgresServer');
  return createPostgresDatabase('problem' in server ? undefined : server.template);
}

function copySqliteTemplate(): { url: string; drop: () => Promise<void> } {
  const template = inject('sqliteTemplate');
  if ('problem' in template) throw new Error(`src/commands.ts does not migrate: ${template.problem}`);
  const path = join(tempDir(), 'tidemill.db');
  copyFileSync(template.path, path);
  return { url: `sqlite:${path}`, drop: async () => {} };
}
