import { parquetRelation, resolvePath, withDuckdb } from '../duckdb/duckdb-session.ts';
import { quoteIdentifier, quoteText } from '../duckdb/quote-sql.ts';
import type { TrainingPlan } from '../table.ts';

export interface ExportLabelledRequest {
  /** A canonical Parquet file, the one that was planned for. */
  parquetPath: string;
  plan: Pick<TrainingPlan, 'targetSql' | 'targetName'>;
  /** The columns that the model takes. */
  columns: readonly string[];
  outPath: string;
  maxRows: number;
  signal?: AbortSignal;
}

/** Writes the first rows that have a target, the columns as they came and the target under its name, for scoring. */
export async function exportLabelled(request: ExportLabelledRequest): Promise<void> {
  const { parquetPath, plan, outPath, maxRows, signal } = request;
  const columns = request.columns.filter((name) => name !== plan.targetName).map(quoteIdentifier);
  const target = quoteIdentifier(plan.targetName);
  await withDuckdb({ read: [parquetPath], write: [outPath], signal }, (session) =>
    session.run(
      `COPY (SELECT * FROM (SELECT ${[...columns, `${plan.targetSql} AS ${target}`].join(', ')}
         FROM ${parquetRelation(parquetPath)}) WHERE ${target} IS NOT NULL LIMIT ${Math.floor(maxRows)})
       TO ${quoteText(resolvePath(outPath))} (FORMAT parquet, USE_TMP_FILE false)`,
    ),
  );
}
