import { createHash, randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import {
  ApiError,
  type Clock,
  type Database,
  type Logger,
  type Metrics,
  nearestName,
} from '../platform/index.ts';
import { createChangeSignal } from './change-signal.ts';
import { type Execution, executeRun } from './execute-run.ts';
import type { CrashPoint, Flow } from './flow.ts';
import { claimRuns, dueRuns, freeAllRuns, releaseRuns, renewRuns } from './holder-commands.ts';
import { createJobMetrics } from './job-metrics.ts';
import { cancelRun, decideStep, pruneRuns, retryRun, startRun } from './operator-commands.ts';
import { toJson } from './run-json.ts';
import { createRunStore, type JobRun, type RunFilter } from './run-store.ts';
import type { JobDb } from './tables.ts';

export interface JobsDeps {
  database: Database;
  /** Event time, where that is followed: sleeps go by it. Leases and time limits take real time. */
  clock: Clock;
  logger: Logger;
  flows: Record<string, Flow>;
  metrics?: Metrics;
  /** Called after every change of a run in this process. */
  onChange?: () => void;
  /** Called at the three points of each step at which a process may die. */
  crash?: (point: CrashPoint, key: string) => void;
  /** Runs at a time in this process; those that wait do not count. Default 8. */
  maxRuns?: number;
  /** How long a replica that died keeps its runs (PostgreSQL). Default 10 000. */
  leaseMs?: number;
  /** How often other replicas' doings and the clock are looked at. Default 1000. */
  pollMs?: number;
  /** How long `stop` waits for steps that heed their signal. Default 5000. */
  graceMs?: number;
  retention?: { keepRuns?: number; keepMs?: number };
}

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

const DAY_MS = 86_400_000;
const PRUNE_EVERY_MS = 3_600_000;
const PRUNE_LIMIT = 200;

/**
 * Durable runs: a flow's steps are recorded, so that a run goes on where it was after its process died. Runs start when
 * they are asked for, without a poll; the process that works on one holds it by a lease, and the lease's epoch goes with
 * every write, so that whoever has lost a run can write nothing of it.
 */
export function createJobs(deps: JobsDeps) {
  const { database, clock, logger, flows } = deps;
  const { maxRuns = 8, leaseMs = 10_000, pollMs = 1000, graceMs = 5000 } = deps;
  const { dialect } = database;
  const holder = `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`;
  const store = createRunStore(database.reader);
  const changes = createChangeSignal();
  const active = new Map<string, Execution>();
  /** Started or woken here, and not seen to be claimed yet. */
  const expected = new Set<string>();
  const metrics = createJobMetrics(deps.metrics, () => active.size);
  let state: 'new' | 'begun' | 'stopped' = 'new';
  let timer: NodeJS.Timeout | undefined;
  let claiming: Promise<void> | undefined;
  let claimAgain = false;
  let renewedAt = 0;
  let prunedAt = Number.NEGATIVE_INFINITY;
  let stopped: Promise<void> | undefined;

  function changed(): void {
    changes.notify();
    deps.onChange?.();
  }

  /** Claims what is due, at once; whoever calls meanwhile waits for a further look. */
  function poke(): Promise<void> {
    claimAgain = true;
    claiming ??= claimAll();
    return claiming;
  }

  async function claimAll(): Promise<void> {
    await Promise.resolve(); // So that `claiming` is set before it is unset.
    try {
      while (claimAgain && state === 'begun') await claimDue();
    } finally {
      claiming = undefined;
    }
  }

  async function claimDue(): Promise<void> {
    claimAgain = false;
    const limit = maxRuns - active.size;
    if (limit <= 0) return; // The end of one of them pokes again.
    const known = [...expected];
    const claimed = await database.execute(claimRuns, {
      dialect,
      holder,
      leaseMs: dialect === 'sqlite' ? undefined : leaseMs,
      flows: Object.keys(flows),
      limit,
      now: clock.now(),
    });
    for (const each of claimed) launch(each);
    // What was waiting for a place and is not here has been taken by another replica.
    if (claimed.length < limit) for (const runId of known) expected.delete(runId);
    else claimAgain = true;
  }

  function launch(claimed: Parameters<typeof executeRun>[1]): void {
    const { run } = claimed;
    const flow = flows[run.flow] as Flow;
    const execution = executeRun(
      { database, clock, logger, metrics, changed, ...(deps.crash && { crash: deps.crash }) },
      claimed,
      flow,
    );
    active.set(run.run_id, execution);
    expected.delete(run.run_id);
    changed();
    void execution.ended.then((end) => {
      if (active.get(run.run_id) === execution) active.delete(run.run_id);
      if (end === 'pending') expected.add(run.run_id);
      if (state === 'begun') pokeQuietly();
      changed();
    });
  }

  const pokeQuietly = () => {
    poke().catch((error: unknown) => logger.warn({ err: error }, 'jobs could not be claimed; trying again'));
  };

  /** Looks what the clock, and other replicas, have made due. */
  async function tick(): Promise<void> {
    if (state !== 'begun') return;
    const due = await dueRuns(database.reader as JobDb, {
      dialect,
      flows: Object.keys(flows),
      now: clock.now(),
    })
      .select('run_id')
      .limit(1)
      .executeTakeFirst();
    if (due !== undefined) await poke();
  }

  async function keepLeases(): Promise<void> {
    if (dialect === 'sqlite' || active.size === 0) return;
    const executions = [...active.values()];
    const now = performance.now();
    let lost: string[];
    if (now - renewedAt >= leaseMs / 3) {
      const claims = executions.map(({ claim }) => claim);
      lost = await database.execute(renewRuns, { dialect, leaseMs, claims });
      renewedAt = now;
    } else {
      const ids = executions.map(({ claim }) => claim.runId);
      const rows = await (database.reader as JobDb)
        .selectFrom('job_runs')
        .select(['run_id', 'epoch', 'status'])
        .where('run_id', 'in', ids)
        .execute();
      const kept = new Map(rows.map((row) => [row.run_id, row.status === 'running' ? row.epoch : -1]));
      lost = executions.flatMap(({ claim }) => (kept.get(claim.runId) === claim.epoch ? [] : [claim.runId]));
    }
    for (const runId of lost) {
      const execution = active.get(runId);
      if (execution !== undefined && executions.includes(execution)) {
        execution.abandon(new ApiError('RESOURCE_CONFLICT', `The job ${runId} was cancelled or taken over`));
      }
    }
  }

  async function prune(): Promise<void> {
    if (performance.now() - prunedAt < PRUNE_EVERY_MS) return;
    prunedAt = performance.now();
    const { keepRuns = 1000, keepMs = 365 * DAY_MS } = deps.retention ?? {};
    const request = { before: clock.now() - keepMs, keepRuns, limit: PRUNE_LIMIT };
    while (state === 'begun' && (await database.execute(pruneRuns, request)) === PRUNE_LIMIT);
  }

  function scheduleTick(): void {
    timer = setTimeout(() => {
      Promise.all([keepLeases(), tick(), prune()])
        .catch((error: unknown) =>
          logger.warn({ err: error }, 'jobs could not be looked after; trying again'),
        )
        .finally(() => {
          if (state === 'begun') scheduleTick();
        });
    }, pollMs);
    timer.unref();
  }

  async function stopAll(): Promise<void> {
    const wasBegun = state === 'begun';
    state = 'stopped';
    clearTimeout(timer);
    await claiming?.catch(() => {});
    const executions = [...active.values()];
    for (const execution of executions) {
      execution.abandon(
        new ApiError('TEMPORARILY_UNAVAILABLE', 'The process stops; the job goes on when it is back'),
      );
    }
    const grace = Promise.withResolvers<void>();
    const limit = setTimeout(grace.resolve, graceMs);
    await Promise.race([Promise.all(executions.map((execution) => execution.settled())), grace.promise]);
    clearTimeout(limit);
    const claims = executions.map(({ claim }) => claim);
    if (wasBegun && claims.length > 0) {
      await database
        .execute(releaseRuns, { claims, now: clock.now() })
        .catch((error: unknown) => logger.warn({ err: error }, 'jobs could not be given back'));
    }
  }

  /** Something was made due by hand. */
  async function makeDue(runId: string): Promise<void> {
    expected.add(runId);
    changed();
    if (state === 'begun') pokeQuietly();
    else expected.delete(runId);
  }

  const act = (runId: string, { actor, reason }: Operator) => ({
    runId,
    actor,
    reason: reason?.trim() || null,
    now: clock.now(),
  });

  return {
    store,
    changes,

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
      if (started.isNew) await makeDue(started.runId);
      return started;
    },

    /** For good; what is under way is aborted, and nothing of it is recorded any more. */
    async cancel(runId: string, who: Operator): Promise<JobRun> {
      const isNew = await database.execute(cancelRun, act(runId, who));
      active
        .get(runId)
        ?.abandon(new ApiError('RESOURCE_CONFLICT', `The job ${runId} was cancelled by ${who.actor}`));
      changed();
      const run = await store.get(runId);
      if (isNew) metrics.finished(run.flow, 'cancelled');
      return run;
    },

    async approve(
      runId: string,
      step: string,
      { approved, ...who }: Operator & { approved: boolean },
    ): Promise<JobRun> {
      await database.execute(decideStep, { ...act(runId, who), step, approved });
      await makeDue(runId);
      return store.get(runId);
    },

    /** A failed or cancelled run goes on at the step that it failed at. */
    async retry(runId: string, who: Operator): Promise<JobRun> {
      await database.execute(retryRun, act(runId, who));
      await makeDue(runId);
      return store.get(runId);
    },

    list: (filter?: RunFilter) => store.list(filter),
    get: (runId: string) => store.get(runId),

    /** Runs that this process works on or is about to; those that wait for an approval or a time do not count. */
    activeCount(): number {
      let count = active.size;
      for (const runId of expected) if (!active.has(runId)) count++;
      return count;
    },

    /** To be called when the clock has moved: what slept until then goes on. */
    tick,

    /** Takes up what is unfinished, and whatever is started from now on. */
    async begin(): Promise<void> {
      if (state !== 'new') return;
      state = 'begun';
      renewedAt = performance.now();
      if (dialect === 'sqlite') await database.execute(freeAllRuns, clock.now());
      await poke();
      scheduleTick();
    },

    /** Aborts what is under way and gives it back; it goes on at the next `begin`, here or elsewhere. */
    stop(): Promise<void> {
      stopped ??= stopAll();
      return stopped;
    },
  };
}

/** A key's run has one name, whoever starts it. */
function nameRun(flow: string, key: string): string {
  const digest = createHash('sha256').update(`${flow}\0${key}`).digest('hex');
  return `${flow}-${digest.slice(0, 12)}`;
}
