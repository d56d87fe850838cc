export { keyOfLocation, trackingKey } from './artifact-location.ts';
export { checkKey, MAX_KEY_LENGTH } from './check-logged-values.ts';
export {
  createExperiment,
  createRun,
  logBatch,
  logDatasetInputs,
  updateRun,
} from './commands.ts';
export { createExperimentStore } from './experiment-store.ts';
export { compareNumber, compareText, refused } from './filter-sql.ts';
export {
  emptyResponse,
  int64,
  keyValueSchema,
  type MlflowRoute,
  maxResults,
  mlflowRoute,
  registerMlflowRoutes,
  requiredText,
  rewriteMlflowUrl,
  textList,
} from './mlflow-protocol.ts';
export { nextPageToken, readSearchPage, type SearchPage } from './page-token.ts';
export { type Comparison, type OrderTerm, parseFilter, parseOrderTerm } from './parse-filter.ts';
export { readRuns } from './read-runs.ts';
export { createRunStore } from './run-store.ts';
export type { KeyValue, Metric, Run, RunInfo } from './tables.ts';
export { type TrackingDeps, trackingRoutes } from './tracking-routes.ts';
export { unlessEmpty } from './wire-format.ts';
