import type { Clock, Database, Logger, Metrics } from '../platform/index.ts';
import {
  createChampionStore,
  createModelVersionStore,
  createRegisteredModelStore,
  type ModelVersion,
} from '../registry/index.ts';
import type { ProfileReport, Reporter } from '../serving/contract.ts';
import type { Alarm } from './alarms/alarm.ts';
import { createAlarmStore } from './alarms/alarm-store.ts';
import { createMessenger } from './alarms/deliver-messages.ts';
import { createReferenceReader } from './drift/read-reference.ts';
import { acknowledgeAlarm, beginWatch, closeAlarm, takeProfileReport } from './drift-commands.ts';
import { createDriftGauges } from './drift-gauges.ts';
import { type BaselineDeps, createBaselineReader } from './evaluation/read-baseline.ts';
import { createScoringChild } from './evaluation/scoring-child.ts';
import { type Baseline, explainMonitoring, type MonitoringExplanation } from './explain-monitoring.ts';
import { DEFAULT_MONITOR_POLICY, type MonitorPolicy } from './monitor-policy.ts';
import { type CloseWindowDeps, closeNextWindow } from './windows/close-windows.ts';
import type { QueryLog } from './windows/explain-segments.ts';
import {
  type MeasureWindows,
  measureDueWindows,
  type PerformanceDeps,
} from './windows/measure-performance.ts';
import { createAlarmNaming } from './windows/name-alarms.ts';
import { createProfileEntryStore } from './windows/profile-entry-store.ts';
import { createSequenceStore } from './windows/sequence-store.ts';
import { createWindowStore, type UntestedRun } from './windows/window-store.ts';

export interface MonitoringDeps {
  database: Database;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  files: {
    referencePath(version: ModelVersion): Promise<string | undefined>;
    /** How much a version relies on each column, as shares of 1. */
    importanceOf?(version: ModelVersion): Promise<Record<string, number> | undefined>;
  } & Partial<BaselineDeps['files']>;
  log: { measureWindows: MeasureWindows; query?: QueryLog };
  /** How a model is watched; the defaults where no project speaks of it. */
  policyOf?: (model: string) => Promise<MonitorPolicy | undefined>;
  /** What a version reached on its evaluation set; computed from its files unless given. */
  baselineOf?: PerformanceDeps['baselineOf'];
  /** After a start model servers have so long to report what they answered while nobody listened. */
  settleMs?: number;
  /** Hears the newest event time of each report, after it is kept. */
  onWatermark?: (eventMs: number) => void;
}

export type Monitoring = ReturnType<typeof createMonitoring>;

const SETTLE_MS = 60_000;
/** Windows that one pass closes of one model at most, so that others have their turn. */
const WINDOWS_AT_ONCE = 100;

interface Watched {
  champion: ModelVersion;
  /** The clock's time before which nothing of the model is due; undefined: it must be looked at. */
  quietUntil: number | undefined;
}

/** Watches what serves: takes profiles, closes windows, tests them, raises and closes alarms. */
export function createMonitoring(deps: MonitoringDeps) {
  const { database, clock, logger } = deps;
  const reader = database.reader;
  const entries = createProfileEntryStore(reader);
  const alarms = createAlarmStore(reader);
  const windows = createWindowStore(reader);
  const sequences = createSequenceStore(reader);
  const champions = createChampionStore(reader);
  const models = createRegisteredModelStore(reader);
  const versions = createModelVersionStore(reader);
  const gauges = createDriftGauges(deps.metrics);
  const messenger = createMessenger({ database, logger });
  const { modelPath, heldOutPath } = deps.files;
  const scoring = createScoringChild();
  const baselines =
    modelPath && heldOutPath
      ? createBaselineReader({
          database,
          logger,
          files: { modelPath, heldOutPath },
          score: (request) => scoring.score(request),
        })
      : undefined;
  const policyOf = async (model: string) => (await deps.policyOf?.(model)) ?? DEFAULT_MONITOR_POLICY;
  const settledAt = performance.now() + (deps.settleMs ?? SETTLE_MS);
  /** A window that ended while this server was away would else be tested with what came before it went. */
  async function isReported(until: number): Promise<boolean> {
    if (performance.now() >= settledAt) return true;
    const [received, happened] = [await entries.newestReport(), await entries.newestWatermark()];
    return Math.max(received ?? 0, happened ?? 0) >= until;
  }
  const { query } = deps.log;
  const asking: { query?: QueryLog } =
    query === undefined ? {} : { query: (sql, options) => query(sql, options) };
  const closing: CloseWindowDeps = {
    isReported,
    database,
    clock,
    logger,
    referenceOf: createReferenceReader((version) => deps.files.referencePath(version)),
    importanceOf: async (version) => deps.files.importanceOf?.(version),
  };
  const naming = createAlarmNaming({ database, logger, referenceOf: closing.referenceOf, ...asking });
  const measuring: PerformanceDeps = {
    database,
    clock,
    logger,
    ...asking,
    measureWindows: (request) => deps.log.measureWindows(request),
    baselineOf:
      deps.baselineOf ??
      (async (version, metric, policy) => (await baselines?.baselineOf(version, metric, policy)) ?? []),
  };
  let watched = new Map<string, Watched>();
  let knownRevision: number | undefined;
  /** Another replica's reports are not heard here, so that its models are looked at in each pass. */
  const isAlone = database.dialect === 'sqlite';

  /** Looks at what serves when it may have moved; a version that came to serve is watched anew. */
  async function followChampions(): Promise<boolean> {
    const revision = await champions.revision();
    if (revision === knownRevision) return false;
    const next = new Map<string, Watched>();
    let didSomething = false;
    for (const { name } of await models.list()) {
      const champion = await champions.find(name);
      const version = champion && (await versions.find(name, champion.version));
      if (!version) continue;
      const before = watched.get(name)?.champion.version;
      next.set(name, { champion: version, quietUntil: undefined });
      if (before === version.version) continue;
      const { webhooks } = await policyOf(name);
      const closed = await database.execute(beginWatch, {
        model: name,
        version: String(version.version),
        webhooks,
        now: clock.now(),
      });
      didSomething ||= closed.length > 0;
      await showAll(name);
    }
    watched = next;
    knownRevision = revision;
    return didSomething;
  }

  async function showAll(model: string): Promise<void> {
    gauges.showAlarms(model, await alarms.list({ model, state: 'open', limit: 1000 }));
    const recent = await windows.list(model, { limit: 30 });
    if (recent[0]) {
      gauges.showWindow(recent[0], await sequences.list(model));
      gauges.showUntested(model, (await windows.untested(model))[0]?.windows ?? 0);
    }
    const measured = recent.find(({ performance }) => performance !== undefined);
    if (measured?.performance) gauges.showPerformance(model, measured.version, measured.performance);
  }

  async function baselineOf(model: string, version: string): Promise<Baseline | undefined> {
    const recent = await windows.performances(model, { version, limit: 100 });
    const performance = recent.find((window) => window.performance?.referenceMean !== undefined)?.performance;
    return performance && { version, performance };
  }

  async function advanceModel(model: string, state: Watched): Promise<boolean> {
    if (state.quietUntil !== undefined && clock.now() < state.quietUntil) return false;
    const policy = await policyOf(model);
    // Forgotten by a report that comes meanwhile.
    state.quietUntil = Number.POSITIVE_INFINITY;
    let closedOne = false;
    let windowDueAt: number | undefined = clock.now();
    for (let count = 0; count < WINDOWS_AT_ONCE; count++) {
      const outcome = await closeNextWindow(closing, state.champion, policy);
      if ('dueAt' in outcome) {
        windowDueAt = outcome.dueAt;
        break;
      }
      closedOne = true;
      const { window, opened } = outcome.done;
      naming.add(state.champion, opened);
      logger.info(
        { model, from: window.from, rows: window.rows, state: window.state, alarms: opened.length },
        'a window is closed',
      );
    }
    const measured = await measureDueWindows(measuring, state.champion, policy);
    const didSomething = closedOne || measured.done.length > 0;
    if (didSomething) await showAll(model);
    const dueAt = Math.min(
      windowDueAt ?? Number.POSITIVE_INFINITY,
      measured.dueAt ?? Number.POSITIVE_INFINITY,
    );
    if (state.quietUntil !== undefined) state.quietUntil = isAlone ? dueAt : undefined;
    return didSomething;
  }

  return {
    /** Takes a model server's cumulative profiles; repeats and reports out of order do no harm. */
    async takeReport(reporter: Reporter, report: ProfileReport): Promise<void> {
      await database.execute(takeProfileReport, { reporter, report, now: clock.now() });
      if (report.dropped > 0) gauges.showDropped(await entries.droppedByServer());
      for (const { model } of report.entries) {
        const state = watched.get(model);
        if (state) state.quietUntil = undefined;
      }
      if (report.watermark !== null) deps.onWatermark?.(report.watermark);
    },

    /** Does what is due by the clock. What was done is done once, whenever the process ends. */
    async advance(): Promise<{ didSomething: boolean }> {
      let didSomething = await followChampions();
      const problems: unknown[] = [];
      for (const [model, state] of watched) {
        try {
          if (await advanceModel(model, state)) didSomething = true;
        } catch (error) {
          // It is looked at again in the next pass, and holds up no other model.
          state.quietUntil = undefined;
          problems.push(error);
        }
      }
      messenger.poke();
      naming.poke();
      if (problems.length > 0) throw problems[0];
      return { didSomething };
    },

    /** @throws ApiError RESOURCE_DOES_NOT_EXIST when no model has this name. */
    async checkModel(name: string): Promise<void> {
      await models.get(name);
    },

    /** Every threshold, default and formula by which the model is watched. */
    async explain(model: string): Promise<MonitoringExplanation[]> {
      const version = watched.get(model)?.champion;
      const reference = version === undefined ? undefined : await closing.referenceOf(version);
      const baseline = version === undefined ? undefined : await baselineOf(model, String(version.version));
      return explainMonitoring(await policyOf(model), reference?.prepared.tests, baseline);
    },

    /** Newest first. */
    alarms: (filter?: Parameters<typeof alarms.list>[0]) => alarms.list(filter),
    alarm: (id: number) => alarms.get(id),
    /** Newest first. */
    windows: (model: string, filter?: Parameters<typeof windows.list>[1]) => windows.list(model, filter),
    /** Models that serve and whose drift nobody tests: each window was partial, too small or without a reference. */
    async untested(model?: string): Promise<UntestedRun[]> {
      const runs = await windows.untested(model);
      // Asked of the database, since only one of several servers watches.
      const serving = await Promise.all(runs.map((run) => champions.find(run.model)));
      return runs.filter((_, index) => serving[index]);
    },
    /** How a version did in its newest windows. */
    performances: (model: string, filter: { version: string; limit: number }) =>
      windows.performances(model, filter),
    sequences: (model: string) => sequences.list(model),
    /** What each version answered, and how, in a span of event time. */
    traffic: (model: string, from: number, to: number) => entries.traffic(model, from, to),
    droppedByServer: () => entries.droppedByServer(),
    /** When a model server reported last. */
    newestReport: () => entries.newestReport(),
    policyOf,

    async acknowledge(id: number, who: { actor: string; reason?: string }): Promise<Alarm> {
      return database.execute(acknowledgeAlarm, { id, ...who, reason: who.reason, now: clock.now() });
    },

    /** Closes an alarm by hand; its test goes on and may open another. */
    async close(id: number, who: { actor: string; reason: string }): Promise<Alarm> {
      const { model } = await alarms.get(id);
      const { webhooks } = await policyOf(model);
      const alarm = await database.execute(closeAlarm, { id, ...who, webhooks, now: clock.now() });
      gauges.showAlarms(model, await alarms.list({ model, state: 'open', limit: 1000 }));
      messenger.poke();
      return alarm;
    },

    /** Waits for webhooks that are being sent, and for alarms whose values are looked up. */
    async idle(): Promise<void> {
      await naming.idle();
      await messenger.idle();
    },
    async stop(): Promise<void> {
      baselines?.stop();
      scoring.stop();
      await naming.stop();
      await messenger.stop();
    },
  };
}
