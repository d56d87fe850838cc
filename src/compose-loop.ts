import { join } from 'node:path';
import { loopRoutes } from './loop-routes.ts';
import type { App, Clock, ClockKind, Database, EventClock, Logger, Metrics } from './platform/index.ts';
import { createRunLoop, type RunLoop } from './run-loop.ts';

/** The slices that the loop is made of, loaded while the database opens. */
export interface LoopSlices {
  delivery: typeof import('./delivery/index.ts');
  jobs: typeof import('./jobs/index.ts');
  monitoring: typeof import('./monitoring/index.ts');
  pipelines: typeof import('./pipelines/index.ts');
}

export async function loadLoopSlices(): Promise<LoopSlices> {
  const [delivery, jobs, monitoring, pipelines] = await Promise.all([
    import('./delivery/index.ts'),
    import('./jobs/index.ts'),
    import('./monitoring/index.ts'),
    import('./pipelines/index.ts'),
  ]);
  return { delivery, jobs, monitoring, pipelines };
}

export interface LoopDeps {
  slices: LoopSlices;
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

/** Watch, notice, retrain, judge, roll out, undo: wires the slices that do it, and the loop that moves them on. */
export function composeLoop(deps: LoopDeps) {
  const { slices, database, artifacts, files, moved, clock, logger, metrics, dataDir } = deps;
  const workFolder = join(dataDir, 'work');
  const log = slices.monitoring.createPredictionLog({
    database,
    artifacts,
    clock,
    logger,
    workFolder: join(workFolder, 'log'),
    modelOf: slices.monitoring.createSignatureReader({ database, files }),
    retentionMs: deps.logRetentionMs,
  });
  const delivery = slices.delivery.createDelivery({
    database,
    clock,
    files,
    moved,
    logger,
    log,
    policyOf: (model) => pipelines.policyOf(model),
    variantCounts: ({ model, from, to }) => monitoring.traffic(model, from, to),
    onChange: () => loop.poke(),
    // The clock of events moves by reports alone.
    ...(deps.eventClock ? {} : { reportedAt: () => monitoring.newestReport() }),
    workFolder: join(workFolder, 'delivery'),
  });
  const monitoring = slices.monitoring.createMonitoring({
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
  const workers = slices.jobs.createStepWorkers({
    entry: slices.pipelines.STEP_PROCESS,
    size: 1,
    logger,
  });
  const pipelines = slices.pipelines.createPipelines({
    database,
    artifacts,
    clock,
    logger,
    files,
    jobs: () => jobs,
    delivery,
    openAlarms: (model) => monitoring.alarms({ model, state: 'open', limit: 1000 }),
    windows: (model, filter) => monitoring.windows(model, filter),
    log,
    runner: workers,
    workFolder: join(workFolder, 'pipelines'),
    codeVersion: deps.version,
  });
  const jobs = slices.jobs.createJobs({
    database,
    clock,
    logger,
    metrics,
    flows: pipelines.flows,
    onChange: () => loop.poke(),
  });
  const lease = slices.jobs.acquireLoopLease({ database, logger });
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
    async register(app: App): Promise<void> {
      await app.register(slices.monitoring.logRoutes({ log }));
      await app.register(async (scope) => slices.monitoring.monitoringRoutes({ monitoring })(scope as never));
      await app.register(async (scope) =>
        slices.delivery.deliveryRoutes({ database, moved, delivery })(scope as never),
      );
      await app.register(async (scope) => slices.jobs.jobRoutes({ jobs })(scope as never));
      await app.register(async (scope) =>
        slices.pipelines.pipelineRoutes({
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
