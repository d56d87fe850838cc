import type { ModelInput, ProjectInput } from './project-schema.ts';

/** What every table needs said: what to predict, and which columns are no features. */
export interface DataOptions {
  /** A column, or an expression over columns, such as `'delay > 15'`. */
  target: string;
  /** A column that names the entity; never a feature. */
  id?: string;
  /** A column that says when a row happened: windows and held-out rows go by it. */
  time?: string;
  /** Columns that are no features by themselves; derived columns may read them. */
  ignore?: string[];
  /** Columns that are text whatever their values look like. */
  text?: string[];
}

/** Settings of gradient-boosted trees; `tidemill train --help` tells each default. */
export interface GradientBoostingOptions {
  trees?: number;
  learningRate?: number;
  maxDepth?: number;
  maxLeaves?: number;
  minLeaf?: number;
  l2?: number;
  subsample?: number;
  columnSample?: number;
  bins?: number;
  earlyStoppingRounds?: number;
  validationShare?: number;
  classWeight?: 'none' | 'balanced';
  seed?: number;
}

/** Settings of the regularised linear model, logistic for classes. */
export interface LinearOptions {
  l2?: number;
  maxIterations?: number;
  tolerance?: number;
  impute?: 'mean' | 'median';
  classWeight?: 'none' | 'balanced';
  seed?: number;
}

/** The project of a `tidemill.config.ts`: plain data, checked when it is loaded. */
export function defineProject(project: ProjectInput): ProjectInput {
  return project;
}

/** A CSV file; its path is relative to the project file. */
export function csv(path: string, options: DataOptions): ModelInput['data'] {
  return { format: 'csv', path, ...options };
}

/** A Parquet file; its path is relative to the project file. */
export function parquet(path: string, options: DataOptions): ModelInput['data'] {
  return { format: 'parquet', path, ...options };
}

/** A file with one JSON object a line; its path is relative to the project file. */
export function jsonLines(path: string, options: DataOptions): ModelInput['data'] {
  return { format: 'jsonl', path, ...options };
}

/** A dataset of the platform: its newest version. */
export function dataset(name: string, options: Omit<DataOptions, 'text'>): ModelInput['data'] {
  return { dataset: name, ...options };
}

export function gradientBoosting(options: GradientBoostingOptions = {}): ModelInput['train'] {
  return { algorithm: 'gradient-boosting', ...options };
}

export function linear(options: LinearOptions = {}): ModelInput['train'] {
  return { algorithm: 'linear', ...options };
}
