export { checkProject } from './check-project.ts';
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
} from './define-project.ts';
export { type LoadedProject, loadProject, PROJECT_FILES } from './load-project.ts';
export type { ModelInput, ModelProject, Project, ProjectInput } from './project-schema.ts';
