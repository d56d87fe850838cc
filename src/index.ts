/**
 * The public door of the package: what a project file imports, and what a program that embeds Tidemill may.
 */
export { runCli } from './cli/index.ts';
export type { Platform, PlatformOptions } from './main.ts';
export { startPlatform } from './main.ts';
export type {
  DataOptions,
  GradientBoostingOptions,
  LinearOptions,
  ModelInput,
  ProjectInput,
} from './pipelines/index.ts';
export {
  csv,
  dataset,
  defineProject,
  gradientBoosting,
  jsonLines,
  linear,
  parquet,
} from './pipelines/index.ts';
