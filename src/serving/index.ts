export {
  type DesiredModel,
  type DesiredState,
  type DesiredVersion,
  desiredStateSchema,
} from './contract.ts';
export { RefusedError, type ReportProfiles, type ShipSegment } from './log/ship-log.ts';
export { type ModelServerOptions, type RunningModelServer, startModelServer } from './start-model-server.ts';
export type { ResolveDesiredState } from './versions/follow-desired-state.ts';
export type { FetchModel } from './versions/prepare-model.ts';
