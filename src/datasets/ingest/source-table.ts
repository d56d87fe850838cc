import type { DuckdbSession } from '../duckdb/duckdb-session.ts';
import type { DatasetColumnType } from '../table.ts';

export type SourceFormat = 'csv' | 'parquet' | 'jsonl';

/** One column of a source file and how DuckDB turns it into its canonical type. */
export interface SourceColumn {
  name: string;
  type: DatasetColumnType;
  /** SQL over the source's relation. */
  sql: string;
}

/** A source file, checked and ready to be selected from. */
export interface SourceTable {
  /** What stands after FROM. */
  relation: string;
  columns: SourceColumn[];
  /** What was decided that the user may want to know. */
  notes: string[];
  sha256: string;
  sizeBytes: number;
  /** Rows that the file holds by our own count, where we counted. */
  rows?: number;
  /** Where reading failed: throws for the first line that is not as it should be, if there is one. */
  findBadLine?: () => Promise<void>;
}

export interface SourceRequest {
  session: DuckdbSession;
  path: string;
  /** How messages call the file. */
  sourceName: string;
  /** Columns to keep as text whatever their values look like. */
  text: readonly string[];
  onProgress?: (done: number) => void;
  signal?: AbortSignal;
}
