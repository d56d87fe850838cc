import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely';
import pg from 'pg';
import type { Tx } from './database.ts';
import { isConnectionLost } from './postgres-error.ts';
import { checkParameter, toExactNumber } from './sql-parameter.ts';

const CONNECT_MS = 5000;
const READ_REPEATS = 3;

/** Object ids of types in PostgreSQL's catalogue that SQLite answers in another way. */
const BIGINT = 20;
const NUMERIC = 1700;
const BOOLEAN = 16;

/** Connections to one PostgreSQL database, and Kysely over them. Answers in the types that SQLite answers in. */
export function connectPool(
  url: string,
  options: {
    max: number;
    statementMs: number;
    readOnly: boolean;
    /** What the caller is told of an error. */
    describe: (error: unknown) => unknown;
  },
) {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'tidemill',
    max: options.max,
    connectionTimeoutMillis: Math.min(CONNECT_MS, options.statementMs),
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    statement_timeout: options.statementMs,
    // The server's limit comes first; this one is for a server that is gone without a word.
    query_timeout: options.statementMs + CONNECT_MS,
    idle_in_transaction_session_timeout: 2 * options.statementMs,
    options: options.readOnly ? '-c default_transaction_read_only=on' : undefined,
    types: { getTypeParser: parserOf as typeof pg.types.getTypeParser },
  });
  // A connection that ends while nobody waits for it is replaced at the next call; unheard, the event would end the process.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));

  /** A read changes nothing, so one whose connection was lost runs again on another. */
  async function repeatRead(error: unknown, text: string, values: unknown[]): Promise<unknown> {
    let last = error;
    for (let attempt = 0; attempt < READ_REPEATS && isConnectionLost(last); attempt++) {
      try {
        return await pool.query(text, values);
      } catch (next) {
        last = next;
      }
    }
    return fail(last);
  }
  const fail = (error: unknown): never => {
    throw options.describe(error);
  };
  const facades = new WeakMap<pg.PoolClient, PostgresPoolClient>();

  /** The client as Kysely sees it: parameters are checked as the SQLite connection checks them. */
  function facadeOf(client: pg.PoolClient): PostgresPoolClient {
    let facade = facades.get(client);
    if (facade === undefined) {
      const query = async (text: string, parameters: readonly unknown[]) => {
        const values = parameters.map(checkParameter);
        return client
          .query(text, values)
          .catch((error) => (options.readOnly ? repeatRead(error, text, values) : fail(error)));
      };
      facade = { query: query as never, release: (destroy) => client.release(destroy) };
      facades.set(client, facade);
    }
    return facade;
  }

  const kysely: Tx = new Kysely({
    dialect: new PostgresDialect({
      pool: {
        options: pool.options,
        connect: () => pool.connect().then((client) => facadeOf(client), fail),
        end: () => pool.end(),
      },
    }),
  });
  return {
    kysely,
    /** Waits for the connections in use, at most `waitMs`, and ends all. */
    async close(waitMs: number): Promise<void> {
      const ended = pool.end();
      const limit = Promise.withResolvers<void>();
      const timer = setTimeout(limit.resolve, waitMs);
      await Promise.race([ended, limit.promise]).finally(() => clearTimeout(timer));
    },
  };
}

function parserOf(type: number, format?: 'text' | 'binary') {
  if (type === BIGINT) return (text: string) => toExactNumber(BigInt(text));
  // sum() of bigints is numeric; SQLite answers a number.
  if (type === NUMERIC) return Number;
  if (type === BOOLEAN) return (text: string) => (text === 't' ? 1 : 0);
  return pg.types.getTypeParser(type, format as 'text');
}
