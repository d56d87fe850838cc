import { resolve } from 'node:path';
import { Kysely } from 'kysely';
import { ApiError } from '../errors.ts';
import type { Database, DatabaseOptions } from './database.ts';
import { serveReader } from './serve-reader.ts';
import { serveWriter } from './serve-writer.ts';
import type { SqlResult } from './sqlite-connection.ts';
import { createSqliteDialect } from './sqlite-dialect.ts';
import type { WriterOptions } from './sqlite-writer.ts';
import { startThread, type ThreadClient } from './thread-client.ts';

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
      : { serve: (port) => serveWriter(port, writerOptions) },
    { name: 'writer', ...limits },
  );
  const migrations = await writer.opened;
  if (migrations.applied.length > 0)
    options.logger.info({ migrations: migrations.applied }, 'schema brought up to date');
  if (migrations.edited.length > 0)
    options.logger.warn(
      { migrations: migrations.edited },
      'migrations differ from those that made this database',
    );

  const readers: ThreadClient[] = [];
  const mostReaders = threads ? (options.readers ?? 2) : 1;

  function startReader(): ThreadClient {
    const reader = startThread(
      threads
        ? { worker: new URL(`./reader-thread${extension}`, import.meta.url), workerData: { path } }
        : { serve: (port) => serveReader(port, { path }) },
      { name: 'reader', ...limits },
    );
    readers.push(reader);
    return reader;
  }

  function pickReader(): ThreadClient {
    const least = readers.reduce<ThreadClient | undefined>(
      (best, each) => (best === undefined || each.pending < best.pending ? each : best),
      undefined,
    );
    if (least !== undefined && (least.pending === 0 || readers.length >= mostReaders)) return least;
    return startReader();
  }

  let closing: Promise<void> | undefined;
  return {
    dialect: 'sqlite',
    reader: new Kysely({
      dialect: createSqliteDialect((sql, parameters) => {
        if (closing !== undefined) throw new ApiError('TEMPORARILY_UNAVAILABLE', 'The database is closed');
        return pickReader().call({ sql, parameters }) as Promise<SqlResult>;
      }),
    }),
    execute(command, input) {
      return writer.call({ name: command.name, input }) as Promise<never>;
    },
    close() {
      closing ??= Promise.all([writer, ...readers].map((thread) => thread.close())).then(() => {});
      return closing;
    },
  };
}
