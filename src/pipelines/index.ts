export type { BacktestRequest } from './backtest/backtest-request.ts';
export { type BacktestResult, runBacktest } from './backtest/run-backtest.ts';
export { BACKTEST_POLICIES, type BacktestPolicy } from './backtest/simulated-policy.ts';
export { createPipelines, type Pipelines } from './create-pipelines.ts';
export type { PipelineDeps } from './pipeline-deps.ts';
export { pipelineRoutes } from './pipeline-routes.ts';
export { checkBesideRows } from './project/check-beside-rows.ts';
export { checkProject } from './project/check-project.ts';
export {
  csv,
  type DataOptions,
  dataset,
  defineProject,
  type GradientBoostingOptions,
  gradientBoosting,
  jsonLines,
  type LinearOptions,
  linear,
  parquet,
} from './project/define-project.ts';
export { type LoadedProject, loadProject, PROJECT_FILES } from './project/load-project.ts';
export type { ModelInput, ModelProject, Project, ProjectInput } from './project/project-schema.ts';

/** The module of the processes that do the heavy steps. */
export const STEP_PROCESS = new URL(`./step-process${import.meta.url.slice(-3)}`, import.meta.url);
