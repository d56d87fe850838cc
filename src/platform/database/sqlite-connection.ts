import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite';
import { checkParameter, toExactNumber } from './sql-parameter.ts';

/** Enough for every distinct statement of the platform; the oldest leave first. */
const STATEMENTS_KEPT = 1000;

export interface SqlResult {
  /** Names of the columns; undefined for a statement that returns no rows. */
  columns: string[] | undefined;
  /** Rows as arrays, in the order of `columns`. */
  rows: SQLOutputValue[][];
  /** Rows changed; 0 for a query. */
  changes: number;
}

interface Prepared {
  statement: StatementSync;
  columns: string[] | undefined;
  readsBigInts: boolean;
}

export type SqliteConnection = ReturnType<typeof createSqliteConnection>;

/** Runs SQL synchronously on one connection, each distinct text prepared once. */
export function createSqliteConnection(db: DatabaseSync) {
  const cache = new Map<string, Prepared>();

  function prepare(sql: string): Prepared {
    let prepared = cache.get(sql);
    if (prepared === undefined) {
      const statement = db.prepare(sql);
      const names = statement.columns().map((column) => column.name);
      prepared = { statement, columns: names.length > 0 ? names : undefined, readsBigInts: false };
      if (prepared.columns !== undefined) {
        statement.setReturnArrays(true);
        // A write with RETURNING cannot be read a second time, so it reads exactly from the first.
        if (!isQuery(sql)) readBigInts(prepared);
      }
      cache.set(sql, prepared);
      if (cache.size > STATEMENTS_KEPT) cache.delete(cache.keys().next().value as string);
    }
    return prepared;
  }

  return {
    db,
    run(sql: string, parameters: readonly unknown[]): SqlResult {
      const prepared = prepare(sql);
      const values = parameters.map(toSqlite);
      if (prepared.columns === undefined) {
        return { columns: undefined, rows: [], changes: Number(prepared.statement.run(...values).changes) };
      }
      return { columns: prepared.columns, rows: readAll(prepared, values), changes: 0 };
    },
    /** Forgets the prepared statements, so that the connection can close. */
    clear(): void {
      cache.clear();
    },
  };
}

function readAll(prepared: Prepared, values: SQLInputValue[]): SQLOutputValue[][] {
  if (!prepared.readsBigInts) {
    try {
      return prepared.statement.all(...values) as unknown as SQLOutputValue[][];
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_OUT_OF_RANGE') throw error;
      readBigInts(prepared);
    }
  }
  const rows = prepared.statement.all(...values) as unknown as SQLOutputValue[][];
  for (const row of rows) {
    for (let i = 0; i < row.length; i++) {
      const value = row[i];
      if (typeof value === 'bigint') row[i] = toExactNumber(value);
    }
  }
  return rows;
}

function readBigInts(prepared: Prepared): void {
  prepared.statement.setReadBigInts(true);
  prepared.readsBigInts = true;
}

const isQuery = (sql: string) => /^\s*(select|values|pragma|explain)\b/i.test(sql);

/** Whole numbers are bound as INTEGER: bound as REAL, as node:sqlite does, `7 / 2` would be 3.5 here and 3 on PostgreSQL. */
function toSqlite(parameter: unknown, index: number): SQLInputValue {
  const value = checkParameter(parameter, index) as SQLInputValue;
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
}
