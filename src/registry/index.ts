export { createChampionStore, type MoveCause } from './champion-store.ts';
export { checkModelName, readVersion } from './check-names.ts';
export { createRegisteredModel } from './commands.ts';
export { createModelFiles, type ModelFiles, notServable } from './model-files.ts';
export { createModelVersionStore } from './model-version-store.ts';
export {
  type ExpectedChampion,
  expectChampion,
  type Moved,
  putChampion,
  putPredecessorBack,
} from './move-champion.ts';
export { createVersionRegistrar, type RegisterRequest } from './register-version.ts';
export { createRegisteredModelStore } from './registered-model-store.ts';
export type { RegistryDeps } from './registry-deps.ts';
export { registryRoutes } from './registry-routes.ts';
export { createServingSignal, type ServingSignal } from './serving-signal.ts';
export type { Champion, ModelVersion, Move, RegisteredModel } from './tables.ts';
