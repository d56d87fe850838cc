import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { silentLogger, tempDir } from '../../../tests/support/index.ts';
import { createRandom } from '../../platform/index.ts';
import { type BacktestRequest, runBacktest, STEP_PROCESS } from '../index.ts';
import { checkProject } from '../project/check-project.ts';

const DAY = 86_400_000;
const START = Date.UTC(2026, 0, 1);

/** 90 days of 200 rows; what `a` says is turned round on day 50. */
function writeTable(folder: string): string {
  const random = createRandom(5);
  const lines = ['at,a,b,y'];
  for (let row = 0; row < 90 * 200; row++) {
    const day = Math.floor(row / 200);
    const a = random() * 4 - 2;
    const b = random();
    const truth = day < 50 ? a : -a;
    const at = new Date(START + (row / 200) * DAY).toISOString();
    lines.push([at, a.toFixed(3), b.toFixed(3), truth + random() - 0.5 > 0 ? 'yes' : 'no'].join(','));
  }
  const path = join(folder, 'rows.csv');
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

function requestFor(more: Partial<BacktestRequest> = {}, model: object = {}): BacktestRequest {
  const folder = tempDir();
  const project = checkProject(
    {
      models: {
        m: {
          data: { path: 'rows.csv', target: 'y', time: 'at', ignore: ['at'] },
          features: { twice: 'a * 2' },
          train: { algorithm: 'gradient-boosting', trees: 10 },
          gate: { evaluate: '7d', nonInferiority: 0.05 },
          rollout: { canary: [25, 100], stepFor: '1d' },
          monitor: { window: { every: '1d', rows: 200 }, labels: { delay: '1d' } },
          retrain: { on: ['performance'], cooldown: '4d', window: '30d' },
          ...model,
        },
      },
    },
    'FILE',
  );
  return {
    model: 'm',
    config: project.models['m']!,
    files: [{ path: writeTable(folder) }],
    policies: ['never', 'weekly'],
    holdoutMs: 14 * DAY,
    codeVersion: 'test',
    processes: 2,
    entry: STEP_PROCESS,
    logger: silentLogger,
    ...more,
  };
}

it('tells what retraining would have given on a table whose world changes', {
  timeout: 180_000,
}, async () => {
  const notes: number[] = [];
  const result = await runBacktest(requestFor({ onProgress: (done) => notes.push(done) }));
  expect(result).toMatchObject({ rows: 18_000, startAt: START + 18 * DAY });
  expect(result.holdoutFrom).toBeCloseTo(START + 76 * DAY, -8);
  const [never, weekly] = result.policies;
  expect(never).toMatchObject({ policy: 'never', retrainings: 0, promoted: 0 });
  expect(never!.alarms.performance).toBeGreaterThan(0);
  expect(weekly!.retrainings).toBe(10);
  expect(weekly!.promoted).toBeGreaterThan(0);
  // Two weeks of the turned world are enough for a model that learns from thirty days.
  expect(never!.holdout['roc_auc']).toBeLessThan(0.2);
  expect(weekly!.holdout['roc_auc']).toBeGreaterThan(0.8);
  expect(never!.weeks.reduce((rows, week) => rows + week.rows, 0)).toBe(72 * 200);
  expect(never!.weeks[0]).toEqual(weekly!.weeks[0]);
  expect(result.trainings).toEqual({ done: 11, shared: 1 });
  expect(result.notReplayed).toEqual([
    "the canary's steps (25, 100 %, 1d each): a version serves at once here",
    'the watch of 7d in which late labels may give the predecessor its place back',
  ]);
  expect(notes.at(-1)).toBe(1);
});

it('refuses a table without time, a start outside it and a hold-out that leaves nothing', {
  timeout: 60_000,
}, async () => {
  const timeless = requestFor({}, { data: { path: 'rows.csv', target: 'y' }, retrain: {} });
  await expect(runBacktest(timeless)).rejects.toThrow(/name that column in models\.m\.data\.time/);
  await expect(runBacktest(requestFor({ startAt: START - DAY }))).rejects.toThrow(
    /cannot start at 2025-12-31: the rows are from 2026-01-01 to 2026-03-31/,
  );
  const notes: string[] = [];
  const long = requestFor({ holdoutMs: 80 * DAY, onProgress: (_done, note) => notes.push(note) });
  await expect(runBacktest(long)).rejects.toThrow(
    /The hold-out would begin at 2026-01-10, before the replay at 2026-01-19: make it shorter/,
  );
  expect(notes).toEqual(['reading the table']);
});
