import { ApiError } from '../errors.ts';
import type { Database, DatabaseOptions } from './database.ts';

/**
 * Opens and migrates the database that `url` names. SQLite: RESOURCE_CONFLICT when another process has it open;
 * PostgreSQL: TEMPORARILY_UNAVAILABLE when the server does not answer. INVALID_STATE when a newer Tidemill made it.
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  if (options.url.startsWith('sqlite:')) {
    const { openSqlite } = await import('./open-sqlite.ts');
    return openSqlite(options);
  }
  if (/^postgres(ql)?:\/\//.test(options.url)) {
    const { openPostgres } = await import('./open-postgres.ts');
    return openPostgres(options);
  }
  const scheme = options.url.split(':')[0];
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    `No database is known by '${scheme}:': give sqlite:/path/to/tidemill.db or postgres://user@host/database`,
  );
}
