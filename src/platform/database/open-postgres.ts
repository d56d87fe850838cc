import { CompiledQuery } from 'kysely';
import { ApiError } from '../errors.ts';
import { lookForEdited, reportEdited, reportMigrations } from './applied-migrations.ts';
import { indexCommands, loadCommandsModule } from './commands-module.ts';
import type { Database, DatabaseOptions, Tx } from './database.ts';
import { type Migrated, migrate } from './migrate.ts';
import { describePostgresError, isConflict, isConnectionLost } from './postgres-error.ts';
import { connectPool } from './postgres-pool.ts';

/** One migrating process at a time; the number only has to differ from other programs' locks. */
const MIGRATION_LOCK = 7_070_001;
/** How long `close` waits for work under way. */
const CLOSE_WAIT_MS = 5000;
const MOST_ATTEMPTS = 6;
/** All migrations together may take so many times as long as one command. */
const MIGRATION_SHARE = 10;

/** PostgreSQL: a command is a transaction in this process, repeated when the server asks for that. */
export async function openPostgres(options: DatabaseOptions): Promise<Database> {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const where = nameServer(options.url);
  const module = await loadCommandsModule(options.commandsModule.href);
  const findCommand = indexCommands(module);
  const max = options.poolSize ?? 10;
  const writes = connectPool(options.url, {
    max,
    statementMs: timeoutMs,
    readOnly: false,
    describe: (error) => error,
  });
  const reads = connectPool(options.url, {
    max,
    statementMs: timeoutMs,
    readOnly: true,
    describe: (error) => describePostgresError(error, where),
  });
  const writer = writes.kysely;

  function withinLimit<T>(
    work: Promise<T>,
    onTimeout: () => void,
    limitMs = timeoutMs,
    describeTimeout = () => `The PostgreSQL server ${where} did not answer within ${limitMs} ms`,
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const timer = setTimeout(() => {
      onTimeout();
      reject(new ApiError('TEMPORARILY_UNAVAILABLE', describeTimeout()));
    }, limitMs);
    work
      .then(resolve, (error) => reject(describePostgresError(error, where)))
      .finally(() => clearTimeout(timer));
    return promise;
  }

  async function attempt<I, O>(run: (tx: Tx, input: I) => Promise<O>, input: I): Promise<O> {
    let abandoned = false;
    const work = async (): Promise<O> => {
      for (let tries = 1; ; tries++) {
        let begun = false;
        try {
          return await writer.transaction().execute(async (tx) => {
            begun = true;
            const output = await run(tx, input);
            // The caller was told that it failed, so it must not happen after all.
            if (abandoned) throw new ApiError('TEMPORARILY_UNAVAILABLE', 'Took longer than its time limit');
            return output;
          });
        } catch (error) {
          // Before the command has begun, a lost connection has lost nothing.
          const repeats = isConflict(error) || (!begun && isConnectionLost(error));
          if (abandoned || tries >= MOST_ATTEMPTS || !repeats) throw error;
          await new Promise((resolve) => setTimeout(resolve, 2 ** tries * (2 + Math.random() * 3)));
        }
      }
    };
    return withinLimit(work(), () => {
      abandoned = true;
    });
  }

  const closeAll = (waitMs: number) =>
    Promise.all([writes.close(waitMs), reads.close(waitMs)]).then(() => {});
  let migrated: Migrated;
  let isGivenUp = false;
  const done: string[] = [];
  try {
    await withinLimit(writer.executeQuery(CompiledQuery.raw('select 1')), () => {});
    migrated = await withinLimit(
      writer.connection().execute(async (db) => {
        await db.executeQuery(CompiledQuery.raw(`select pg_advisory_lock(${MIGRATION_LOCK})`));
        try {
          return await migrate({
            db,
            dialect: 'postgres',
            migrations: module.migrations,
            inTransaction: (body) =>
              db.transaction().execute(async (tx) => {
                await body(tx);
                if (isGivenUp) throw new ApiError('TEMPORARILY_UNAVAILABLE', 'The migrations took too long');
              }),
            onApplied: (id) => done.push(id),
            now: Date.now,
            where: `The PostgreSQL database ${where}`,
          });
        } finally {
          await db.executeQuery(CompiledQuery.raw(`select pg_advisory_unlock(${MIGRATION_LOCK})`));
        }
      }),
      () => {
        isGivenUp = true;
      },
      MIGRATION_SHARE * timeoutMs,
      () =>
        `The schema of the PostgreSQL database ${where} could not be brought up to date within ${MIGRATION_SHARE * timeoutMs} ms ` +
        `(${done.length === 0 ? 'no migration was applied' : `the last migration that was applied is '${done.at(-1)}'`}); ` +
        'the server is slow, or another process migrates it: start again',
    );
  } catch (error) {
    await closeAll(0);
    throw error;
  }
  reportMigrations(migrated.applied, options.logger);
  const stopLooking = lookForEdited(migrated.findEdited, (look) => reportEdited(look, options.logger));

  let closing: Promise<void> | undefined;
  return {
    dialect: 'postgres',
    reader: reads.kysely,
    async execute(command, input) {
      if (closing !== undefined) throw new ApiError('TEMPORARILY_UNAVAILABLE', 'The database is closed');
      return (await attempt(findCommand(command.name).run, input)) as never;
    },
    close() {
      stopLooking();
      closing ??= closeAll(CLOSE_WAIT_MS);
      return closing;
    },
  };
}

/** Host, port and database of the URL, without its password. */
function nameServer(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}
