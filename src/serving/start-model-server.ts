import { join } from 'node:path';
import {
  type App,
  type Clock,
  createApp,
  createMetrics,
  type Logger,
  listen,
  stopGracefully,
} from '../platform/index.ts';
import { describeModels } from './describe-models.ts';
import { openServingRecord, type RecordOptions } from './log/serving-record.ts';
import { createRequestAnswerer } from './predict/answer-request.ts';
import { createModelChooser } from './predict/choose-model.ts';
import { feedbackRoutes } from './predict/feedback-routes.ts';
import { predictRoutes } from './predict/predict-routes.ts';
import { createPredictionIds } from './predict/prediction-id.ts';
import { createReadiness } from './readiness.ts';
import { createServingMetrics, type WarmVersion } from './serving-metrics.ts';
import { statusRoutes } from './status-routes.ts';
import {
  type Contact,
  followDesiredState,
  type ResolveDesiredState,
} from './versions/follow-desired-state.ts';
import { createStateKeeper } from './versions/keep-desired-state.ts';
import { createModelCache } from './versions/model-cache.ts';
import { createModelRoster, type ModelRoster } from './versions/model-roster.ts';
import { type FetchModel, prepareModel } from './versions/prepare-model.ts';
import { spawnModelWorker, type WorkerThread } from './versions/run-in-worker.ts';
import { createServedVersion, type ServedVersion, type ServingLimits } from './versions/served-version.ts';

export interface ModelServerOptions extends RecordOptions {
  resolveDesiredState: ResolveDesiredState;
  fetchModel: FetchModel;
  /** Keeps models and the desired state, so that a start needs nobody. */
  cacheDir: string;
  logger: Logger;
  /** Told instead of the log when the control plane goes and when it is back. */
  onContact?: ((contact: Contact) => void) | undefined;
  clock: Clock;
  /** Told the event times of requests and labels: moves the clock where that follows events. */
  onEventTime?: ((timeMs: number) => void) | undefined;
  /** What of an event's time the clock follows: its own time where the event is too far ahead. */
  capEventTime?: ((timeMs: number) => number | null) | undefined;
  /** How many events were too far ahead. */
  ignoredEvents?: (() => number) | undefined;
  host: string;
  /** 0 takes any free one. */
  port: number;
  /** Tidemill's version. */
  version: string;
  /** The model that `/predict` answers for when there are several. */
  defaultModel?: string | undefined;
  allowedHosts?: string[];
  allowInsecure?: boolean;
  bodyLimitBytes?: number;
  limits?: Partial<ServingLimits>;
  /** How long to be unready before connections are refused at the stop; default 0. */
  unreadyMs?: number;
  /** How long requests in flight may take at the stop; default 30 s. */
  graceMs?: number;
  /** Models that are slower run in a thread of their own. */
  inlineLimits?: { createMs: number; rowMicros: number };
  /** A run in a worker that takes longer means that it hangs; default 60 s. */
  runLimitMs?: number;
  /** Checks every answer against its contract: for tests. */
  verifyResponses?: boolean;
  spawnWorker?: (name: string) => WorkerThread;
  random?: () => number;
  /** Draws who meets a candidate, from 0 to 1; by default `Math.random`. */
  draw?: () => number;
}

export interface RunningModelServer {
  url: string;
  /** Resolves when `/ready` answers 200 for the first time; never after a stop before that. */
  ready: Promise<void>;
  stop(): Promise<void>;
}

const DEFAULT_LIMITS: ServingLimits = { maxRows: 10_000, maxQueueRows: 20_000, timeoutMs: 10_000 };

/**
 * Starts a model server and resolves as soon as it listens. It serves what its cache knows at once, follows the
 * control plane from then on, and goes on serving while that is away.
 */
export async function startModelServer(options: ModelServerOptions): Promise<RunningModelServer> {
  const { logger, clock } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const cache = createModelCache(options.cacheDir);
  const metrics = createMetrics();
  const servingMetrics = createServingMetrics(
    metrics,
    () => warmVersions(roster),
    () => record.log?.unshippedBytes ?? 0,
    options.ignoredEvents,
  );
  const nextId = createPredictionIds(() => clock.now());
  const stopping = new AbortController();
  const firstReady = Promise.withResolvers<void>();
  await cache.open();
  const cached = await cache.readDesiredState();
  const keepState = createStateKeeper(cache.writeDesiredState, cached, logger);

  const record = await openServingRecord({
    ...options,
    logDir: options.logDir ?? join(options.cacheDir, 'log'),
    incarnation: createPredictionIds(Date.now)(),
    onDrop: (rows) => servingMetrics.logDropped.inc(rows),
    onRefused: (what) => servingMetrics.logRefused.labels(what).inc(),
    findVersion: (name, version) => roster.findWarm(name, version),
    followsEvents: options.onEventTime !== undefined,
    capEventTime: options.capEventTime,
  });
  if (record.newestEvent !== null) options.onEventTime?.(record.newestEvent);

  const roster: ModelRoster = createModelRoster({
    logger,
    prepare: (model, onLost, signal, staysInWorker) =>
      prepareModel(
        {
          cache,
          fetchModel: options.fetchModel,
          spawnWorker: options.spawnWorker ?? spawnModelWorker,
          inlineLimits: options.inlineLimits ?? { createMs: 10, rowMicros: 200 },
          runLimitMs: options.runLimitMs ?? 60_000,
          logger,
        },
        model,
        onLost,
        signal,
        staysInWorker,
      ),
    serve: (name, desired, prepared, loadSeconds): ServedVersion =>
      createServedVersion({
        name,
        desired,
        prepared,
        loadSeconds,
        loadedAt: clock.now(),
        limits,
        metrics: servingMetrics,
        nextId,
        log: record.log,
        book: record.book,
        segments: () => roster.segmentsOf(name),
        onEventTime: options.onEventTime,
        now: () => clock.now(),
        logger,
      }),
    onChange(effective, isSettled) {
      keepState(effective);
      if (readiness().isReady) firstReady.resolve();
      if (!isSettled) return;
      void dropUnneeded();
      record.onSettled();
    },
    countFailure: (name, version) => servingMetrics.loadFailures.labels(name, version).inc(),
  });
  const chooser = createModelChooser(roster, options.defaultModel);
  const readiness = createReadiness(roster, () => stopping.signal.aborted);

  async function dropUnneeded(): Promise<void> {
    try {
      const dropped = await cache.dropUnneeded((sha256) => roster.needs(sha256));
      if (dropped.length > 0) logger.debug({ count: dropped.length }, 'models dropped from the cache');
    } catch (error) {
      logger.warn({ err: error }, 'the cache of models could not be tidied');
    }
  }

  const app = createServingApp();
  if (cached !== undefined) {
    logger.info(
      { revision: cached.revision, models: cached.models.length },
      'starting with what the cache knows',
    );
    roster.follow(cached);
  }
  const { url } = await listen(app, {
    host: options.host,
    port: options.port,
    allowInsecure: options.allowInsecure ?? false,
    portFlag: '--serve-port',
  }).catch(async (error: unknown) => {
    await Promise.all([roster.close(), app.close(), record.close()]);
    throw error;
  });
  logger.info({ url }, 'model server listens');
  record.start();

  const following = followDesiredState({
    resolve: options.resolveDesiredState,
    onState: (state) => roster.follow(state),
    revision: cached?.revision || undefined,
    signal: stopping.signal,
    logger,
    onContact: options.onContact,
    ...(options.random === undefined ? {} : { random: options.random }),
  });

  let stopped: Promise<void> | undefined;
  async function stop(): Promise<void> {
    stopping.abort(new Error('the model server stops'));
    await stopGracefully(app, { graceMs: options.graceMs ?? 30_000, unreadyMs: options.unreadyMs ?? 0 });
    await following;
    await record.close();
    await roster.close();
    await keepState.done();
  }

  return {
    url,
    ready: firstReady.promise,
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };

  function createServingApp(): App {
    const made = createApp({
      name: 'Tidemill model server',
      version: options.version,
      description: 'Predictions of the models that are promoted.',
      logger,
      metrics,
      clock,
      allowedHosts: options.allowedHosts ?? [],
      verifyResponses: options.verifyResponses ?? false,
      completeDocument: (document) => describeModels(document, roster, onlyName()),
      ...(options.bodyLimitBytes === undefined ? {} : { bodyLimitBytes: options.bodyLimitBytes }),
    });
    const { onEventTime } = options;
    const answer = createRequestAnswerer({
      timeoutMs: limits.timeoutMs,
      random: options.draw ?? Math.random,
      metrics: servingMetrics,
    });
    predictRoutes({ chooser, answer })(made);
    if (record.log !== undefined) {
      feedbackRoutes({
        chooser,
        log: record.log,
        maxLabels: limits.maxRows,
        now: () => clock.now(),
        onEventTime,
        metrics: servingMetrics,
      })(made);
    }
    statusRoutes({
      version: options.version,
      roster,
      chooser,
      readiness,
      ignoredEvents: options.ignoredEvents ?? (() => 0),
    })(made);
    return made;
  }

  function onlyName(): string | undefined {
    const names = roster.names();
    return options.defaultModel ?? (names.length === 1 ? names[0] : undefined);
  }
}

function warmVersions(roster: ModelRoster): WarmVersion[] {
  return roster.statuses().flatMap(({ name, champion, previous }) => {
    const candidate = roster.find(name)?.candidate?.served;
    const told: WarmVersion[] = [];
    for (const [role, of] of [
      ['champion', champion],
      ['candidate', candidate],
      ['previous', previous],
    ] as const) {
      if (of === undefined || of.lostBecause !== undefined) continue;
      const { depth, loadSeconds, measure, desired } = of;
      told.push({
        name,
        version: desired.version,
        role,
        depth,
        loadSeconds,
        memoryBytes: measure.memoryBytes,
      });
    }
    return told;
  });
}
