import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createStepWorkers } from '../../jobs/index.ts';
import { ApiError, createWorkLimit } from '../../platform/index.ts';
import { durationMs, rolloutPolicySchema } from '../project/policy-schemas.ts';
import type { BacktestRequest } from './backtest-request.ts';
import { measureRows } from './measure-answers.ts';
import { isoDay, lowerBound, type PlannedReplay, planReplay } from './plan-replay.ts';
import { prepareTable } from './prepare-table.ts';
import { createModelPool } from './replay-models.ts';
import type { LoadedTimes, Window } from './replay-tasks.ts';
import { simulatePolicy } from './simulate-policy.ts';
import type { BacktestEvent, BacktestPolicy, SimulatedPolicy } from './simulated-policy.ts';

export interface BacktestWeek {
  /** Its Monday, ms since the epoch. */
  week: number;
  rows: number;
  metrics: Record<string, number>;
}

export interface BacktestResult {
  model: string;
  rows: number;
  from: number;
  to: number;
  startAt: number;
  holdoutFrom: number | undefined;
  /** Trainings that were done, and those that another policy had done already. */
  trainings: { done: number; shared: number };
  /** What a platform does and a backtest does not, in words. */
  notReplayed: string[];
  policies: {
    policy: BacktestPolicy;
    retrainings: number;
    promoted: number;
    rejected: number;
    failed: number;
    heldBack: number;
    alarms: { drift: number; performance: number };
    /** Why windows could raise no alarm. */
    notWatched: string[];
    weeks: BacktestWeek[];
    /** Over all rows before the hold-out, and in it. */
    before: Record<string, number>;
    holdout: Record<string, number>;
    events: BacktestEvent[];
  }[];
}

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
/** The first Monday after the epoch. */
const MONDAY = 4 * DAY_MS;

/** Replays a dated table under several policies, with the code that trains, watches and judges on a platform. */
export async function runBacktest(request: BacktestRequest): Promise<BacktestResult> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-backtest-'));
  const workers = createStepWorkers({
    entry: request.entry,
    size: request.processes,
    logger: request.logger,
  });
  try {
    const { onProgress = () => {} } = request;
    onProgress(0, 'reading the table');
    const { table, plan } = await prepareTable(request, folder);
    const run = <T>(name: string, input: unknown) =>
      workers.run<T>({ name, input }, request.signal ? { signal: request.signal } : {});
    const loaded = await run<LoadedTimes>('replay-table', table);
    const replay = planReplay(request, plan, loaded);
    // Told before the work is done, not after it.
    holdoutStart(replay, request.holdoutMs);
    const models = createModelPool(request, { table, replay, folder, run });
    const done = new Map<BacktestPolicy, number>();
    const limited = createWorkLimit({ running: request.processes + 1, waiting: 100, what: 'policies' });
    const simulated = await Promise.all(
      request.policies.map((policy) =>
        limited(() =>
          simulatePolicy(policy, replay, models.workers, {
            ...(request.signal && { signal: request.signal }),
            onStep(share) {
              done.set(policy, share);
              const total = [...done.values()].reduce((sum, each) => sum + each, 0) / request.policies.length;
              onProgress(total, `${models.counts().done} trainings`);
            },
          }),
        ),
      ),
    );
    return describe(request, replay, simulated, models.counts());
  } finally {
    await workers.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** @throws ApiError INVALID_PARAMETER_VALUE when nothing would be left before the hold-out */
function holdoutStart({ times, startAt }: PlannedReplay, holdoutMs: number | undefined): number | undefined {
  if (holdoutMs === undefined) return undefined;
  const holdoutFrom = (times.at(-1) as number) + 1 - holdoutMs;
  if (holdoutFrom > startAt) return holdoutFrom;
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    `The hold-out would begin at ${isoDay(holdoutFrom)}, before the replay at ${isoDay(startAt)}: make it shorter`,
  );
}

function describe(
  { model, config, policies, holdoutMs }: BacktestRequest,
  replay: PlannedReplay,
  simulated: SimulatedPolicy[],
  trainings: { done: number; shared: number },
): BacktestResult {
  const { times, steps, startAt } = replay;
  const first = (steps[0] as Window).first;
  const last = times.length;
  const to = (times.at(-1) as number) + 1;
  const holdoutFrom = holdoutStart(replay, holdoutMs);
  const border = holdoutFrom === undefined ? last : lowerBound(times, holdoutFrom);
  return {
    model,
    rows: times.length,
    from: times[0] as number,
    to,
    startAt,
    holdoutFrom,
    trainings,
    notReplayed: simulated.some(({ promoted }) => promoted > 0) ? tellNotReplayed(config) : [],
    policies: simulated
      .toSorted((a, b) => policies.indexOf(a.policy) - policies.indexOf(b.policy))
      .map(({ answered, ...told }) => ({
        ...told,
        weeks: weeksOf(times, first, last).map(({ week, from, until }) => ({
          week,
          rows: until - from,
          metrics: measureRows(answered, from, until),
        })),
        before: measureRows(answered, first, border),
        holdout: measureRows(answered, border, last),
      })),
  };
}

/** A promoted version serves at once and stays in a backtest; on a platform it has a way to go, and may lose its place. */
function tellNotReplayed({ rollout }: BacktestRequest['config']): string[] {
  const { shadow, canary, stepFor, watch } = rolloutPolicySchema.parse(rollout ?? {});
  const told: string[] = [];
  if (shadow !== undefined)
    told.push(`the shadow of ${shadow} that a version goes through before it answers`);
  if (canary.length > 1 || canary[0] !== 100)
    told.push(`the canary's steps (${canary.join(', ')} %, ${stepFor} each): a version serves at once here`);
  if (durationMs(watch) > 0)
    told.push(`the watch of ${watch} in which late labels may give the predecessor its place back`);
  return told;
}

function weeksOf(times: Float64Array, first: number, last: number) {
  const weeks: { week: number; from: number; until: number }[] = [];
  for (let at = first; at < last; ) {
    const week = Math.floor(((times[at] as number) - MONDAY) / WEEK_MS) * WEEK_MS + MONDAY;
    const until = Math.min(last, lowerBound(times, week + WEEK_MS));
    weeks.push({ week, from: at, until });
    at = until;
  }
  return weeks;
}
