import { createRandom } from '../../platform/index.ts';
import { type DuckdbSession, parquetRelation, resolvePath, withDuckdb } from '../duckdb/duckdb-session.ts';
import { quoteIdentifier, quoteText, wholeMs } from '../duckdb/quote-sql.ts';
import type { SplitSpec, TrainingPlan } from '../table.ts';
import { findTestRows } from './divide-rows.ts';
import { shuffleFront } from './shuffle-front.ts';

export interface ExportHeldOutRequest {
  parquetPath: string;
  plan: TrainingPlan;
  split: SplitSpec;
  outPath: string;
  /** Of more test rows, so many are drawn by the split's seed. */
  maxRows?: number;
  signal?: AbortSignal;
}

/** Columns of a held-out file that are no columns of the data: when each row happened, and of whom it is. */
export const TIME_COLUMN = '__time';
export const ENTITY_COLUMN = '__entity';

const DEFAULT_MAX_ROWS = 20_000;

/**
 * Writes the test rows of a split as Parquet: the raw columns that the model takes as they came, the target under its name, and,
 * where the plan knows them, `__time` (BIGINT, ms) and `__entity` (VARCHAR). It is the evidence that later versions are compared on.
 */
export async function exportHeldOut(
  request: ExportHeldOutRequest,
): Promise<{ rows: number; testRows: number }> {
  const { parquetPath, plan, split, outPath, signal } = request;
  return withDuckdb({ read: [parquetPath], write: [outPath], signal }, async (session) =>
    exportIn(session, request, await findTestRows(session, parquetPath, plan, split)),
  );
}

/** The same in a session that is open, for test rows that are known. */
export async function exportIn(
  session: DuckdbSession,
  { parquetPath, plan, split, outPath, maxRows = DEFAULT_MAX_ROWS }: ExportHeldOutRequest,
  testRows: Int32Array,
): Promise<{ rows: number; testRows: number }> {
  const rows = drawRows(testRows, maxRows, split.seed);
  const relation = parquetRelation(parquetPath);
  const selected = [
    ...plan.inputs.map(({ name }) => [quoteIdentifier(name), name]),
    [plan.targetSql, plan.targetName],
    ...(await roleColumns(session, relation, plan)),
  ] as [string, string][];
  const read = selected.map(([sql], index) => `${sql} AS c${index}`);
  const named = selected.map(([, name], index) => `c${index} AS ${quoteIdentifier(name)}`);
  await session.run(
    `COPY (SELECT ${named.join(', ')} FROM (SELECT row_number() OVER () - 1 AS row_position, ${read.join(', ')}
       FROM ${relation}) WHERE row_position IN (SELECT unnest([${rows.join(', ')}])) ORDER BY row_position)
     TO ${quoteText(resolvePath(outPath))} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)`,
  );
  return { rows: rows.length, testRows: testRows.length };
}

async function roleColumns(
  session: DuckdbSession,
  relation: string,
  { timeColumn, idColumn }: TrainingPlan,
): Promise<[string, string][]> {
  if (timeColumn === undefined && idColumn === undefined) return [];
  const described = await session.rows(`DESCRIBE SELECT * FROM ${relation}`);
  const types = new Map(described.map((row) => [row['column_name'], row['column_type']]));
  const roles: [string, string][] = [];
  if (timeColumn !== undefined && types.get(timeColumn) === 'TIMESTAMP') {
    roles.push([`CAST(${wholeMs(quoteIdentifier(timeColumn))} AS BIGINT)`, TIME_COLUMN]);
  }
  if (idColumn !== undefined && types.has(idColumn)) {
    roles.push([`CAST(${quoteIdentifier(idColumn)} AS VARCHAR)`, ENTITY_COLUMN]);
  }
  return roles;
}

function drawRows(rows: Int32Array, maxRows: number, seed: number): Int32Array {
  const drawn = rows.slice();
  const count = Math.min(maxRows, drawn.length);
  if (count < drawn.length) shuffleFront(drawn, count, createRandom(seed));
  return drawn.subarray(0, count).sort();
}
