import { createLocalArtifactStore } from '../../src/artifacts/index.ts';
import {
  createDelivery,
  type Delivery,
  type DeliveryDeps,
  deliveryRoutes,
} from '../../src/delivery/index.ts';
import { type App, type Clock, createApp, createMetrics, type Database } from '../../src/platform/index.ts';
import { createModelFiles, createServingSignal, registryRoutes } from '../../src/registry/index.ts';
import { rewriteMlflowUrl, trackingRoutes } from '../../src/tracking/index.ts';
import { silentLogger } from './silent-logger.ts';
import { tempDir } from './temp-dir.ts';

/** Tracking, registry and delivery on a database and an artifact store of their own; every answer is verified. */
export async function createControlPlaneApp(
  options: { database: Database; clock: Clock; onDelivery?: (delivery: Delivery) => void } & Pick<
    DeliveryDeps,
    'judge' | 'policyOf' | 'log' | 'variantCounts' | 'reportedAt' | 'isClockOfEvents' | 'onChange'
  >,
): Promise<App> {
  const { database, clock, onDelivery, ...rest } = options;
  const app = createApp({
    name: 'test',
    version: '0',
    logger: silentLogger,
    metrics: createMetrics(),
    clock,
    verifyResponses: true,
    rewriteUrl: rewriteMlflowUrl,
  });
  const artifacts = createLocalArtifactStore({ root: tempDir() });
  const files = createModelFiles({ artifacts });
  const moved = createServingSignal();
  await app.register(trackingRoutes({ database, artifacts, clock }));
  const delivery = createDelivery({ ...rest, database, clock, files, moved, workFolder: tempDir() });
  onDelivery?.(delivery);
  const { guardChampionMove } = delivery;
  await app.register(registryRoutes({ database, clock, files, moved, guardChampionMove }));
  deliveryRoutes({ database, moved, delivery })(app);
  await app.ready();
  return app;
}
