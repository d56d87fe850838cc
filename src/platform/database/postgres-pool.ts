import { Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely';
import { PostgresJSDriver } from 'kysely-postgres-js';
import postgres from 'postgres';
import type { Tx } from './database.ts';
import { checkParameter, toExactNumber } from './sql-parameter.ts';

const CONNECT_SECONDS = 5;

type Connection = Awaited<ReturnType<PostgresJSDriver['acquireConnection']>>;

/** Connections to one PostgreSQL database, and Kysely over them. Answers in the types that SQLite answers in. */
export function connectPool(url: string, options: { max: number; statementMs: number; readOnly: boolean }) {
  const sql = postgres(url, {
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
  const driver = new CountingDriver({ postgres: sql });
  const kysely: Tx = new Kysely({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => driver,
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
  return {
    kysely,
    /** Waits for the connections in use, at most `waitMs`, and ends all. */
    async close(waitMs: number): Promise<void> {
      await driver.idle(waitMs);
      await sql.end({ timeout: 0 });
    },
  };
}

/** Knows how many connections are in use, and checks parameters as the SQLite connection does. */
class CountingDriver extends PostgresJSDriver {
  #inUse = 0;
  #whenIdle: (() => void)[] = [];

  override async acquireConnection(options?: never) {
    this.#inUse++;
    try {
      const connection = await super.acquireConnection(options);
      const executeQuery = connection.executeQuery.bind(connection);
      connection.executeQuery = async (query) =>
        executeQuery({ ...query, parameters: query.parameters.map(checkParameter) });
      return connection;
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  override async releaseConnection(connection: Connection, options?: never): Promise<void> {
    await super.releaseConnection(connection, options);
    this.#release();
  }

  async idle(waitMs: number): Promise<void> {
    if (this.#inUse === 0 || waitMs === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#whenIdle.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #release(): void {
    this.#inUse--;
    if (this.#inUse === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }
}
