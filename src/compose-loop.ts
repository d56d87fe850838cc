import { join } from 'node:path';
import { createDelivery, deliveryRoutes } from './delivery/index.ts';
import { acquireLoopLease, createJobs, createStepWorkers, jobRoutes } from './jobs/index.ts';
import { loopRoutes } from './loop-routes.ts';
import {
  createMonitoring,
  createPredictionLog,
  createSignatureReader,
  logRoutes,
  monitoringRoutes,
} from './monitoring/index.ts';
import { createPipelines, pipelineRoutes, STEP_PROCESS } from './pipelines/index.ts';
import type { App, Clock, ClockKind, Database, EventClock, Logger, Metrics } from './platform/index.ts';
import { createRunLoop, type RunLoop } from './run-loop.ts';

export interface LoopDeps {
  database: Database;
  artifacts: import('./artifacts/index.ts').ArtifactStore;
  files: import('./registry/index.ts').ModelFiles;
  moved: import('./registry/index.ts').ServingSignal;
  clock: Clock;
  clockKind: ClockKind;
  eventClock: EventClock | undefined;
  logger: Logger;
  metrics: Metrics;
  dataDir: string;
  version: string;
  logRetentionMs: number;
  triggerToken: string | undefined;
}

/** More open alarms than these nobody reads one by one. */
const MOST_ALARMS = 1000;

/** Watch, notice, retrain, judge, roll out, undo: wires the slices that do it, and the loop that moves them on. */
export function composeLoop(deps: LoopDeps) {
  const { database, artifacts, files, moved, clock, logger, metrics, dataDir } = deps;
  const workFolder = join(dataDir, 'work');
  const log = createPredictionLog({
    database,
    artifacts,
    clock,
    logger,
    workFolder: join(workFolder, 'log'),
    modelOf: createSignatureReader({ database, files }),
    retentionMs: deps.logRetentionMs,
  });
  const delivery = createDelivery({
    database,
    clock,
    files,
    moved,
    logger,
    log,
    policyOf: (model) => pipelines.policyOf(model),
    variantCounts: ({ model, from, to }) => monitoring.traffic(model, from, to),
    onChange: () => loop.poke(),
    reportedAt: () => monitoring.newestReport(),
    isClockOfEvents: deps.eventClock !== undefined,
    workFolder: join(workFolder, 'delivery'),
  });
  const monitoring = createMonitoring({
    database,
    clock,
    logger,
    metrics,
    files,
    log,
    policyOf: (model) => pipelines.monitorPolicyOf(model),
    onWatermark(eventMs) {
      deps.eventClock?.advance(eventMs);
      loop.poke();
    },
  });
  const workers = createStepWorkers({
    entry: STEP_PROCESS,
    size: 1,
    logger,
  });
  const pipelines = createPipelines({
    database,
    artifacts,
    clock,
    logger,
    files,
    jobs: () => jobs,
    delivery,
    openAlarms: (model) => monitoring.alarms({ model, state: 'open', limit: MOST_ALARMS }),
    windows: (model, filter) => monitoring.performances(model, filter),
    log,
    runner: workers,
    workFolder: join(workFolder, 'pipelines'),
    codeVersion: deps.version,
  });
  const jobs = createJobs({
    database,
    clock,
    logger,
    metrics,
    flows: pipelines.flows,
    onChange: () => loop.poke(),
  });
  const lease = acquireLoopLease({ database, logger });
  const loop: RunLoop = createRunLoop({
    parts: [
      { name: 'monitoring', advance: () => monitoring.advance() },
      { name: 'delivery', advance: () => delivery.advance() },
      { name: 'pipelines', advance: () => pipelines.advance() },
      {
        name: 'jobs',
        async advance() {
          await jobs.tick();
          return { didSomething: false };
        },
      },
    ],
    clock,
    logger,
    isBusy: () => jobs.activeCount() > 0 || delivery.busy(),
    isMine: () => lease.check(),
    hasBegun: () => deps.eventClock?.hasBegun ?? true,
  });

  return {
    delivery,
    pipelines,
    /** What somebody should look at. */
    counts: async (): Promise<Record<string, number>> => ({
      open_alarms: (await monitoring.alarms({ state: 'open', limit: MOST_ALARMS })).length,
      paused_rollouts: await delivery.pausedRollouts(),
      unwatched_models: (await monitoring.untested()).length,
    }),
    async register(app: App): Promise<void> {
      await app.register(logRoutes({ log }));
      await app.register(async (scope) => monitoringRoutes({ monitoring })(scope as never));
      await app.register(async (scope) => deliveryRoutes({ database, moved, delivery })(scope as never));
      await app.register(async (scope) => jobRoutes({ jobs })(scope as never));
      await app.register(async (scope) =>
        pipelineRoutes({
          pipelines,
          clock,
          explainers: [(model) => monitoring.explain(model), (model) => delivery.explain(model)],
          triggerToken: deps.triggerToken,
        })(scope as never),
      );
      loopRoutes({
        loop,
        clock,
        clockKind: deps.clockKind,
        activeJobs: () => jobs.activeCount(),
        activeRollouts: () => delivery.activeRollouts(),
      })(app);
    },
    async begin(): Promise<void> {
      await jobs.begin();
      loop.begin();
      // The first retraining does not wait then for a process to load what it trains with.
      if ((await pipelines.listModels()).length > 0) workers.warm();
    },
    async stop(): Promise<void> {
      const ended = loop.stop();
      // The pass under way would else wait for a judgement, which may take minutes.
      delivery.close();
      await ended;
      await lease.release();
      await jobs.stop();
      await workers.stop();
      await monitoring.stop();
      await log.close();
    },
  };
}
