export type { ExportCheck } from './export/compare-export.ts';
export {
  type Algorithm,
  describeParameters,
  type ParameterDoc,
  type ParameterValue,
  parseParameters,
} from './parameters.ts';
export type { ProgressListener, TrainingProgress } from './progress.ts';
export type { MetricPoint } from './record-steps.ts';
export {
  type RunRecorder,
  type RunStart,
  type RunTrainingOptions,
  runTraining,
  type TrainingResult,
  type TrainingSource,
  type TrainingStage,
} from './run-training.ts';
export type {
  ColumnImportance,
  TrainedModel,
  TrainingReport,
  TrainOptions,
} from './train.ts';
export { train } from './train.ts';
export {
  HELD_OUT_PATH,
  REFERENCE_PATH,
  type TrainedFolder,
  type TrainIntoOptions,
  trainInto,
} from './train-into.ts';
export type { TrainingTable } from './training-table.ts';
