import type { Judgement } from '../../delivery/index.ts';
import {
  advanceWatch,
  FRESH_WATCH,
  type PerformanceMetric,
  REFERENCE_WINDOWS,
  skillOf,
  type WatchState,
} from '../../monitoring/index.ts';
import { testPerformance } from '../../statistics/index.ts';
import { shortfallOf } from '../triggers/estimate-gain.ts';
import { type Answered, measureWindow } from './measure-answers.ts';
import type { ReplayedServing, ReplayedTraining, Window } from './replay-tasks.ts';
import type { BacktestPolicy, SimulatedPolicy } from './simulated-policy.ts';
import { seenNothing, tellNotWatched } from './tell-not-watched.ts';

/** What a table says, and how a model is watched and retrained on it; the same for every policy. */
export interface Replay {
  /** Rows in the order of time. */
  times: Float64Array;
  labels: Int32Array | Float64Array;
  /** Undefined for values. */
  classes: number | undefined;
  /** What is lived through, a day or what else the shortest window is, in the order of time. */
  steps: Window[];
  /** Windows in the order of time; those from `firstWindow` on are lived through. */
  windows: Window[];
  firstWindow: number;
  metric: PerformanceMetric;
  labelDelayMs: number;
  cooldownMs: number;
  /** What drift and performance must promise to win back. */
  minimumGain: number;
  /** The project's own triggers, for the policy `project`. */
  project: {
    on: readonly string[];
    /** The next time of the schedule after a moment; undefined without a schedule. */
    nextSchedule: ((afterMs: number) => number) | undefined;
  };
}

/** A training whose files are there, with the moments that it belongs to. */
export interface ReplayModel {
  /** Names its rows: equal windows give one model. */
  key: string;
  number: number;
  testFrom: number;
  to: number;
  trained: ReplayedTraining;
}

export interface ReplayWorkers {
  /** The model that a retraining at a moment makes; the words say why it makes none. */
  train(at: number, isFirst: boolean): Promise<ReplayModel | { failed: string }>;
  judge(challenger: ReplayModel, champion: ReplayModel): Promise<Judgement>;
  /** Answers of a model, in the replay's order of classes, from its held-out rows on. */
  serve(model: ReplayModel): Promise<ReplayedServing>;
}

const WEEK_MS = 7 * 86_400_000;
/** The performance alarm among the tests of columns, whose keys hold a blank. */
const PERFORMANCE = 'performance';

interface Champion {
  model: ReplayModel;
  /** When it came to serve. */
  since: number;
  serving: ReplayedServing;
  drift: Map<string, WatchState>;
  performance: WatchState;
  /** Skill of windows that later ones are compared with. */
  reference: number[];
  /** Skill of its labelled windows, and when the window began that opened each alarm. */
  measured: { to: number; skill: number }[];
  alarmSince: Map<string, number>;
}

/**
 * Lives through a table under one policy: each window is answered by the champion, tested, its labels come after their
 * delay; what the policy calls for is trained and put before the gate. A promoted version serves from then on.
 */
export async function simulatePolicy(
  policy: BacktestPolicy,
  replay: Replay,
  workers: ReplayWorkers,
  { onStep, signal }: { onStep?: (done: number) => void; signal?: AbortSignal } = {},
): Promise<SimulatedPolicy> {
  const { steps, windows, firstWindow, labels, classes } = replay;
  const width = classes ?? 1;
  const answered: Answered = { labels, answers: new Float32Array(labels.length * width), classes };
  const result: SimulatedPolicy = {
    policy,
    answered,
    events: [],
    retrainings: 0,
    promoted: 0,
    rejected: 0,
    failed: 0,
    heldBack: 0,
    alarms: { drift: 0, performance: 0 },
    notWatched: [],
  };
  const seen = seenNothing();
  const start = (steps[0] as Window).from;
  const first = await workers.train(start, true);
  if ('failed' in first) throw new Error(`The first model cannot be trained: ${first.failed}`);
  let champion = await enthrone(first, start);
  let lastTrainedAt = start;
  let scheduleAfter = start;
  let unmeasured: Window[] = [];
  const heldBack = new Set<string>();

  async function enthrone(model: ReplayModel, since: number): Promise<Champion> {
    const serving = await workers.serve(model);
    const { metric } = replay;
    const own: Answered = { labels: labels.subarray(serving.firstRow), answers: serving.answers, classes };
    const held = windows.filter(({ from, to }) => from >= model.testFrom && to <= model.to);
    const reference = held.flatMap(
      (window) => skillOf(metric, measureWindow(own, metric, shift(window, serving.firstRow))) ?? [],
    );
    return {
      model,
      serving,
      since,
      drift: new Map(),
      performance: FRESH_WATCH,
      reference,
      measured: [],
      alarmSince: new Map(),
    };
  }

  function watchDrift(index: number, window: Window): void {
    const found = champion.serving.tests.find((each) => each.index === index);
    if (found === undefined) seen.small++;
    else if (found.tests.length === 0) seen.withoutReference++;
    for (const { column, aspect, p } of found?.tests ?? []) {
      const key = `${column} ${aspect}`;
      const { state, event } = advanceWatch(
        champion.drift.get(key) ?? FRESH_WATCH,
        p,
        champion.serving.testCount,
      );
      champion.drift.set(key, state);
      if (event !== 'opened') continue;
      champion.alarmSince.set(key, window.from);
      result.alarms.drift++;
      result.events.push({
        at: window.to,
        kind: 'alarm',
        what: `drift of ${column}${aspect === 'values' ? '' : ` (${aspect})`}`,
      });
    }
  }

  function watchPerformance(now: number): void {
    const due = unmeasured.filter(({ to }) => to + replay.labelDelayMs <= now);
    unmeasured = unmeasured.slice(due.length);
    for (const window of due) {
      const skill = skillOf(replay.metric, measureWindow(answered, replay.metric, window));
      if (skill === undefined) continue;
      seen.labelled++;
      if (champion.reference.length < REFERENCE_WINDOWS) {
        champion.reference.push(skill);
        continue;
      }
      seen.compared++;
      champion.measured.push({ to: window.to, skill });
      const { p } = testPerformance(champion.reference, skill);
      const { state, event } = advanceWatch(champion.performance, p, 1);
      champion.performance = state;
      if (event !== 'opened') continue;
      champion.alarmSince.set(PERFORMANCE, window.from);
      result.alarms.performance++;
      result.events.push({
        at: now,
        kind: 'alarm',
        what: `performance: ${replay.metric} as skill ${skill.toFixed(3)}`,
      });
    }
  }

  /** Whether what the windows since the alarm fall short by is worth a retraining; yes where nothing is known. */
  function isWorthwhile(now: number, cause: 'drift' | 'performance'): boolean {
    const { reference, measured, drift, alarmSince, model } = champion;
    const open = cause === 'performance' ? [PERFORMANCE] : [...drift.keys()].filter(isOpen);
    const begun = Math.min(...open.map((key) => alarmSince.get(key) as number));
    const skills = measured.filter(({ to }) => to > begun).map(({ skill }) => skill);
    if (replay.minimumGain === 0 || skills.length === 0) return true;
    const { mean, sd, k: windows } = testPerformance(reference, skills.at(-1) as number);
    const { gain } = shortfallOf({ mean, sd, windows }, skills);
    if (gain >= replay.minimumGain) return true;
    const key = `${model.key} ${cause} ${begun}`;
    if (!heldBack.has(key)) {
      const what = `expected gain ${gain.toFixed(4)} < ${replay.minimumGain}`;
      result.events.push({ at: now, kind: 'held back', what, cause });
      result.heldBack = heldBack.add(key).size;
    }
    return false;
  }

  const isOpen = (key: string) => champion.drift.get(key)?.isOpen === true;
  function causeAt(now: number): string | undefined {
    if (policy === 'weekly') return now >= lastTrainedAt + WEEK_MS ? 'a week is over' : undefined;
    const causes = policy === 'project' ? replay.project.on : [policy];
    const next = policy === 'project' ? replay.project.nextSchedule?.(scheduleAfter) : undefined;
    const isScheduled = next !== undefined && next <= now;
    if (isScheduled) scheduleAfter = now;
    if (now < lastTrainedAt + replay.cooldownMs) return undefined;
    for (const cause of ['performance', 'drift'] as const) {
      const isCalled =
        cause === 'drift' ? [...champion.drift.keys()].some(isOpen) : champion.performance.isOpen;
      if (isCalled && causes.includes(cause) && isWorthwhile(now, cause)) return cause;
    }
    return isScheduled ? 'schedule' : undefined;
  }

  async function retrain(now: number, cause: string): Promise<void> {
    lastTrainedAt = now;
    result.retrainings++;
    const challenger = await workers.train(now, false);
    if ('failed' in challenger) {
      result.failed++;
      result.events.push({ at: now, kind: 'failed', what: challenger.failed, cause });
      return;
    }
    const { comparison, broken, incomparable } = await workers.judge(challenger, champion.model);
    const verdict = comparison?.verdict;
    const words = verdict ?? broken ?? incomparable ?? 'not compared';
    if (broken === undefined && (verdict === 'better' || verdict === 'non-inferior')) {
      result.promoted++;
      result.events.push({ at: now, kind: 'promoted', what: words, cause });
      champion = await enthrone(challenger, now);
      // What another version did is no evidence about this one.
      unmeasured = [];
    } else {
      result.rejected++;
      result.events.push({ at: now, kind: 'rejected', what: words, cause });
    }
  }

  let next = firstWindow;
  for (const [index, step] of steps.entries()) {
    signal?.throwIfAborted();
    const now = step.to;
    const { serving } = champion;
    answered.answers.set(
      serving.answers.subarray(
        (step.first - serving.firstRow) * width,
        (step.last - serving.firstRow) * width,
      ),
      step.first * width,
    );
    for (; next < windows.length && (windows[next] as Window).to <= now; next++) {
      const window = windows[next] as Window;
      // A version that came in the middle of a window is tested from the next one on.
      seen.lived++;
      if (window.from < champion.since) {
        seen.cut++;
        continue;
      }
      unmeasured.push(window);
      watchDrift(next, window);
    }
    watchPerformance(now);
    const cause = policy === 'never' ? undefined : causeAt(now);
    // After the last step nothing would be served any more.
    if (cause !== undefined && index + 1 < steps.length) await retrain(now, cause);
    onStep?.((index + 1) / steps.length);
  }
  result.notWatched = tellNotWatched(seen);
  return result;
}

const shift = (window: Window, by: number): Window => ({
  ...window,
  first: window.first - by,
  last: window.last - by,
});
