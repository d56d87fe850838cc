import { createHash } from 'node:crypto';
import { ApiError, nearestName } from '../platform/index.ts';
import { createRunPool, type JobsDeps } from './run-pool.ts';
import { cancelRun, decideStep, retryRun, startRun } from './store/operator-commands.ts';
import { toJson } from './store/run-json.ts';
import { createRunStore, type JobRun, type RunFilter } from './store/run-store.ts';

export interface StartRequest {
  flow: string;
  /** What it is about: a model's name. */
  subject: string;
  input?: unknown;
  /** The same key of the same flow starts one run, ever. */
  key: string;
  trigger: { kind: string; detail?: unknown };
  actor: string;
}

/** Who does something to a run, and why. */
export interface Operator {
  actor: string;
  reason?: string;
}

export type Jobs = ReturnType<typeof createJobs>;

/**
 * Durable runs: a flow's steps are recorded, so that a run goes on where it was after its process died. Runs start when
 * they are asked for, without a poll; the process that works on one holds it by a lease, and the lease's epoch goes with
 * every write, so that whoever has lost a run can write nothing of it.
 */
export function createJobs(deps: JobsDeps) {
  const { database, clock, flows } = deps;
  const store = createRunStore(database.reader);
  const pool = createRunPool(deps);

  const act = (runId: string, { actor, reason }: Operator) => ({
    runId,
    actor,
    reason: reason?.trim() || null,
    now: clock.now(),
  });

  return {
    store,
    changes: pool.changes,

    /** Records the run and sets it off; the same key again answers the run that there is. */
    async start(request: StartRequest): Promise<{ runId: string; isNew: boolean }> {
      const { flow, subject, key, trigger, actor } = request;
      if (!Object.hasOwn(flows, flow)) {
        const near = nearestName(flow, Object.keys(flows));
        throw new ApiError(
          'INVALID_PARAMETER_VALUE',
          `No flow is named '${flow}'${near === undefined ? '' : `; did you mean '${near}'?`}`,
        );
      }
      const started = await database.execute(startRun, {
        runId: nameRun(flow, key),
        flow,
        key,
        subject,
        input: toJson(request.input ?? null, `The input of the flow ${flow}`) ?? 'null',
        triggerKind: trigger.kind,
        triggerDetail: toJson(trigger.detail, 'The detail of the trigger'),
        actor,
        now: clock.now(),
      });
      if (started.isNew) pool.expect(started.runId);
      return started;
    },

    /** For good; what is under way is aborted, and nothing of it is recorded any more. */
    async cancel(runId: string, who: Operator): Promise<JobRun> {
      const isNew = await database.execute(cancelRun, act(runId, who));
      pool.abandon(
        runId,
        new ApiError('RESOURCE_CONFLICT', `The job ${runId} was cancelled by ${who.actor}`),
      );
      const run = await store.get(runId);
      if (isNew) pool.metrics.finished(run.flow, 'cancelled');
      return run;
    },

    async approve(
      runId: string,
      step: string,
      { approved, ...who }: Operator & { approved: boolean },
    ): Promise<JobRun> {
      await database.execute(decideStep, { ...act(runId, who), step, approved });
      pool.expect(runId);
      return store.get(runId);
    },

    /** A failed or cancelled run goes on at the step that it failed at. */
    async retry(runId: string, who: Operator): Promise<JobRun> {
      await database.execute(retryRun, act(runId, who));
      pool.expect(runId);
      return store.get(runId);
    },

    list: (filter?: RunFilter) => store.list(filter),
    get: (runId: string) => store.get(runId),

    /** Runs that this process works on or is about to; those that wait for an approval or a time do not count. */
    activeCount: pool.activeCount,

    /** To be called when the clock has moved: what slept until then goes on. */
    tick: pool.tick,

    /** Takes up what is unfinished, and whatever is started from now on. */
    begin: pool.begin,

    /** Aborts what is under way and gives it back; it goes on at the next `begin`, here or elsewhere. */
    stop: pool.stop,
  };
}

/** A key's run has one name, whoever starts it. */
function nameRun(flow: string, key: string): string {
  const digest = createHash('sha256').update(`${flow}\0${key}`).digest('hex');
  return `${flow}-${digest.slice(0, 12)}`;
}
