import { createDatasetStore } from '../../datasets/index.ts';
import { ApiError, createKeyedQueue } from '../../platform/index.ts';
import { createChampionStore, createModelVersionStore } from '../../registry/index.ts';
import { attachRun, passSchedule, recordDecision, startRetraining } from '../commands.ts';
import type { PipelineDeps } from '../pipeline-deps.ts';
import { createPipelineStore } from '../pipeline-store.ts';
import { durationMs } from '../project/policy-schemas.ts';
import { type ModelProject, modelProjectSchema } from '../project/project-schema.ts';
import { datasetOf, RETRAIN_FLOW, type RetrainInput } from '../retraining/retrain-input.ts';
import type { Decision, PipelineModel } from '../tables.ts';
import { describeCause } from './describe-cause.ts';
import type { GainEstimate } from './estimate-gain.ts';
import { type Cause, cooldownUntil, findCauses } from './find-causes.ts';
import { createFirstRetries } from './retry-first.ts';
import { createCauseScale } from './weigh-causes.ts';

export interface AskedRetraining {
  model: string;
  kind: 'hand' | 'webhook';
  reason: string | undefined;
  actor: string;
  /** The same key again is the same retraining. */
  key: string;
}

const FINISHED = new Set(['succeeded', 'failed', 'cancelled']);
const SYSTEM = 'tidemill';
/** A rollout in one of these has not found its end; one that is only watched keeps nothing away. */
const UNDER_WAY: ReadonlySet<string> = new Set(['shadow', 'canary', 'paused']);

/** Decides when a model is retrained: looks at what would start it, and at what forbids it, and records both. */
export function createTriggers(
  deps: PipelineDeps & { nextCronTime: (expression: string, timeZone: string, afterMs: number) => number },
) {
  const { database, clock, logger } = deps;
  const store = createPipelineStore(database.reader);
  const versions = createModelVersionStore(database.reader);
  const champions = createChampionStore(database.reader);
  const datasets = createDatasetStore(database.reader);
  const scale = createCauseScale(deps);
  const attemptOf = createFirstRetries({ store, jobs: deps.jobs, realNow: deps.realNow });
  const oneByOne = createKeyedQueue({ what: 'decisions about this model' });

  /** Why no retraining can start, but for its cooldown; undefined when it can. */
  async function findObstacle(model: string, lastStarted: Decision | undefined): Promise<string | undefined> {
    if (lastStarted !== undefined && lastStarted.runId === undefined)
      return `a retraining is being started (${describeCause(lastStarted)})`;
    const runs = await deps.jobs().list({ flow: RETRAIN_FLOW, subject: model, limit: 5 });
    const active = runs.find(({ status }) => !FINISHED.has(status));
    if (active) return `retraining ${active.runId} is under way`;
    if ((await versions.list(model)).length === 0) return undefined;
    const rollouts = await deps.delivery.rollouts.list(model);
    const rollout = rollouts.find(({ state }) => UNDER_WAY.has(state));
    return rollout && `a rollout of it is under way (${rollout.state})`;
  }

  async function readFacts(name: string, config: ModelProject) {
    const dataset = datasetOf(name, config);
    const found = (await datasets.list()).find((each) => each.name === dataset)?.latestVersion;
    return {
      dataset: found && { version: found.version, digest: found.digest },
      labelledRows: config.retrain?.on.includes('newData')
        ? (await deps.log.counts(name)).labelled
        : undefined,
    };
  }

  /** Undefined when another replica has started one since `lastStarted` was read: then everything is looked at again. */
  async function start(
    { name }: PipelineModel,
    config: ModelProject,
    cause: Cause,
    actor: string,
    lastStarted: Decision | undefined,
  ): Promise<Decision | undefined> {
    const { dataset, labelledRows } = await readFacts(name, config);
    const { key, kind, detail } = cause;
    const decided = await database.execute(startRetraining, {
      decision: {
        key,
        kind,
        detail,
        model: name,
        at: clock.now(),
        actor,
        outcome: 'started',
        reason: undefined,
        runId: undefined,
        datasetVersion: dataset?.version,
        labelledRows,
      },
      seen: lastStarted?.sequence,
    });
    return decided && begin(decided, config);
  }

  /** Starts the run of a decision; again after a crash between the two, since its key starts one run ever. */
  async function begin(decision: Decision, config: ModelProject): Promise<Decision> {
    const { key, model, kind, detail, actor, at } = decision;
    const reason = describeCause(decision);
    const input: RetrainInput = { model, asOf: at, config, cause: { kind, detail }, actor, reason };
    const { runId } = await deps.jobs().start({
      flow: RETRAIN_FLOW,
      subject: model,
      input,
      key,
      trigger: { kind, detail: { ...detail, why: reason } },
      actor,
    });
    await database.execute(attachRun, { key, runId });
    logger.info({ model, cause: kind, run: runId }, `retraining ${model}: ${reason}`);
    return { ...decision, runId };
  }

  /** Records once why a cause starts nothing; one that is held back is told again when its reason is another. */
  async function skip(model: string, cause: Cause, reason: string, isHeldBack = false): Promise<boolean> {
    const { key, kind, detail } = cause;
    const before = await store.findDecision(key);
    if (before !== undefined && !(isHeldBack && before.outcome === 'skipped' && before.reason !== reason))
      return false;
    await database.execute(recordDecision, {
      key,
      kind,
      detail,
      isAudited: isHeldBack,
      model,
      at: clock.now(),
      actor: SYSTEM,
      outcome: 'skipped',
      reason,
      runId: undefined,
      datasetVersion: undefined,
      labelledRows: undefined,
    });
    logger.info({ model, cause: cause.kind }, `not retraining ${model} (${describeCause(cause)}): ${reason}`);
    return true;
  }

  /** A schedule counts from when it was said; a clock that follows events may begin before that. */
  async function nextSchedule(model: PipelineModel, config: ModelProject): Promise<number | undefined> {
    const { schedule, timeZone = 'UTC' } = config.retrain ?? {};
    if (schedule === undefined) return undefined;
    const now = clock.now();
    if (model.scheduleAfter > now) await database.execute(passSchedule, { name: model.name, at: now });
    return deps.nextCronTime(schedule, timeZone, Math.min(model.scheduleAfter, now));
  }

  async function advanceModel(model: PipelineModel): Promise<boolean> {
    const { name } = model;
    const config = modelProjectSchema.parse(model.config);
    const policy = config.retrain;
    const now = clock.now();
    const lastStarted = await store.lastStarted(name);
    if (lastStarted !== undefined && lastStarted.runId === undefined) {
      await begin(lastStarted, config);
      return true;
    }
    const serving = await champions.find(name);
    const scheduledAt = await nextSchedule(model, config);
    const alarms = policy?.on.some((kind) => kind !== 'newData') ? await deps.openAlarms(name) : [];
    const facts = await readFacts(name, config);
    const causes = findCauses({
      model: name,
      now,
      policy,
      scheduledAt,
      lastStarted,
      hasVersions: serving !== undefined || (await versions.list(name)).length > 0,
      // What another version did wrong says nothing about the one that serves.
      openAlarms: alarms
        .toSorted((a, b) => a.openedAt - b.openedAt)
        .filter(({ version }) => serving === undefined || version === String(serving.version))
        .map(({ id, kind, column, openedAt, window }) => ({
          id: String(id),
          kind,
          openedAt,
          ...(column !== undefined && { column }),
          ...(window !== undefined && { since: window.from }),
        })),
      ...facts,
    });
    const due: Cause[] = [];
    let didSomething = false;
    for (const cause of causes) {
      if (cause.kind === 'first') {
        const attempt = await attemptOf(name, cause);
        if (attempt?.waits !== undefined) didSomething = await skip(name, attempt.cause, attempt.waits);
        else if (attempt !== undefined) due.push(attempt.cause);
      } else if ((await store.findDecision(cause.key))?.outcome !== 'started') due.push(cause);
    }
    if (due.length === 0) return didSomething;
    const until = cooldownUntil(lastStarted, durationMs(policy?.cooldown ?? '0s'), now);
    const obstacle =
      (await findObstacle(name, lastStarted)) ??
      // Until there is a first version, a cooldown would only keep the model from serving.
      (until === undefined || due[0]?.kind === 'first'
        ? undefined
        : `it was retrained at ${isoOf(lastStarted?.at)}; cooldown until ${isoOf(until)}`);
    const { worthwhile, heldBack } =
      obstacle === undefined
        ? await scale.weigh({ model: name, version: serving?.version, policy }, due)
        : { worthwhile: due, heldBack: [] };
    for (const { cause, reason } of heldBack) {
      if (await skip(name, cause, reason, true)) didSomething = true;
    }
    const [first, ...others] = worthwhile;
    if (first !== undefined && obstacle === undefined) {
      if ((await start(model, config, first, SYSTEM, lastStarted)) === undefined) return true;
      didSomething = true;
    } else if (first !== undefined && (await skip(name, first, obstacle as string))) didSomething = true;
    for (const cause of others) {
      const why = obstacle ?? `${describeCause(first as Cause)} started one at the same time`;
      if (await skip(name, cause, why)) didSomething = true;
    }
    // The time of a schedule comes once; an alarm that stays open is looked at again.
    if (scheduledAt !== undefined && due.some(({ kind }) => kind === 'schedule')) {
      await database.execute(passSchedule, { name, at: now });
      didSomething = true;
    }
    return didSomething;
  }

  return {
    nextSchedule,

    /** What a retraining of what serves can be expected to win back, by the newest labelled windows. */
    async expectedGain(name: string): Promise<GainEstimate> {
      return scale.estimate(name, (await champions.find(name))?.version, undefined);
    },

    /** Looks at every model once. */
    async advance(): Promise<{ didSomething: boolean }> {
      let didSomething = false;
      const problems: unknown[] = [];
      for (const { name } of await store.listActive()) {
        try {
          const advanced = await oneByOne(name, async () => {
            const model = await store.find(name);
            return model?.active ? advanceModel(model) : false;
          });
          didSomething ||= advanced;
        } catch (error) {
          problems.push(error);
        }
      }
      if (problems.length > 0) throw problems[0];
      return { didSomething };
    },

    /** Somebody asks for a retraining. By hand it needs no cooldown; nobody gets one while another is under way. */
    ask(request: AskedRetraining): Promise<Decision> {
      const { model: name, kind, reason, actor } = request;
      return oneByOne(name, async () => {
        const model = await store.find(name);
        if (!model?.active) throw noPipeline(name);
        const config = modelProjectSchema.parse(model.config);
        const cause: Cause = {
          key: `${name}/${kind}/${request.key}`,
          kind,
          detail: { ...(reason !== undefined && { reason }) },
        };
        for (;;) {
          const before = await store.findDecision(cause.key);
          if (before?.outcome === 'started')
            return before.runId === undefined ? begin(before, config) : before;
          const last = await store.lastStarted(name);
          const until = cooldownUntil(last, durationMs(config.retrain?.cooldown ?? '0s'), clock.now());
          const obstacle =
            (await findObstacle(name, last)) ??
            (kind === 'webhook' && until !== undefined
              ? `it was retrained at ${isoOf(last?.at)}; cooldown until ${isoOf(until)}`
              : undefined);
          if (obstacle !== undefined) {
            await skip(name, cause, obstacle);
            throw new ApiError('RESOURCE_CONFLICT', `${name} is not retrained now: ${obstacle}`);
          }
          const started = await start(model, config, cause, actor, last);
          if (started !== undefined) return started;
        }
      });
    },
  };
}

export const noPipeline = (name: string): ApiError =>
  new ApiError(
    'RESOURCE_DOES_NOT_EXIST',
    `${name} has no pipeline: no project names it. Name it in a tidemill.config.ts, or PUT /api/v1/models/${encodeURIComponent(name)}/pipeline`,
  );

const isoOf = (ms: number | undefined): string =>
  ms === undefined ? '?' : `${new Date(ms).toISOString().slice(0, 16)}Z`;
