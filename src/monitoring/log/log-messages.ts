import type { ColumnType } from '../../models/index.ts';
import type { Variant } from '../../serving/contract.ts';
import type { SentError } from './sent-error.ts';
import type { FileKind } from './store/log-tables.ts';

/** What a window of the log is measured by; the names are those of the statistics slice. */
export const LOG_METRICS = [
  'roc_auc',
  'log_loss',
  'brier',
  'accuracy',
  'f1_macro',
  'rmse',
  'mae',
  'r2',
] as const;
export type LogMetric = (typeof LOG_METRICS)[number];

/** What a model answers: its classes in the order of the probabilities, or numbers. */
export type Answer =
  | { task: 'binary' | 'multiclass'; classes: readonly (string | number | boolean)[] }
  | { task: 'regression' };

/** A Parquet file as the process reads it. */
export interface FileOnDisk {
  kind: FileKind;
  model: string;
  fromMs: number;
  toMs: number;
  rows: number;
  path: string;
  columns: string[];
}

/** A Parquet file that the process has written. */
export interface WrittenFile {
  kind: FileKind;
  model: string;
  fromMs: number;
  toMs: number;
  rows: number;
  path: string;
  columns: string[];
}

export interface SyncRequest {
  /** Batches whose rows are in `files` now, or that are loaded anew. */
  drop: string[];
  /** All files; left out while they are the same. */
  files?: FileOnDisk[];
  load?: { batch: string; segments: { id: number; kind: 'predictions' | 'feedback'; path: string }[] };
}
export interface SyncResult {
  segments: { id: number; rows: number; badLines: number }[];
  /** Every model that has rows, with the columns that were logged of it. */
  models: { name: string; columns: string[] }[];
}

export interface FlushRequest {
  batch: string;
  folder: string;
  /** The platform's time, for what has no event time. */
  now: number;
}
export interface FlushResult {
  files: WrittenFile[];
  segments: { id: number; rows: number; badLines: number }[];
}

export interface MergeRequest {
  kind: FileKind;
  model: string;
  paths: string[];
  columns: string[];
  folder: string;
}

/** Which rows are to go: those of the predictions whose column has this value, and their labels. */
export interface ForgetRequest {
  model?: string;
  column: string;
  value: string;
  folder: string;
}
export interface ForgetResult {
  /** Files by path, with what is left of each, if anything is. */
  rewritten: { path: string; left?: WrittenFile }[];
  /** Removed predictions and labels by model. */
  removed: { model: string; predictions: number; labels: number }[];
  setAside: number;
}

/** Which predictions a question is about. */
export interface RowFilter {
  model: string;
  from?: number;
  to?: number;
  versions?: string[];
  variants?: Variant[];
}

export interface Window {
  from: number;
  to: number;
}

export interface MeasureRequest {
  filter: RowFilter;
  metric: string;
  windows: Window[];
  answer?: Answer;
  /** So many labelled rows a window are looked at by a metric that needs them all in memory. */
  mostRows?: number;
}

/** One window measured. What cannot be known is undefined, never 0. */
export interface MeasuredWindow extends Window {
  /** Predictions of the window. */
  rows: number;
  /** Those of them whose label is known, and is one of the model's classes or a number. */
  labelled: number;
  /** The metric over the labelled rows. */
  value: number | undefined;
  /** The same metric of always answering the window's own base rates, or its mean. */
  valueBaseline: number | undefined;
  /** Mean log loss, or mean squared error. */
  loss: number | undefined;
  /** The same loss of always answering the window's own base rates, or its mean. */
  baseline: number | undefined;
  /** So many of the labelled rows `value` is of, when it is not of all. */
  sampled?: number;
}

export interface CompareRequest {
  model: string;
  from: number;
  to: number;
  windowMs: number;
  champion: string;
  candidate: string;
  answer?: Answer;
}
export interface ComparedSide {
  rows: number;
  labelled: number;
  meanLoss: number | undefined;
}
/** Of the probability of the second class (of the most probable one where there are more), or of the value. */
export interface ScoreCounts {
  rows: number;
  mean: number | undefined;
  /** In bins at the deciles of the champion's. */
  bins: number[];
}
export interface ComparedVariants {
  windows: (Window & { champion: ComparedSide; candidate: ComparedSide })[];
  /** Scores of what each answered itself in the same time; left out where one of them has none. */
  scores?: { champion: ScoreCounts; candidate: ScoreCounts };
  /** Answers of the champion beside what the candidate, as its shadow, would have said to the same rows. */
  shadowPairs?: {
    rows: number;
    /** Pairs with different classes; numbers that differ at all. */
    disagree: number;
    /** Of the probability of the second class (of the most probable one where there are more), or of the value. */
    meanAbsoluteDifference: number;
    windows: (Window & {
      rows: number;
      labelled: number;
      championLoss: number | undefined;
      candidateLoss: number | undefined;
    })[];
  };
}

export interface ExportRequest {
  filter: RowFilter;
  schema: { name: string; type: ColumnType }[];
  targetName: string;
  targetType: ColumnType;
  outPath: string;
  /** Of more rows a sample is written. */
  maxRows?: number;
}
export interface ExportedRows {
  rows: number;
  /** All rows that there are; more than `rows` when these are a sample of them. */
  of: number;
  /** `sha256:…` of the file. */
  digest: string;
  /** Event times of its rows, half-open; undefined without rows. */
  from: number | undefined;
  to: number | undefined;
}

/** A view of one model that users' SQL may name. */
export interface ModelView {
  model: string;
  columns: { name: string; type: ColumnType }[];
  answer?: Answer;
}
export interface UserQuery {
  sql: string;
  views: ModelView[];
  limitRows: number;
}
export interface UserQueryResult {
  columns: { name: string; type: string }[];
  /** Values as JSON has them: whole numbers beyond 2^53 and decimals as text, times as ISO text in UTC. */
  rows: unknown[][];
  /** Whether there were more rows than `limitRows`. */
  truncated: boolean;
}

/** Asks what users' SQL may read; rows that no file holds yet are copied into the folder. */
export interface ShareRequest {
  folder: string;
  /** The revision that is shared already: while it is the newest, nothing is to be done. */
  known?: string;
}
export interface SharedLog {
  revision: string;
  /** Changes with the files. */
  filesRevision: string;
  files: FileOnDisk[];
  /** Rows that no file holds yet, in files of their own in `folder`. */
  hot: FileOnDisk[];
  folder: string;
}

export interface CountedRows {
  rows: number;
  labelled: number;
  labels: number;
  newestEvent: number | undefined;
  groups: { day: number; version: string; variant: string; rows: number; labelled: number }[];
}

/** What the process can be asked, by name. */
export interface Requests {
  sync: [SyncRequest, SyncResult];
  flush: [FlushRequest, FlushResult];
  merge: [MergeRequest, WrittenFile];
  forget: [ForgetRequest, ForgetResult];
  measure: [MeasureRequest, MeasuredWindow[]];
  compare: [CompareRequest, ComparedVariants];
  export: [ExportRequest, ExportedRows];
  share: [ShareRequest, SharedLog | undefined];
  count: [{ model: string }, CountedRows];
}
export type RequestName = keyof Requests;

export type ToProcess =
  | { [N in RequestName]: { id: number; name: N; input: Requests[N][0] } }[RequestName]
  | { cancel: number };

export type FromProcess =
  | { ready: true }
  | { id: number; result: unknown }
  | { id: number; error: SentError };

/** How the process is set up; its first message. */
export interface ProcessSetUp {
  workFolder: string;
  memoryLimitMb: number;
  threads: number;
}
