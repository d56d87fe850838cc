import type { DatasetColumn } from '../datasets/index.ts';

/** A canonical Parquet file, with what is known of it. */
export interface TrainingTable {
  parquetPath: string;
  name: string;
  version?: number;
  digest: string;
  rows: number;
  schema: readonly DatasetColumn[];
  notes?: readonly string[];
}
