import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { ApiError } from '../../../../platform/index.ts';
import type { FileOnDisk, ProcessSetUp, UserQuery, UserQueryResult } from '../../log-messages.ts';
import { emptyFolder, openGuest, withConnection } from '../duckdb-instances.ts';
import { type LogState, type LogStateHolder, labelsOf, predictionsOf } from '../log-state.ts';
import { literal } from '../quote-sql.ts';
import { checkSelect } from './check-select.ts';
import { jsonValue } from './json-value.ts';
import { viewStatements } from './view-sql.ts';

/** About as much as an answer may hold. */
const MAX_ANSWER_CHARACTERS = 32 * 2 ** 20;

interface Guest {
  instance: DuckDBInstance;
  files: readonly FileOnDisk[];
  queries: number;
  isRetired: boolean;
}

/**
 * Runs users' SQL, in an instance of DuckDB apart from the one that works on the log: it reads the log's files and a copy of the
 * rows that no file holds yet.
 */
export function createQueryRunner(setUp: ProcessSetUp, main: DuckDBInstance, state: LogStateHolder) {
  const hotFolder = join(setUp.workFolder, 'hot');
  let guest: Guest | undefined;
  let hot: { revision: number; files: FileOnDisk[] } | undefined;
  let preparing: Promise<unknown> = Promise.resolve();
  let isReady = false;

  /** One after the other: the instance and the copy are shared. */
  function prepare(): Promise<{ guest: Guest; view: LogState }> {
    const run = preparing.then(async () => {
      if (!isReady) await emptyFolder(hotFolder);
      isReady = true;
      const snapshot = state.snapshot();
      try {
        if (hot?.revision !== snapshot.revision) hot = await copyHotRows(snapshot);
        if (guest?.files !== snapshot.files) {
          retire();
          const paths = snapshot.files.map(({ path }) => path);
          guest = {
            instance: await openGuest(setUp, paths, hotFolder),
            files: snapshot.files,
            queries: 0,
            isRetired: false,
          };
        }
        guest.queries++;
        const files = [...snapshot.files, ...hot.files];
        return { guest, view: { files, batches: [], revision: snapshot.revision } };
      } finally {
        await snapshot.release();
      }
    });
    preparing = run.catch(() => {});
    return run;
  }

  function retire(): void {
    if (!guest) return;
    guest.isRetired = true;
    closeIfUnused(guest);
    guest = undefined;
  }

  async function copyHotRows(snapshot: LogState): Promise<{ revision: number; files: FileOnDisk[] }> {
    // Copies that an earlier query may still read go when nothing runs.
    if (!guest || guest.queries === 0) {
      for (const name of await readdir(hotFolder)) await rm(join(hotFolder, name), { recursive: true });
    }
    const files: FileOnDisk[] = [];
    const folder = join(hotFolder, String(snapshot.revision));
    const batches = { ...snapshot, files: [] };
    const connection = await main.connect();
    try {
      for (const [kind, relation, rows] of [
        ['predictions', predictionsOf(batches), sum(snapshot.batches, (batch) => batch.predictionRows)],
        ['feedback', labelsOf(batches), sum(snapshot.batches, (batch) => batch.labelRows)],
      ] as const) {
        if (rows === 0) continue;
        await mkdir(folder, { recursive: true });
        const path = join(folder, `${kind}.parquet`);
        await connection.run(`COPY (SELECT * FROM ${relation}) TO ${literal(path)} (FORMAT parquet)`);
        files.push({ kind, model: '', columns: [], path, rows, fromMs: 0, toMs: 0 });
      }
    } finally {
      connection.closeSync();
    }
    return { revision: snapshot.revision, files };
  }

  return async function runQuery(query: UserQuery, signal: AbortSignal): Promise<UserQueryResult> {
    const { guest: used, view } = await prepare();
    const limit = AbortSignal.timeout(query.timeoutMs);
    try {
      return await withConnection(used.instance, AbortSignal.any([signal, limit]), async (connection) => {
        for (const statement of viewStatements(predictionsOf(view), labelsOf(view), query.views))
          await connection.run(statement);
        return answerSelect(connection, query);
      });
    } catch (error) {
      if (limit.aborted) throw tookTooLong(query.timeoutMs);
      throw error;
    } finally {
      used.queries--;
      closeIfUnused(used);
    }
  };
}

async function answerSelect(connection: DuckDBConnection, query: UserQuery): Promise<UserQueryResult> {
  try {
    await checkSelect(connection, query.sql);
    const statement = await connection.prepare(query.sql);
    if (statement.parameterCount > 0)
      throw new ApiError('INVALID_PARAMETER_VALUE', 'The SELECT has parameters, which get no values here');
    const result = await statement.stream();
    const columns = result
      .columnNames()
      .map((name, index) => ({ name, type: String(result.columnType(index)) }));
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
    throw explained(error);
  }
}

/** What DuckDB has against the SQL, as an error of who wrote it. */
function explained(error: unknown): unknown {
  if (error instanceof ApiError || !(error instanceof Error) || /^INTERRUPT/i.test(error.message))
    return error;
  // A file that went away is our matter: the caller looks again.
  if (/^IO Error/i.test(error.message)) return error;
  const [first, ...rest] = error.message.split('\n');
  const hint = rest.find((line) => /^Candidate|^Did you mean/i.test(line.trim()));
  return new ApiError('INVALID_PARAMETER_VALUE', [first, hint].filter(Boolean).join(' '), undefined, {
    cause: error,
  });
}

const tookTooLong = (timeoutMs: number): ApiError =>
  new ApiError(
    'INVALID_PARAMETER_VALUE',
    `The query took longer than ${timeoutMs / 1000} s; look at fewer rows, or give it more time`,
  );

function closeIfUnused(guest: Guest): void {
  if (guest.isRetired && guest.queries === 0) guest.instance.closeSync();
}

const sum = <T>(values: readonly T[], of: (value: T) => number): number =>
  values.reduce((total, value) => total + of(value), 0);
