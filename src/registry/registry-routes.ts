import type { App, Clock, Database } from '../platform/index.ts';
import { registerMlflowRoutes } from '../tracking/index.ts';
import type { ModelFiles } from './model-files.ts';
import { modelRoutes } from './model-routes.ts';
import { modelVersionRoutes } from './model-version-routes.ts';
import { registeredModelRoutes } from './registered-model-routes.ts';
import type { ServingSignal } from './serving-signal.ts';

export interface RegistryDeps {
  database: Database;
  clock: Clock;
  files: ModelFiles;
  /** Told after every write that may change what serves. */
  moved: ServingSignal;
  /** Refuses, by throwing, a change of what serves that does not come from a promotion or a rollback. */
  guardChampionMove?: ((name: string, version?: number) => Promise<void>) | undefined;
}

/** The registry part of the MLflow REST API, and Tidemill's own view of models and of the audit. */
export function registryRoutes(deps: RegistryDeps): (app: App) => Promise<void> {
  return async (app) => {
    await registerMlflowRoutes(app, 'registry', [
      ...registeredModelRoutes(deps),
      ...modelVersionRoutes(deps),
    ]);
    modelRoutes(deps)(app);
  };
}
