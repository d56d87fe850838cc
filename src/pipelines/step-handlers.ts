import { type DatasetColumn, planTarget, type TableStatistics } from '../datasets/index.ts';

export interface PlannedTarget {
  targetName: string;
  targetColumns: string[];
}

export interface ComposedTable {
  path: string;
  digest: string;
  rows: number;
  schema: DatasetColumn[];
  statistics: TableStatistics;
  notes: string[];
  from?: number;
  to?: number;
}

export interface TrainTask {
  folder: string;
  options: {
    table: {
      parquetPath: string;
      name: string;
      version: number;
      digest: string;
      rows: number;
      schema: DatasetColumn[];
      notes: string[];
    };
    name: string;
    target: string;
    id?: string;
    time?: string;
    ignore?: readonly string[];
    features?: Record<string, string>;
    algorithm: 'gradient-boosting' | 'linear';
    params: Record<string, string | number>;
    seed: number;
    split: { kind: 'time'; testFrom: number } | { testShare: number };
    codeVersion: string;
    runId: string;
  };
}

export interface TrainedResult {
  /** By their path among the run's artifacts. */
  files: { path: string; file: string }[];
  metrics: Record<string, number>;
  params: Record<string, string | number | boolean>;
  /** Of the version. */
  tags: Record<string, string>;
  runTags: Record<string, string>;
  description: string;
  /** The course of the training, thinned. */
  curve: { key: string; value: number; step: number }[];
  trainedFrom?: number;
  trainedTo?: number;
  heldOutFrom?: number;
  heldOutTo?: number;
  heldOutRows: number;
  warnings: string[];
}

/** What a step process does; its libraries are loaded by the first task that needs them. */
export const stepHandlers = {
  'plan-target': async (input: {
    parquetPath: string;
    schema: readonly DatasetColumn[];
    target: string;
  }): Promise<PlannedTarget> => {
    const { targetName, targetColumns } = await planTarget(input);
    return { targetName, targetColumns };
  },
};
