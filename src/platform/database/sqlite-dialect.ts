import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import type { SqlResult } from './sqlite-connection.ts';

type RunSql = (sql: string, parameters: readonly unknown[]) => SqlResult | Promise<SqlResult>;

/** Kysely over whatever runs SQL for it: the writer's own connection, or a reader in another thread. */
export function createSqliteDialect(run: RunSql): Dialect {
  return {
    createAdapter: () => new ManyAtOnceAdapter(),
    createDriver: () => new SqliteDriver(run),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

/** Reads go to several threads and writes are synchronous: Kysely's mutex would only make them wait. */
class ManyAtOnceAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

class SqliteDriver implements Driver {
  readonly #connection: DatabaseConnection;

  constructor(run: RunSql) {
    this.#connection = {
      async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
        const result = await run(query.sql, query.parameters);
        return result.columns === undefined
          ? { rows: [], numAffectedRows: BigInt(result.changes) }
          : { rows: toObjects(result.columns, result.rows) as R[] };
      },
      async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
        yield await this.executeQuery<R>(query);
      },
    };
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection;
  }

  async beginTransaction(): Promise<void> {
    throw new Error('Transactions are commands: database.execute(command, input)');
  }

  async commitTransaction(): Promise<void> {}

  async rollbackTransaction(): Promise<void> {}

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {}
}

function toObjects(columns: string[], rows: unknown[][]): Record<string, unknown>[] {
  return rows.map((row) => {
    const object: Record<string, unknown> = {};
    for (let i = 0; i < columns.length; i++) object[columns[i] as string] = row[i];
    return object;
  });
}
