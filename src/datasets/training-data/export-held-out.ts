import { parquetRelation, resolvePath, withDuckdb } from '../duckdb-session.ts';
import { quoteIdentifier, quoteText } from '../quote-sql.ts';
import type { SplitSpec, TrainingPlan } from '../table.ts';
import { findTestRows } from './load-table.ts';
import { createRandom, shuffleFront } from './seeded-random.ts';

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
    const chosen = testRows.slice();
    const count = Math.min(maxRows, chosen.length);
    if (count < chosen.length) shuffleFront(chosen, count, createRandom(split.seed));
    const rows = chosen.subarray(0, count).sort();
    const columns = plan.features.map(({ name }) => quoteIdentifier(name));
    await session.run(
      `COPY (SELECT * EXCLUDE (position) FROM (
         SELECT row_number() OVER () - 1 AS position, ${columns.join(', ')}, ${plan.targetSql} AS ${quoteIdentifier(plan.targetName)}
         FROM ${parquetRelation(parquetPath)}) WHERE position IN (SELECT unnest([${rows.join(', ')}])) ORDER BY position)
       TO ${quoteText(resolvePath(outPath))} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)`,
    );
    return { rows: count, testRows: testRows.length };
  });
}
