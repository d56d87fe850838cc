import type { DuckDBConnection } from '@duckdb/node-api';
import { ApiError } from '../../../../platform/index.ts';
import type { UserQuery, UserQueryResult } from '../../log-messages.ts';
import { tooLarge } from '../refuse-query.ts';
import { checkSelect } from './check-select.ts';
import { jsonValue } from './json-value.ts';

/** About as much as an answer may hold. */
const MAX_ANSWER_CHARACTERS = 32 * 2 ** 20;

/**
 * Runs a user's SQL.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE with what DuckDB has against it.
 */
export async function answerSelect(
  connection: DuckDBConnection,
  query: UserQuery,
  memoryLimitMb: number,
): Promise<UserQueryResult> {
  try {
    await checkSelect(connection, query.sql);
    const statement = await connection.prepare(query.sql);
    if (statement.parameterCount > 0)
      throw new ApiError('INVALID_PARAMETER_VALUE', 'The SELECT has parameters, which get no values here');
    const result = await statement.stream();
    const columns = result.columnNames().map((name, index) => ({
      name,
      type: result.columnType(index).alias ?? String(result.columnType(index)),
    }));
    const rows: unknown[][] = [];
    let characters = 0;
    const addSize = (more: number) => {
      characters += more;
    };
    for (let chunk = await result.fetchChunk(); chunk?.rowCount; chunk = await result.fetchChunk()) {
      for (const row of chunk.getRows()) {
        if (rows.length === query.limitRows) return { columns, rows, truncated: true };
        rows.push(row.map((value) => jsonValue(value, addSize)));
        if (characters > MAX_ANSWER_CHARACTERS) {
          throw new ApiError(
            'INVALID_PARAMETER_VALUE',
            `The answer is larger than ${MAX_ANSWER_CHARACTERS} characters after ${rows.length} rows; select fewer columns or rows`,
          );
        }
      }
    }
    return { columns, rows, truncated: false };
  } catch (error) {
    throw explained(error, memoryLimitMb);
  }
}

/** What DuckDB has against the SQL, as an error of who wrote it. */
function explained(error: unknown, memoryLimitMb: number): unknown {
  if (error instanceof ApiError || !(error instanceof Error) || /^INTERRUPT/i.test(error.message))
    return error;
  // A file that went away is our matter: the caller looks again.
  if (/^IO Error/i.test(error.message)) return error;
  if (/^Out of Memory Error|bad allocation|bad_alloc/i.test(error.message)) return tooLarge(memoryLimitMb);
  const [first, ...rest] = error.message.split('\n');
  const hint = rest.find((line) => /^Candidate|^Did you mean/i.test(line.trim()));
  // `Failed to extract statements: Parser Error: …` says no more than what follows.
  const text = first!.replace(/^(Failed to extract statements: )?([A-Z]\w+ ){1,3}Error: /, 'The SQL fails: ');
  return new ApiError('INVALID_PARAMETER_VALUE', [text, hint].filter(Boolean).join(' '), undefined, {
    cause: error,
  });
}
