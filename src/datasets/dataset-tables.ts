import type { Kysely } from 'kysely';
import type { TableStatistics } from './describe-table.ts';
import type { DatasetColumn } from './table.ts';

/** The tables of this slice. Times are milliseconds since the epoch; `schema`, `statistics`, `source`, `notes` are JSON. */
export interface DatasetTables {
  datasets: { name: string; last_version: number; created_at: number; updated_at: number };
  dataset_versions: {
    name: string;
    version: number;
    digest: string;
    row_count: number;
    size_bytes: number;
    schema: string;
    statistics: string;
    source: string;
    notes: string;
    created_at: number;
    created_by: string;
  };
  dataset_appends: { name: string; idempotency_key: string; version: number };
}

export type DatasetDb = Kysely<DatasetTables>;

/** Where a version's rows came from. */
export type DatasetSource =
  | { kind: 'file'; name: string; sha256: string; sizeBytes: number }
  | { kind: 'rows'; baseVersion: number; addedRows: number }
  /** Rows of another dataset and of the prediction log, of a window of event time (half-open, ms). */
  | {
      kind: 'window';
      base: { name: string; version: number };
      loggedRows: number;
      from?: number;
      to?: number;
      /** The job that put it together. */
      run: string;
    };

export interface DatasetVersion {
  name: string;
  version: number;
  /** `sha256:…` of the rows and the schema; equal content is the same version. */
  digest: string;
  rows: number;
  /** Of the canonical Parquet file. */
  sizeBytes: number;
  schema: DatasetColumn[];
  statistics: TableStatistics;
  source: DatasetSource;
  notes: string[];
  createdAt: number;
  createdBy: string;
}

export interface Dataset {
  name: string;
  createdAt: number;
  updatedAt: number;
  /** How many. */
  versions: number;
  latestVersion: DatasetVersion;
}
