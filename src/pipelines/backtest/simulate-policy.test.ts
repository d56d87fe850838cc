import { expect, it } from 'vitest';
import type { Judgement } from '../../delivery/index.ts';
import type { ReplayedServing, ReplayedTraining, Window } from './replay-tasks.ts';
import { type Replay, type ReplayModel, type ReplayWorkers, simulatePolicy } from './simulate-policy.ts';

const DAY = 86_400_000;
const ROWS = 100;
const DAYS = 60;
/** The world changes on this day: models that were trained before are wrong from then on. */
const CHANGE = 30;

/** A hundred rows a day, half of them positive; the replay begins on day 10. */
function makeReplay(change: Partial<Replay> = {}): Replay {
  const day = (index: number): Window => ({
    from: index * DAY,
    to: (index + 1) * DAY,
    first: index * ROWS,
    last: (index + 1) * ROWS,
  });
  const windows = Array.from({ length: DAYS }, (_, index) => day(index));
  return {
    times: Float64Array.from({ length: DAYS * ROWS }, (_, row) => (row / ROWS) * DAY),
    labels: Int32Array.from({ length: DAYS * ROWS }, (_, row) => row % 2),
    classes: 2,
    steps: windows.slice(10),
    windows,
    firstWindow: 10,
    metric: 'roc_auc',
    labelDelayMs: 2 * DAY,
    cooldownMs: 5 * DAY,
    minimumGain: 0,
    project: { on: [], nextSchedule: undefined },
    ...change,
  };
}

/** A model that is right, but for noise, on the days of the world that it has seen the end of. */
function makeWorkers(verdict: (challenger: ReplayModel) => 'better' | 'inconclusive' = () => 'better') {
  const trained: number[] = [];
  const workers: ReplayWorkers = {
    async train(at, isFirst): Promise<ReplayModel> {
      trained.push(at / DAY);
      const to = isFirst ? at : at - 2 * DAY;
      const testFrom = to - 3 * DAY;
      return { key: String(to), number: trained.length, testFrom, to, trained: {} as ReplayedTraining };
    },
    judge: async (challenger) => ({ comparison: { verdict: verdict(challenger) } }) as unknown as Judgement,
    async serve({ testFrom, to }): Promise<ReplayedServing> {
      const firstRow = (testFrom / DAY) * ROWS;
      const rows = DAYS * ROWS - firstRow;
      const knowsChange = to >= (CHANGE + 1) * DAY;
      const answers = new Float32Array(rows * 2);
      for (let row = 0; row < rows; row++) {
        const index = firstRow + row;
        const isRight = index >= CHANGE * ROWS === knowsChange ? index % 10 !== 3 : (index * 7) % 3 === 0;
        const p = (index % 2 === 1) === isRight ? 0.8 : 0.2;
        answers[2 * row] = 1 - p;
        answers[2 * row + 1] = p;
      }
      const tests = Array.from({ length: DAYS }, (_, index) => ({
        index,
        tests: [{ column: 'a', aspect: 'values', p: index >= CHANGE && !knowsChange ? 1e-9 : 0.5 }],
      }));
      return { firstRow, answers, classes: [false, true], testCount: 1, tests };
    },
  };
  return { workers, trained };
}

it('never retrains, but tells the alarms', async () => {
  const { workers, trained } = makeWorkers();
  const result = await simulatePolicy('never', makeReplay(), workers);
  expect(trained).toEqual([10]);
  expect(result).toMatchObject({ retrainings: 0, alarms: { drift: 1 } });
  expect(result.alarms.performance).toBeGreaterThan(0);
  expect(result.events.every(({ kind }) => kind === 'alarm')).toBe(true);
});

it('says how many windows could raise no alarm, and why, else a collapse would look like nothing', async () => {
  const { workers } = makeWorkers();
  const watched = await simulatePolicy('never', makeReplay(), workers);
  // Three days of held-out rows and seven labelled ones are the first ten.
  expect(watched.notWatched).toEqual([
    expect.stringMatching(/^no alarm of performance could come in 7 of 48 labelled windows: those before/),
  ]);
  const blind: ReplayWorkers = {
    ...workers,
    async serve(model) {
      const serving = await workers.serve(model);
      const tests = serving.tests.filter(({ index }) => index !== 20).map((each) => ({ ...each, tests: [] }));
      return { ...serving, testCount: 0, tests };
    },
  };
  const drift = await simulatePolicy('drift', makeReplay({ labelDelayMs: 100 * DAY }), blind);
  expect(drift).toMatchObject({ alarms: { drift: 0, performance: 0 }, retrainings: 0 });
  expect(drift.notWatched).toEqual([
    expect.stringMatching(/^no alarm of drift could come in 49 of 50 windows: .* spans under 10 windows/),
    'no alarm of drift could come in 1 of 50 windows: they have too few rows',
    'no alarm of performance could come: no window had labels that say how it did',
  ]);
});

it('retrains each week', async () => {
  const { workers, trained } = makeWorkers(() => 'inconclusive');
  const result = await simulatePolicy('weekly', makeReplay(), workers);
  expect(trained).toEqual([10, 17, 24, 31, 38, 45, 52, 59]);
  expect(result).toMatchObject({ retrainings: 7, promoted: 0, rejected: 7 });
});

it('retrains on drift, again after the cooldown while the alarm is open, until a version passes the gate', async () => {
  const { workers, trained } = makeWorkers(({ to }) => (to >= 34 * DAY ? 'better' : 'inconclusive'));
  const result = await simulatePolicy('drift', makeReplay(), workers);
  expect(trained).toEqual([10, 31, 36]);
  expect(result.events.filter(({ kind }) => kind !== 'alarm')).toEqual([
    { at: 31 * DAY, kind: 'rejected', what: 'inconclusive', cause: 'drift' },
    { at: 36 * DAY, kind: 'promoted', what: 'better', cause: 'drift' },
  ]);
});

it('hears of bad performance only when the labels have come', async () => {
  const { workers } = makeWorkers();
  const result = await simulatePolicy('performance', makeReplay({ labelDelayMs: 4 * DAY }), workers);
  const alarm = result.events.find(({ what }) => what.startsWith('performance'));
  expect(alarm?.at).toBeGreaterThanOrEqual((CHANGE + 1 + 4) * DAY);
  expect(result.promoted).toBeGreaterThan(0);
});

it('holds drift back while its labelled windows are as good as before, and says so once', async () => {
  const all = makeWorkers();
  // The columns move on day 20, ten days before the world does.
  const workers: ReplayWorkers = {
    ...all.workers,
    async serve(model) {
      const serving = await all.workers.serve(model);
      const tests = serving.tests.map((each) => ({
        ...each,
        tests: [{ column: 'a', aspect: 'values', p: each.index >= 20 ? 1e-9 : 0.5 }],
      }));
      return { ...serving, tests };
    },
  };
  const replay = (minimumGain: number) =>
    makeReplay({ minimumGain, labelDelayMs: 0, windows: makeReplay().windows });
  const ungated = await simulatePolicy('drift', replay(0), workers);
  expect(ungated).toMatchObject({ heldBack: 0 });
  expect(ungated.events.find(({ cause }) => cause === 'drift')?.at).toBeLessThan(CHANGE * DAY);
  all.trained.length = 0;
  const gated = await simulatePolicy('drift', replay(0.05), workers);
  const held = gated.events.filter(({ kind }) => kind === 'held back');
  expect(held).toMatchObject([{ cause: 'drift', what: 'expected gain 0.0000 < 0.05' }]);
  expect(gated.heldBack).toBe(1);
  expect(all.trained[1]).toBeGreaterThan(CHANGE);
});

it("follows the project's schedule, and leaves out what comes in a cooldown", async () => {
  const { workers, trained } = makeWorkers(() => 'inconclusive');
  const every3 = (after: number) => (Math.floor(after / (3 * DAY)) + 1) * 3 * DAY;
  await simulatePolicy('project', makeReplay({ project: { on: [], nextSchedule: every3 } }), workers);
  // Days 12 and 21 are due, 12 to 14 lie in the cooldown of the start.
  expect(trained.slice(0, 4)).toEqual([10, 15, 21, 27]);
});

it('answers each row by the version that served then', async () => {
  const { workers } = makeWorkers(({ to }) => (to >= 34 * DAY ? 'better' : 'inconclusive'));
  const { answered, events } = await simulatePolicy('drift', makeReplay(), workers);
  const promotedAt = events.find(({ kind }) => kind === 'promoted')?.at as number;
  const wrong = (from: number, to: number) => {
    let count = 0;
    for (let row = from * ROWS; row < to * ROWS; row++) {
      if ((answered.answers[2 * row + 1] as number) > 0.5 !== (answered.labels[row] === 1)) count++;
    }
    return count / ((to - from) * ROWS);
  };
  expect(wrong(10, CHANGE)).toBeCloseTo(0.1);
  expect(wrong(CHANGE, promotedAt / DAY)).toBeGreaterThan(0.6);
  expect(wrong(promotedAt / DAY, DAYS)).toBeCloseTo(0.1);
});

it('goes on with the champion when a training fails', async () => {
  const { workers } = makeWorkers();
  const failing: ReplayWorkers = {
    ...workers,
    train: (at, isFirst) =>
      isFirst ? workers.train(at, true) : Promise.resolve({ failed: 'one class only' }),
  };
  const result = await simulatePolicy('weekly', makeReplay(), failing);
  expect(result).toMatchObject({ retrainings: 7, failed: 7, promoted: 0 });
  expect(result.events.find(({ kind }) => kind === 'failed')?.what).toBe('one class only');
});
