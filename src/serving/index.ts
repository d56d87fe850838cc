export {
  type DesiredModel,
  type DesiredState,
  type DesiredVersion,
  desiredStateSchema,
} from './contract.ts';
export type { ResolveDesiredState } from './follow-desired-state.ts';
export { RefusedError, type ReportProfiles, type ShipSegment } from './log/ship-log.ts';
export type { FetchModel } from './prepare-model.ts';
export { type ModelServerOptions, type RunningModelServer, startModelServer } from './start-model-server.ts';
