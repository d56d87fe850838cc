import { CompiledQuery, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely';
import { PostgresJSDriver } from 'kysely-postgres-js';
import postgres, { type Sql } from 'postgres';
import { ApiError } from '../errors.ts';
import { indexCommands, loadCommandsModule } from './commands-module.ts';
import type { Database, DatabaseOptions, Tx } from './database.ts';
import { type AppliedMigrations, migrate } from './migrate.ts';
import { describePostgresError, isWorthRepeating } from './postgres-error.ts';
import { checkParameter, toExactNumber } from './sql-parameter.ts';

/** One migrating process at a time; the number only has to differ from other programs' locks. */
const MIGRATION_LOCK = 7_070_001;
const CONNECT_SECONDS = 5;
const MOST_ATTEMPTS = 6;

/** PostgreSQL: a command is a transaction in this process, repeated when the server asks for that. */
export async function openPostgres(options: DatabaseOptions): Promise<Database> {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const where = nameServer(options.url);
  const module = await loadCommandsModule(options.commandsModule.href);
  const findCommand = indexCommands(module);
  const max = options.poolSize ?? 10;
  const writes = connect(options.url, { max, statementMs: timeoutMs, readOnly: false });
  const reads = connect(options.url, { max, statementMs: timeoutMs, readOnly: true });
  const writer = createKysely(writes);

  function withinLimit<T>(work: Promise<T>, onTimeout?: () => void): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const timer = setTimeout(() => {
      onTimeout?.();
      reject(
        new ApiError(
          'TEMPORARILY_UNAVAILABLE',
          `The PostgreSQL server ${where} did not answer within ${timeoutMs} ms`,
        ),
      );
    }, timeoutMs);
    work
      .then(resolve, (error) => reject(describePostgresError(error, where)))
      .finally(() => clearTimeout(timer));
    return promise;
  }

  async function attempt<I, O>(run: (tx: Tx, input: I) => Promise<O>, input: I): Promise<O> {
    let abandoned = false;
    const work = async (): Promise<O> => {
      for (let tries = 1; ; tries++) {
        try {
          return await writer.transaction().execute(async (tx) => {
            const output = await run(tx, input);
            // The caller was told that it failed, so it must not happen after all.
            if (abandoned) throw new ApiError('TEMPORARILY_UNAVAILABLE', 'Took longer than its time limit');
            return output;
          });
        } catch (error) {
          if (abandoned || tries >= MOST_ATTEMPTS || !isWorthRepeating(error)) throw error;
          await new Promise((resolve) => setTimeout(resolve, 2 ** tries * (2 + Math.random() * 3)));
        }
      }
    };
    return withinLimit(work(), () => {
      abandoned = true;
    });
  }

  const closeAll = () => Promise.all([writes.end({ timeout: 5 }), reads.end({ timeout: 5 })]).then(() => {});
  let migrations: AppliedMigrations;
  try {
    migrations = await withinLimit(
      writer.connection().execute(async (db) => {
        await db.executeQuery(CompiledQuery.raw(`select pg_advisory_lock(${MIGRATION_LOCK})`));
        try {
          return await migrate({
            db,
            dialect: 'postgres',
            migrations: module.migrations,
            inTransaction: (body) => db.transaction().execute(body),
            now: Date.now,
            where: `The PostgreSQL database ${where}`,
          });
        } finally {
          await db.executeQuery(CompiledQuery.raw(`select pg_advisory_unlock(${MIGRATION_LOCK})`));
        }
      }),
    );
  } catch (error) {
    await closeAll();
    throw error;
  }
  if (migrations.applied.length > 0)
    options.logger.info({ migrations: migrations.applied }, 'schema brought up to date');
  if (migrations.edited.length > 0)
    options.logger.warn(
      { migrations: migrations.edited },
      'migrations differ from those that made this database',
    );

  let closing: Promise<void> | undefined;
  return {
    dialect: 'postgres',
    reader: createKysely(reads),
    async execute(command, input) {
      if (closing !== undefined) throw new ApiError('TEMPORARILY_UNAVAILABLE', 'The database is closed');
      return (await attempt(findCommand(command.name).run, input)) as never;
    },
    close() {
      closing ??= closeAll();
      return closing;
    },
  };
}

function connect(url: string, options: { max: number; statementMs: number; readOnly: boolean }): Sql {
  return postgres(url, {
    max: options.max,
    connect_timeout: CONNECT_SECONDS,
    idle_timeout: 60,
    onnotice: () => {},
    connection: {
      application_name: 'tidemill',
      statement_timeout: options.statementMs,
      idle_in_transaction_session_timeout: 2 * options.statementMs,
      default_transaction_read_only: options.readOnly,
    },
    types: {
      exactInteger: {
        to: 20,
        from: [20],
        serialize: String,
        parse: (text: string) => toExactNumber(BigInt(text)),
      },
      // sum() of bigints is numeric; SQLite answers a number.
      numeric: { to: 1700, from: [1700], serialize: String, parse: Number },
      // SQLite answers comparisons with 1 and 0.
      truth: { to: 16, from: [16], serialize: String, parse: (text: string) => (text === 't' ? 1 : 0) },
    } as never,
  });
}

function createKysely(sql: Sql): Kysely<any> {
  return new Kysely({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new CheckingDriver({ postgres: sql }),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
}

/** Checks parameters as the SQLite connection does. */
class CheckingDriver extends PostgresJSDriver {
  override async acquireConnection(options?: never) {
    const connection = await super.acquireConnection(options);
    const executeQuery = connection.executeQuery.bind(connection);
    connection.executeQuery = (query) =>
      executeQuery({ ...query, parameters: query.parameters.map(checkParameter) });
    return connection;
  }
}

/** Host, port and database of the URL, without its password. */
function nameServer(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}
