import { withDuckdb } from '../duckdb/duckdb-session.ts';
import type { DerivedColumns } from '../table.ts';
import { type ExportHeldOutRequest, exportIn } from './export-held-out.ts';
import { type LoadedTable, type LoadRequest, loadIn } from './load-table.ts';
import { type PlanRequest, planIn } from './plan-training.ts';

type Without<T> = Omit<T, 'parquetPath' | 'derived' | 'signal' | 'timeLimitMs' | 'threads'>;

/** The steps from a table to a training and what it leaves, in one DuckDB. */
export interface TrainingData {
  plan(request: Without<PlanRequest>): ReturnType<typeof planIn>;
  load(request: Without<LoadRequest>): Promise<LoadedTable>;
  /** Writes the test rows of a load. */
  exportHeldOut(
    request: Without<ExportHeldOutRequest>,
    loaded: LoadedTable,
  ): Promise<{ rows: number; testRows: number }>;
}

/** The training itself passes while DuckDB is open. */
const TIME_LIMIT_MS = 6 * 3_600_000;

/** Opens a canonical Parquet file for training: planning, loading and exporting share one DuckDB, since opening one takes longer. */
export function withTrainingData<T>(
  options: { parquetPath: string; write: string[]; derived?: DerivedColumns; signal?: AbortSignal },
  work: (data: TrainingData) => Promise<T>,
): Promise<T> {
  const { parquetPath, write, derived, signal } = options;
  return withDuckdb({ read: [parquetPath], write, signal, timeLimitMs: TIME_LIMIT_MS }, (session) =>
    work({
      plan: (request) => planIn(session, { ...request, parquetPath, derived }),
      load: (request) => loadIn(session, { ...request, parquetPath, derived }),
      exportHeldOut: (request, { testRows }) => exportIn(session, { ...request, parquetPath }, testRows),
    }),
  );
}
