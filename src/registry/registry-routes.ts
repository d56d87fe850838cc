import type { App } from '../platform/index.ts';
import { registerMlflowRoutes } from '../tracking/index.ts';
import { modelRoutes } from './model-routes.ts';
import { modelVersionRoutes } from './model-version-routes.ts';
import { registeredModelRoutes } from './registered-model-routes.ts';
import type { RegistryDeps } from './registry-deps.ts';

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
