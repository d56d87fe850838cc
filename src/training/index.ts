export type { ExportCheck } from './compare-export.ts';
export {
  type Algorithm,
  describeParameters,
  type ParameterDoc,
  type ParameterValue,
  parseParameters,
} from './parameters.ts';
export type { ProgressListener, TrainingProgress } from './progress.ts';
export type {
  ColumnImportance,
  TrainedModel,
  TrainingReport,
  TrainOptions,
} from './train.ts';
export { train } from './train.ts';
