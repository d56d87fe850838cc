import { resolve } from 'node:path';
import { ApiError } from '../errors.ts';
import { reportEdited, reportMigrations } from './applied-migrations.ts';
import type { Database, DatabaseOptions } from './database.ts';
import { createReaderPool } from './reader-pool.ts';
import type { WriterOptions } from './sqlite-writer.ts';
import { startThread } from './thread-client.ts';

/** `.ts` in the repository, `.js` in the release build. */
const extension = import.meta.url.slice(-3);

/** SQLite: one writer thread with group commit, and read-only threads that start when reads overlap. */
export async function openSqlite(options: DatabaseOptions): Promise<Database> {
  const path = resolve(options.url.slice('sqlite:'.length));
  const threads = options.threads ?? true;
  const limits = { timeoutMs: options.timeoutMs ?? 30_000, onFatal };
  const writerOptions: WriterOptions = {
    path,
    commandsModule: options.commandsModule.href,
    groupCommit: options.groupCommit ?? true,
    holder: { pid: process.pid, since: new Date().toISOString(), command: process.argv.join(' ') },
  };

  function onFatal(error: Error): void {
    options.logger.fatal({ err: error, path }, 'the database has stopped');
    options.onFatal?.(error);
  }

  const writer = startThread(
    threads
      ? { worker: new URL(`./writer-thread${extension}`, import.meta.url), workerData: writerOptions }
      : { serve: async (port) => (await import('./serve-writer.ts')).serveWriter(port, writerOptions) },
    {
      name: 'writer',
      schedule: setImmediate,
      onLooked: (look) => reportEdited(look, options.logger),
      ...limits,
    },
  );
  // Kysely takes a while to load: meanwhile the thread does the same.
  const [{ Kysely }, { createSqliteDialect }] = await Promise.all([
    import('kysely'),
    import('./sqlite-dialect.ts'),
  ]);
  reportMigrations(await writer.opened, options.logger);

  const readers = createReaderPool({
    most: threads ? (options.readers ?? 2) : 1,
    start: () =>
      startThread(
        threads
          ? { worker: new URL(`./reader-thread${extension}`, import.meta.url), workerData: { path } }
          : { serve: async (port) => (await import('./serve-reader.ts')).serveReader(port, { path }) },
        { name: 'reader', schedule: queueMicrotask, ...limits },
      ),
  });

  const closed = new ApiError('TEMPORARILY_UNAVAILABLE', 'The database is closed');
  let closing: Promise<void> | undefined;
  return {
    dialect: 'sqlite',
    reader: new Kysely({
      dialect: createSqliteDialect((sql, parameters) => {
        if (closing !== undefined) throw closed;
        return readers.run(sql, parameters);
      }),
    }),
    execute(command, input) {
      if (closing !== undefined) return Promise.reject(closed);
      return writer.call({ name: command.name, input }) as Promise<never>;
    },
    close() {
      closing ??= Promise.all([writer.close(), readers.close(closed)]).then(() => {});
      return closing;
    },
  };
}
