import { join } from 'node:path';
import { createLocalArtifactStore } from './artifacts/index.ts';
import { composeLoop } from './compose-loop.ts';
import { datasetRoutes } from './datasets/index.ts';
import { readNewestWatermark } from './monitoring/index.ts';
import {
  type Clock,
  type ClockKind,
  createApp,
  createEventClock,
  createMetrics,
  type Database,
  type Logger,
  systemClock,
} from './platform/index.ts';
import { createStatusReader } from './read-status.ts';
import { createModelFiles, createServingSignal, registryRoutes } from './registry/index.ts';
import type { ControlPlaneConfig } from './settings.ts';
import { statusRoutes } from './status-routes.ts';
import { rewriteMlflowUrl, trackingRoutes } from './tracking/index.ts';

export interface ComposeServerOptions {
  database: Database;
  config: ControlPlaneConfig;
  logger: Logger;
  /** Absolute. */
  dataDir: string;
  version: string;
  clockKind: ClockKind;
  clock: Clock | undefined;
  modelServers: () => string[];
}

/** Wires every slice's routes and the loop on an open database; a module of its own, which loads while that opens. */
export async function composeServer(options: ComposeServerOptions) {
  const { database, config, logger, dataDir, version, clockKind } = options;
  const eventClock =
    clockKind === 'events'
      ? createEventClock({ startMs: await readNewestWatermark(database.reader) })
      : undefined;
  const clock = options.clock ?? eventClock ?? systemClock;
  const artifacts = createLocalArtifactStore({ root: join(dataDir, 'artifacts') });
  const metrics = createMetrics();
  const app = createApp({
    name: 'Tidemill',
    version,
    logger,
    metrics,
    clock,
    rewriteUrl: rewriteMlflowUrl,
    allowedHosts: config.allowedHosts,
  });
  const files = createModelFiles({ artifacts });
  const moved = createServingSignal();
  await app.register(trackingRoutes({ database, artifacts, clock }));
  const loop = composeLoop({
    database,
    artifacts,
    files,
    moved,
    clock,
    clockKind,
    eventClock,
    logger,
    metrics,
    dataDir,
    version,
    logRetentionMs: config.logRetentionMs,
    triggerToken: config.triggerToken,
  });
  const { guardChampionMove } = loop.delivery;
  await app.register(registryRoutes({ database, clock, files, moved, guardChampionMove }));
  await loop.register(app);
  await app.register(datasetRoutes({ database, artifacts, clock, tempFolder: join(dataDir, 'uploads') }));
  const status = createStatusReader(database);
  statusRoutes({
    database,
    version,
    dataDir,
    modelServers: options.modelServers,
    counts: async () => ({ ...(await status.counts()), ...(await loop.counts()) }),
    models: () => status.models(),
  })(app);
  return { app, loop };
}
