import { createRandom } from '../../platform/index.ts';
import { type DuckdbSession, parquetRelation, resolvePath, withDuckdb } from '../duckdb-session.ts';
import { quoteIdentifier, quoteText } from '../quote-sql.ts';
import type { SplitSpec, TrainingPlan } from '../table.ts';
import { findTestRows } from './load-table.ts';
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

const DEFAULT_MAX_ROWS = 20_000;

/**
 * Writes the test rows of a split as Parquet: the features as they came, and the target under its name. It is the evidence that
 * later versions are compared on.
 */
export async function exportHeldOut(
  request: ExportHeldOutRequest,
): Promise<{ rows: number; testRows: number }> {
  const { parquetPath, plan, split, outPath, signal, maxRows = DEFAULT_MAX_ROWS } = request;
  return withDuckdb({ read: [parquetPath], write: [outPath], signal }, async (session) => {
    const testRows = await findTestRows(session, parquetPath, plan, split);
    const rows = drawRows(testRows, maxRows, split.seed);
    await writeRows(session, { ...request, columns: plan.features.map(({ name }) => name) }, rows);
    return { rows: rows.length, testRows: testRows.length };
  });
}

function drawRows(rows: Int32Array, maxRows: number, seed: number): Int32Array {
  const drawn = rows.slice();
  const count = Math.min(maxRows, drawn.length);
  if (count < drawn.length) shuffleFront(drawn, count, createRandom(seed));
  return drawn.subarray(0, count).sort();
}

async function writeRows(
  session: DuckdbSession,
  request: {
    parquetPath: string;
    plan: Pick<TrainingPlan, 'targetName' | 'targetSql'>;
    columns: readonly string[];
    outPath: string;
  },
  rows: Int32Array,
): Promise<void> {
  const { parquetPath, plan, columns, outPath } = request;
  const selected = [...columns, plan.targetName].map(
    (name, index) => `c${index} AS ${quoteIdentifier(name)}`,
  );
  const read = [...columns.map(quoteIdentifier), plan.targetSql].map((sql, index) => `${sql} AS c${index}`);
  await session.run(
    `COPY (SELECT ${selected.join(', ')} FROM (SELECT row_number() OVER () - 1 AS row_position, ${read.join(', ')}
       FROM ${parquetRelation(parquetPath)}) WHERE row_position IN (SELECT unnest([${rows.join(', ')}])) ORDER BY row_position)
     TO ${quoteText(resolvePath(outPath))} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)`,
  );
}
