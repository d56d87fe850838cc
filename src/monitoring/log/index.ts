export type { ForgetRows, Forgotten } from './filing/forget-rows.ts';
export {
  type ComparedVariants,
  type ExportedRows,
  LOG_METRICS,
  type LogMetric,
  type MeasuredWindow,
  type UserQueryResult,
} from './log-messages.ts';
export { logRoutes } from './log-routes.ts';
export type { LabelledRequest } from './measure-log.ts';
export {
  createPredictionLog,
  type LogCounts,
  type PredictionLog,
  type PredictionLogDeps,
} from './prediction-log.ts';
export { createSignatureReader, type ReadSignature } from './read-signatures.ts';
