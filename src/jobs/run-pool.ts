import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { ApiError, type Clock, type Database, type Logger, type Metrics } from '../platform/index.ts';
import { type ChangeSignal, createChangeSignal } from './change-signal.ts';
import { type Execution, executeRun } from './execute-run.ts';
import type { CrashPoint, Flow } from './flow.ts';
import { createJobMetrics } from './job-metrics.ts';
import { claimRuns, dueRuns, freeAllRuns, releaseRuns, renewRuns } from './store/holder-commands.ts';
import { pruneRuns } from './store/operator-commands.ts';
import type { JobDb } from './store/tables.ts';

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
  /** Of each flow, so many finished runs are kept (1000), and none that finished longer ago (no limit). */
  retention?: { keepRuns?: number; keepMs?: number };
}

const PRUNE_EVERY_MS = 3_600_000;
const PRUNE_LIMIT = 200;

/**
 * The runs that this process works on. They are claimed at once when they become due here, and by a poll when another
 * replica or the clock made them due; their leases are kept, and given back at the stop.
 */
export function createRunPool(deps: JobsDeps) {
  const { database, clock, logger, flows } = deps;
  const { maxRuns = 8, leaseMs = 10_000, pollMs = 1000, graceMs = 5000 } = deps;
  const { dialect } = database;
  const flowNames = Object.keys(flows);
  const holder = `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`;
  const changes: ChangeSignal = createChangeSignal();
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
      while (claimAgain && state === 'begun' && flowNames.length > 0) await claimDue();
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
      flows: flowNames,
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
    if (state !== 'begun' || flowNames.length === 0) return;
    const known = [...expected];
    const due = await dueRuns(database.reader as JobDb, {
      dialect,
      flows: flowNames,
      now: clock.now(),
    })
      .select('run_id')
      .limit(1)
      .executeTakeFirst();
    if (due !== undefined) await poke();
    else for (const runId of known) expected.delete(runId); // Other replicas took them.
  }

  /** Runs of a flow that this version knows no more would wait without a word. */
  async function tellOrphans(): Promise<void> {
    let orphans = (database.reader as JobDb)
      .selectFrom('job_runs')
      .select(['run_id', 'flow'])
      .where('status', 'in', ['pending', 'running', 'waiting'])
      .limit(10);
    if (flowNames.length > 0) orphans = orphans.where('flow', 'not in', flowNames);
    const runs = await orphans.execute();
    if (runs.length > 0) logger.warn({ runs }, 'jobs of unknown flows wait; cancel them');
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
    const { keepRuns = 1000, keepMs = Number.MAX_SAFE_INTEGER } = deps.retention ?? {};
    const request = { before: Math.max(0, clock.now() - keepMs), keepRuns, limit: PRUNE_LIMIT };
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

  return {
    changes,
    changed,
    metrics,
    tick,

    /** Something was made due by hand: it need not wait for a poll. */
    expect(runId: string): void {
      if (state === 'begun') {
        expected.add(runId);
        pokeQuietly();
      }
      changed();
    },

    /** Ends what this process does for a run that is over. */
    abandon(runId: string, reason: Error): void {
      active.get(runId)?.abandon(reason);
      changed();
    },

    activeCount: (): number => {
      let count = active.size;
      for (const runId of expected) if (!active.has(runId)) count++;
      return count;
    },

    begin: async (): Promise<void> => {
      if (state !== 'new') return;
      state = 'begun';
      renewedAt = performance.now();
      if (dialect === 'sqlite') await database.execute(freeAllRuns, clock.now());
      scheduleTick();
      await poke();
      await tellOrphans();
    },

    stop: (): Promise<void> => {
      stopped ??= stopAll();
      return stopped;
    },
  };
}
