import type { DuckDBConnection } from '@duckdb/node-api';
import { ApiError } from '../../../../platform/index.ts';

/** What may stand where a table does; the others read files, change settings (`enable_logging`), or tell of the machine. */
const TABLE_FUNCTIONS = new Set(
  'range generate_series unnest repeat repeat_row json_each json_tree summary histogram histogram_values icu_calendar_names pg_timezone_names'.split(
    ' ',
  ),
);
const FORBIDDEN_FUNCTIONS = new Set([
  'write_log',
  'nextval',
  'currval',
  'current_setting',
  'getenv',
  'stats',
]);
const FORBIDDEN_TABLES = /^(duckdb_|sqlite_|pragma_|pg_)/;

type Node = Record<string, unknown>;

/**
 * Refuses everything but one SELECT whose functions only compute. DuckDB's own parser says what it is; what it calls tables may
 * still turn out to be files, which its configuration keeps out of reach.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE.
 */
export async function checkSelect(connection: DuckDBConnection, sql: string): Promise<void> {
  const statements = await connection.extractStatements(sql).catch((error: Error) => {
    // DuckDB has no words for a text that holds no statement.
    if (error.message !== 'Error in native callback') throw error;
    throw refused('The query holds no statement, only comments or semicolons; give a SELECT');
  });
  if (statements.count !== 1) throw refused(`Give one SELECT; this is ${statements.count} statements`);
  const reader = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [sql]);
  const parsed = JSON.parse(String(reader.getRows()[0]![0])) as Node;
  if (parsed['error'] === true) {
    const message = String(parsed['error_message']);
    if (parsed['error_type'] === 'parser' || parsed['error_type'] === 'syntax') throw refused(message);
    const word = /^[\s;(]*([a-z]+)/i.exec(sql)?.[1]?.toUpperCase() ?? 'something else';
    throw refused(`The log is only read: give a SELECT, not ${word}`);
  }
  const open: unknown[] = [parsed];
  while (open.length > 0) {
    const at = open.pop();
    if (typeof at !== 'object' || at === null) continue;
    if (!Array.isArray(at)) checkNode(at as Node);
    for (const inner of Object.values(at)) open.push(inner);
  }
}

function checkNode(node: Node): void {
  if (node['type'] === 'TABLE_FUNCTION') {
    const name = nameOf((node['function'] as Node | undefined)?.['function_name']);
    if (!TABLE_FUNCTIONS.has(name))
      throw refused(`The function ${name} is not available in queries of the log`);
  } else if (node['type'] === 'BASE_TABLE') {
    const isCatalog = nameOf(node['schema_name']) === 'pg_catalog';
    const name = nameOf(node['table_name']);
    if (isCatalog || FORBIDDEN_TABLES.test(name))
      throw refused(`The table ${name} is not available in queries of the log`);
  } else if (node['class'] === 'FUNCTION') {
    const name = nameOf(node['function_name']);
    if (FORBIDDEN_FUNCTIONS.has(name))
      throw refused(`The function ${name} is not available in queries of the log`);
  }
}

const nameOf = (value: unknown): string => (typeof value === 'string' ? value.toLowerCase() : '');

const refused = (message: string): ApiError => new ApiError('INVALID_PARAMETER_VALUE', message);
