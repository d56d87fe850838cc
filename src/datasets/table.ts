/** The types that a column of a dataset can have; integers beyond 2^53 are flagged when a file is ingested. */
export type DatasetColumnType = 'double' | 'long' | 'boolean' | 'string' | 'datetime';

/** What a column means besides being a value: `id` names the entity, `time` orders the rows. */
export type ColumnRole = 'id' | 'time';

/** One column of a dataset's schema, in the order of the canonical Parquet file. */
export interface DatasetColumn {
  name: string;
  type: DatasetColumnType;
  nullable: boolean;
  role?: ColumnRole;
}

/** A column that a model takes as input; the same shape as the signature's input column. */
export interface FeatureColumn {
  name: string;
  type: DatasetColumnType;
  nullable: boolean;
  /** Text columns only: the categories that the model knows, most frequent first. */
  categories?: string[];
  /** Derived columns only: what they are computed by. */
  expression?: string;
}

/** Columns that are computed from the raw ones of the same row. */
export interface DerivedColumns {
  columns: readonly {
    name: string;
    type: 'double' | 'boolean' | 'string';
    expression: string;
    /** The raw columns that it is made of. */
    uses: readonly string[];
  }[];
  /** SQL of a relation that has all columns of another and these beside them. */
  relation(from: string): string;
}

export type TrainingTask = 'binary' | 'multiclass' | 'regression';

export type ClassValue = string | number | boolean;

/**
 * A feature in memory: numbers are rounded to float32, NaN and code -1 mean missing, dates are ms since the epoch. The code
 * `categories.length` is any text that is not among the categories.
 */
export type TableColumn =
  | {
      name: string;
      type: 'numeric';
      source: 'double' | 'long' | 'boolean';
      values: Float32Array;
      derived?: true;
    }
  | { name: string; type: 'datetime'; values: Float64Array; derived?: undefined }
  | { name: string; type: 'category'; codes: Int32Array; categories: string[]; derived?: true };

/**
 * A raw column as it came, for what is computed from it: numbers in float64, NaN and code -1 mean missing, dates are ms
 * since the epoch, a code is an index into all texts that the column holds.
 */
export type RawColumn =
  | { name: string; type: 'numeric'; source: 'double' | 'long' | 'boolean'; values: Float64Array }
  | { name: string; type: 'datetime'; values: Float64Array }
  | { name: string; type: 'text'; codes: Int32Array; texts: string[] };

/** A table ready for a trainer. For classification `target` holds indexes into `classes`. */
export interface Table {
  rows: number;
  columns: TableColumn[];
  /** The raw columns that derived ones are made of. */
  raw?: RawColumn[];
  /** When each row happened, ms since the epoch, NaN where it is not known; left out where no column says it. */
  times?: Float64Array;
  target: Float64Array;
  targetName: string;
  task: TrainingTask;
  classes?: ClassValue[];
}

/** How rows become training and test rows. The same seed on the same version gives the same rows. */
export type SplitSpec =
  | { kind: 'stratified' | 'random'; testShare: number; seed: number }
  | { kind: 'time'; testShare: number; testFrom?: undefined; seed: number; timeColumn: string }
  /** Rows from this moment on (ms since the epoch) are for the test. */
  | { kind: 'time'; testFrom: number; testShare?: undefined; seed: number; timeColumn: string };

/** What will be learned from which columns; made by `planTraining`, plain JSON, kept with the run. */
export interface TrainingPlan {
  task: TrainingTask;
  /** How the user wrote the target: a column's name or an expression. */
  target: string;
  /** The name that the model's output and the held-out file carry. */
  targetName: string;
  /** The columns that the target is made of; none is a feature. */
  targetColumns: string[];
  /** The target as checked DuckDB SQL over the version's columns. */
  targetSql: string;
  /** What is learned from: raw and derived columns. */
  features: FeatureColumn[];
  /** The raw columns that the model takes: those of the features, and what derived ones are made of. */
  inputs: FeatureColumn[];
  /** The raw columns that derived features are made of. */
  derivedFrom: string[];
  classes?: ClassValue[];
  idColumn?: string;
  timeColumn?: string;
  /** Rows with a target, and rows left out because theirs is missing. */
  rows: number;
  droppedRows: number;
  excluded: { column: string; why: string }[];
  warnings: string[];
  notes: string[];
}
