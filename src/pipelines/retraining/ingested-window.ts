/** The rows that a training learns from, as a version of a dataset. */
export interface IngestedWindow {
  dataset: string;
  version: number;
  digest: string;
  rows: number;
  /** Labelled rows of the log among them. */
  loggedRows: number;
  /** The window in event time, half-open; undefined when no column says when a row happened. */
  from?: number;
  to?: number;
  time?: string;
  /** The target in this dataset: a column where the log's labels joined it, else as the project says it. */
  target: string;
  targetColumns: string[];
  /** A version that learned from the same rows in the same way. */
  unchangedSince?: number;
}
