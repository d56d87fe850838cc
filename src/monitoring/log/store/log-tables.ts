import type { Kysely } from 'kysely';

/**
 * The tables of the prediction log. Times of events and of taking are milliseconds by the platform's clock; `received_ms` and
 * `queued_ms` are the machine's own, since they only say when something may be removed.
 */
export interface LogTables {
  /** One row. Whoever changes the log holds it until the commit, so that ids are handed out in the order of commits. */
  log_state: { id: number; next_id: number; segments_revision: number; files_revision: number };
  /** Every segment that was ever taken; one that is `new` is still read from its artifact. */
  log_segments: {
    kind: string;
    replica: string;
    incarnation: string;
    sequence: number;
    id: number;
    sha256: string;
    size_bytes: number;
    state: 'new' | 'filed';
    /** The folder of artifacts that it lies in; null when that was removed. */
    generation: string | null;
    artifact: string;
    taken_at: number;
    received_ms: number;
    /** Known once it is filed. */
    rows_taken: number | null;
    bad_lines: number | null;
  };
  /** The Parquet files that hold what was filed, and the files of lines that were set aside. */
  log_files: {
    id: number;
    kind: FileKind;
    model: string;
    /** Event times of its rows, both ends included. */
    from_ms: number;
    to_ms: number;
    row_count: number;
    size_bytes: number;
    artifact: string;
    sha256: string;
    /** JSON: the names of the logged columns. */
    columns: string;
    created_at: number;
  };
  /** Artifacts to remove; `pending` are those of a change that has not been committed yet. */
  log_garbage: { artifact: string; pending: number; queued_ms: number };
  /** Rows that the log no longer has, by model and cause. */
  log_drops: { model: string; cause: DropCause; row_count: number };
}

export type LogDb = Kysely<LogTables>;

export type FileKind = 'predictions' | 'feedback' | 'set-aside';
/** `bad`: lines that are no log entries; their model is ''. */
export type DropCause = 'bad' | 'retention' | 'forgotten';

export interface LogFile {
  id: number;
  kind: FileKind;
  model: string;
  fromMs: number;
  toMs: number;
  rows: number;
  sizeBytes: number;
  artifact: string;
  columns: string[];
  /** When the newest of its rows was filed. */
  createdAt: number;
}

/** A segment that no Parquet file holds yet. */
export interface NewSegment {
  id: number;
  kind: 'predictions' | 'feedback';
  artifact: string;
  sizeBytes: number;
}
