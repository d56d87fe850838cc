export {
  type DesiredModel,
  type DesiredState,
  type DesiredVersion,
  desiredStateSchema,
} from './contract.ts';
export type { ResolveDesiredState } from './follow-desired-state.ts';
export type { FetchModel } from './prepare-model.ts';
export { type ModelServerOptions, type RunningModelServer, startModelServer } from './start-model-server.ts';
