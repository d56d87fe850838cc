import { ApiError, createWorkLimit } from '../../../platform/index.ts';
import type { ModelDescriptions } from '../describe-models.ts';
import type { LogCatalog } from '../log-catalog.ts';
import type { UserQueryResult } from '../log-messages.ts';
import { describeViews, type ViewDescription } from './describe-views.ts';
import type { QueryProcesses } from './query-processes.ts';
import type { SharedRows } from './share-rows.ts';

const QUERY_LIMITS = { rows: 10_000, mostRows: 100_000, timeoutMs: 30_000, longestMs: 300_000 };
/** What SQL may be as long as. */
const MAX_SQL_CHARACTERS = 100_000;

export interface QueryOptions {
  limitRows?: number;
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** Questions that users ask in SQL. */
export function createUserQueries({
  processes,
  rows,
  catalog,
  models,
  catchUp,
}: {
  processes: QueryProcesses;
  rows: SharedRows;
  catalog: LogCatalog;
  models: ModelDescriptions;
  catchUp: () => Promise<unknown>;
}) {
  const querying = createWorkLimit({ running: 2, waiting: 32, what: 'queries of the prediction log' });

  /**
   * Runs one SELECT of a user over the views `predictions`, `labels`, and one for each model, and answers with JSON text.
   *
   * @throws ApiError INVALID_PARAMETER_VALUE with what is wrong with it.
   */
  const queryText = async (sql: string, options: QueryOptions = {}): Promise<string> => {
    const { limitRows = QUERY_LIMITS.rows, timeoutMs = QUERY_LIMITS.timeoutMs, signal } = options;
    checkRange('limit_rows', limitRows, QUERY_LIMITS.mostRows);
    checkRange('timeout_ms', timeoutMs, QUERY_LIMITS.longestMs);
    if (sql.trim() === '') throw new ApiError('INVALID_PARAMETER_VALUE', 'The query is empty; give a SELECT');
    if (sql.includes('\0')) throw new ApiError('INVALID_PARAMETER_VALUE', 'The query holds U+0000');
    if (sql.length > MAX_SQL_CHARACTERS) {
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        `The query has ${sql.length} characters; ${MAX_SQL_CHARACTERS} are allowed`,
      );
    }
    const run = async (more: readonly string[]): Promise<string> => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await rows.read(
            async (log) =>
              processes.run(
                { log, query: { sql, views: await models.viewsFor(sql, more), limitRows } },
                { timeoutMs, ...(signal && { signal }) },
              ),
            signal,
          );
        } catch (error) {
          // A file that went away is our matter.
          const isGone = error instanceof Error && error.message.startsWith('IO Error');
          if (!isGone || attempt === 2) throw error;
          await rows.renew();
        }
      }
    };
    return querying(async () => {
      try {
        return await run([]);
      } catch (error) {
        // A registered model without rows has a view too, and none of these are looked up before one is named.
        const missing = /Table with name (.+?) does not exist/.exec((error as Error).message)?.[1];
        if (missing === undefined || !(await models.viewOf(missing)))
          throw withModels(error, catalog.models().keys());
        return run([missing]);
      }
    }, signal);
  };

  return {
    queryText,

    /** What SQL may name: `predictions`, `labels`, and a view of each model that has rows. */
    async views(): Promise<ViewDescription[]> {
      await catchUp();
      return describeViews(await models.allViews());
    },

    /** The same as `queryText`, read. */
    query: async (sql: string, options: QueryOptions = {}): Promise<UserQueryResult> =>
      JSON.parse(await queryText(sql, options)) as UserQueryResult,
  };
}

function checkRange(name: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return;
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    `${name} must be a whole number from 1 to ${most}, got ${value}`,
  );
}

/** Adds to a table that does not exist which ones do. */
function withModels(error: unknown, models: Iterable<string>): unknown {
  if (!(error instanceof ApiError) || !error.message.includes('does not exist')) return error;
  if (!error.message.includes('Table with name')) return error;
  const names = ['predictions', 'labels', ...[...models].slice(0, 20)].join(', ');
  return new ApiError(error.code, `${error.message.split(' Did you mean')[0]} There are: ${names}`);
}
