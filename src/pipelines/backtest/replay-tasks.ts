import type { DatasetColumn } from '../../datasets/index.ts';
import type { JudgeInput, Judgement } from '../../delivery/index.ts';
import type { ClassValue } from '../../models/index.ts';
import type { TrainIntoOptions } from '../../training/index.ts';

/** A table that is replayed: rows in the order of time, the target a column of its own. */
export interface ReplayTable {
  parquetPath: string;
  name: string;
  schema: DatasetColumn[];
  target: string;
  time: string;
  id?: string;
}

export interface LoadedTimes {
  /** When each row happened, ms, ascending. */
  times: Float64Array;
  targets: (string | number | boolean)[];
}

/** A training as a retraining at a moment would do it. */
export interface ReplayTraining {
  folder: string;
  table: ReplayTable;
  /** Half-open, ms. */
  from: number;
  to: number;
  options: Pick<
    TrainIntoOptions,
    'name' | 'ignore' | 'features' | 'algorithm' | 'params' | 'seed' | 'codeVersion'
  > & {
    testFrom: number;
  };
}

export interface ReplayedTraining {
  modelPath: string;
  heldOutPath: string;
  heldOutSha256: string;
  referencePath: string;
  metrics: Record<string, number>;
  trainedRows: number;
  heldOutRows: number;
}

export interface Window {
  from: number;
  to: number;
  /** Rows `first` to `last`, half-open. */
  first: number;
  last: number;
}

export interface ReplayServing {
  modelPath: string;
  referencePath: string;
  table: ReplayTable;
  /** The first row that is answered; all after it are. */
  firstRow: number;
  /** Windows to test, by their place in the replay's list. */
  windows: (Window & { index: number })[];
}

export interface ReplayedServing {
  firstRow: number;
  /** Probabilities, row by row, or values. */
  answers: Float32Array;
  classes?: readonly ClassValue[];
  /** How many tests run on each window. */
  testCount: number;
  tests: { index: number; tests: { column: string; aspect: string; p: number }[] }[];
}

export type ReplayJudging = JudgeInput;
export type ReplayedJudging = Judgement;
