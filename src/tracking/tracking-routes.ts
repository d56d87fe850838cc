import type { ArtifactStore } from '../artifacts/index.ts';
import type { App, Clock, Database } from '../platform/index.ts';
import { registerArtifactProxy, runArtifactRoutes } from './artifact-routes.ts';
import { experimentRoutes } from './experiment-routes.ts';
import { registerMlflowRoutes } from './mlflow-protocol.ts';
import { runRoutes } from './run-routes.ts';

export interface TrackingDeps {
  database: Database;
  artifacts: ArtifactStore;
  clock: Clock;
  /** In [0, 1): names runs that were given none. */
  random?: () => number;
}

/** The tracking part of the MLflow REST API: experiments, runs, metrics, artifacts. */
export function trackingRoutes({ random = Math.random, ...deps }: TrackingDeps): (app: App) => Promise<void> {
  return async (app) => {
    await registerMlflowRoutes(app, 'experiments', experimentRoutes(deps));
    await registerMlflowRoutes(app, 'runs', [...runRoutes({ ...deps, random }), ...runArtifactRoutes(deps)]);
    await registerArtifactProxy(app, deps);
  };
}
