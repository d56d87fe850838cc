import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeDatabases, openTestDatabase } from '../../../tests/support/index.ts';
import {
  createLogFixture,
  DAY_MS,
  labelLine,
  predictionLine,
  range,
  SIGNATURE,
  START,
} from '../../../tests/support/log-fixture.ts';
import { readRows } from '../../datasets/index.ts';
import type { Signature } from '../../models/index.ts';
import {
  accuracy,
  brier,
  confusionMatrix,
  logLoss,
  macroAuc,
  mae,
  r2,
  rmse,
  rocAuc,
} from '../../statistics/index.ts';

const day = (d: number) => ({ from: START + d * DAY_MS, to: START + (d + 1) * DAY_MS });
/** Rows of the fixture come every minute. */
const DAY_ROWS = 1440;

describeDatabases('measuring windows', (openDatabase) => {
  it('gives what the statistics slice gives on the same rows, with the coverage of labels', async () => {
    const { ship, log } = createLogFixture(await openDatabase());
    const truth = (i: number) => (i * 61) % 100 > 45;
    const hasLabel = (i: number) => i < DAY_ROWS || i % 3 === 0;
    await ship(
      'predictions',
      range(0, 2 * DAY_ROWS).map((i) => predictionLine(i)),
    );
    await ship(
      'feedback',
      range(0, 2 * DAY_ROWS)
        .filter(hasLabel)
        .map((i) => labelLine(i, truth(i))),
    );
    const windows = [day(0), day(1), day(2), { from: START, to: START + 2 * DAY_MS }];
    for (const [metric, of] of [
      [
        'roc_auc',
        (y: number[], p: number[]) =>
          rocAuc(
            y,
            p.filter((_, k) => k % 2 === 1),
          ),
      ],
      ['log_loss', (y: number[], p: number[]) => logLoss(y, p, 2)],
      ['brier', (y: number[], p: number[]) => brier(y, p, 2)],
      [
        'accuracy',
        (y: number[], p: number[]) =>
          accuracy(
            confusionMatrix(
              y,
              y.map((_, k) => Number(p[2 * k + 1]! >= 0.5)),
              2,
            ),
          ),
      ],
    ] as const) {
      const measured = await log.measureWindows({ model: 'flights', metric, windows });
      for (const [index, window] of windows.entries()) {
        const inside = range(0, 2 * DAY_ROWS).filter((i) => {
          const { t } = predictionLine(i);
          return t >= window.from && t < window.to;
        });
        const labelled = inside.filter(hasLabel);
        const y = labelled.map((i) => Number(truth(i)));
        const p = labelled.flatMap((i) => predictionLine(i).pr!);
        const found = measured[index]!;
        expect(found).toMatchObject({ ...window, rows: inside.length, labelled: labelled.length });
        if (labelled.length === 0) {
          expect([found.value, found.loss, found.baseline]).toEqual([undefined, undefined, undefined]);
          continue;
        }
        expect(found.value).toBeCloseTo(of(y, p), 12);
        expect(found.loss).toBeCloseTo(logLoss(y, p, 2), 12);
        const rate = y.reduce((sum, each) => sum + each, 0) / y.length;
        expect(found.baseline).toBeCloseTo(-rate * Math.log(rate) - (1 - rate) * Math.log(1 - rate), 12);
      }
    }
    await log.compact();
    const [filed] = await log.measureWindows({ model: 'flights', metric: 'brier', windows });
    const [again] = await log.measureWindows({ model: 'flights', metric: 'brier', windows, version: '1' });
    expect(again).toEqual(filed);
    const [other] = await log.measureWindows({ model: 'flights', metric: 'brier', windows, version: '2' });
    expect(other).toMatchObject({ rows: 0, labelled: 0, value: undefined });
  });

  it('takes the latest label by its time, whichever came first, and does not double its row', async () => {
    const { ship, log } = createLogFixture(await openDatabase());
    await ship(
      'predictions',
      range(0, 4).map((i) => predictionLine(i)),
    );
    const accuracyNow = async () => {
      const [window] = await log.measureWindows({ model: 'flights', metric: 'accuracy', windows: [day(0)] });
      return [window?.rows, window?.labelled, window?.value];
    };
    const said = (i: number) => predictionLine(i).p as boolean;
    await ship(
      'feedback',
      range(0, 4).map((i) => labelLine(i, said(i), { t: START + DAY_MS })),
    );
    expect(await accuracyNow()).toEqual([4, 4, 1]);
    await ship('feedback', [labelLine(0, !said(0), { t: START + 2 * DAY_MS })]);
    expect(await accuracyNow()).toEqual([4, 4, 0.75]);
    await log.compact();
    await ship('feedback', [labelLine(0, said(0), { t: START }), labelLine(1, !said(1), { t: START })]);
    expect(await accuracyNow()).toEqual([4, 4, 0.75]);
  });

  it('measures what needs its rows in memory on a sample of many, and says so; losses are of all', async () => {
    const { ship, log } = createLogFixture(await openDatabase());
    const truth = (i: number) => (i * 61) % 100 > 45;
    await ship(
      'predictions',
      range(0, 2 * DAY_ROWS).map((i) => predictionLine(i)),
    );
    await ship(
      'feedback',
      range(0, DAY_ROWS + 300).map((i) => labelLine(i, truth(i))),
    );
    // One label was told anew, so that all of them have to be looked for.
    await ship('feedback', [labelLine(0, truth(0), { t: START + 5 * DAY_MS })]);
    const request = { model: 'flights', windows: [day(0), day(1)] };
    for (const metric of ['roc_auc', 'brier', 'accuracy', 'f1_macro']) {
      const all = await log.measureWindows({ ...request, metric });
      const sample = await log.measureWindows({ ...request, metric, mostRows: 600 });
      expect(all.map(({ sampled }) => sampled)).toEqual([undefined, undefined]);
      const { value, valueBaseline, ...exact } = all[0]!;
      expect(sample[0]).toMatchObject({ ...exact, rows: DAY_ROWS, labelled: DAY_ROWS, sampled: 600 });
      expect(sample[0]!.value).not.toBe(value);
      expect(Math.abs(sample[0]!.value! - value!)).toBeLessThan(0.06);
      expect(Math.abs(sample[0]!.valueBaseline! - valueBaseline!)).toBeLessThan(0.06);
      // The second day has few enough.
      expect(sample[1]).toEqual(all[1]);
      expect(await log.measureWindows({ ...request, metric, mostRows: 600 })).toEqual(sample);
    }
    const all = await log.measureWindows({ ...request, metric: 'log_loss' });
    expect(await log.measureWindows({ ...request, metric: 'log_loss', mostRows: 1 })).toEqual(all);
  });

  it('counts answers, not shadows, and no label that is none of the classes', async () => {
    const { ship, log } = createLogFixture(await openDatabase());
    await ship('predictions', [
      predictionLine(0),
      predictionLine(0, { var: 'shadow', v: '2' }),
      predictionLine(1, { var: 'canary', v: '2' }),
      predictionLine(2, { var: 'previous' }),
      predictionLine(3, { m: 'other' }),
    ]);
    await ship('feedback', [labelLine(0, true), labelLine(1, 'maybe'), labelLine(2, 1), labelLine(9, true)]);
    const measure = async (given: object) =>
      (await log.measureWindows({ model: 'flights', metric: 'log_loss', windows: [day(0)], ...given }))[0];
    expect(await measure({})).toMatchObject({ rows: 3, labelled: 2 });
    expect(await measure({ variants: ['shadow'] })).toMatchObject({ rows: 1, labelled: 1 });
    expect(await measure({ version: '2' })).toMatchObject({ rows: 1, labelled: 0, value: undefined });
    expect(await measure({ model: 'other' })).toMatchObject({ rows: 1, labelled: 0, value: undefined });
    expect(await measure({ metric: 'no such' })).toMatchObject({ rows: 3, labelled: 2, value: undefined });
  });
});

describe('measuring other tasks', () => {
  const signatureOf = (output: object): Signature => ({
    ...SIGNATURE,
    output: output as Signature['output'],
  });

  it('measures regressions', async () => {
    const { ship, log } = createLogFixture(await openTestDatabase('sqlite'), {
      modelOf: async () => signatureOf({ task: 'regression', target: 'delay', value: 'v' }),
    });
    const actual = [1, 5, 2.5, -4];
    const predicted = [2, 3, 2.5, 0];
    await ship(
      'predictions',
      predicted.map((p, i) => {
        const { pr: _pr, ...line } = predictionLine(i, { p });
        return line;
      }),
    );
    await ship(
      'feedback',
      actual.map((y, i) => labelLine(i, i === 0 ? '1.0' : y)),
    );
    const measure = async (metric: string) =>
      (await log.measureWindows({ model: 'flights', metric, windows: [day(0)] }))[0];
    expect((await measure('rmse'))?.value).toBeCloseTo(rmse(actual, predicted), 12);
    expect((await measure('mae'))?.value).toBeCloseTo(mae(actual, predicted), 12);
    expect((await measure('r2'))?.value).toBeCloseTo(r2(actual, predicted), 12);
    const mean = [1.125, 1.125, 1.125, 1.125];
    expect((await measure('rmse'))?.valueBaseline).toBeCloseTo(rmse(actual, mean), 12);
    expect((await measure('mae'))?.valueBaseline).toBeCloseTo(mae(actual, mean), 12);
    expect((await measure('r2'))?.valueBaseline).toBe(0);
    const found = await measure('rmse');
    expect(found?.loss).toBeCloseTo(rmse(actual, predicted) ** 2, 12);
    expect(found?.baseline).toBeCloseTo(
      rmse(
        actual,
        actual.map(() => 1.125),
      ) ** 2,
      12,
    );
    expect((await measure('roc_auc'))?.value).toBeUndefined();
  });

  it('measures several classes of text', async () => {
    const classes = ['snow', 'sun', 'rain'];
    const { ship, log } = createLogFixture(await openTestDatabase('sqlite'), {
      modelOf: async () => signatureOf({ task: 'multiclass', target: 'w', classes, probabilities: 'p' }),
    });
    const pr = (i: number) => [0.2 + (i % 3) / 5, 0.3, 0.5 - (i % 3) / 5];
    const labels = range(0, 30).map((i) => (i * 7) % 3);
    await ship(
      'predictions',
      labels.map((_, i) => predictionLine(i, { p: classes[i % 3 === 2 ? 0 : 2], pr: pr(i) })),
    );
    await ship(
      'feedback',
      labels.map((label, i) => labelLine(i, classes[label]!)),
    );
    const all = labels.flatMap((_, i) => pr(i));
    const [auc] = await log.measureWindows({ model: 'flights', metric: 'roc_auc', windows: [day(0)] });
    expect(auc?.value).toBeCloseTo(macroAuc(labels, all, 3), 12);
    expect(auc?.loss).toBeCloseTo(logLoss(labels, all, 3), 12);
  });
});

describe('comparing versions', () => {
  it('has the mean loss of each by window, and pairs of answers and their shadows', async () => {
    const { ship, log } = createLogFixture(await openTestDatabase('sqlite'));
    const shadowOf = (i: number) => {
      const late = ((i * 53) % 100) / 100;
      return predictionLine(i, { v: '2', var: 'shadow', p: late >= 0.5, pr: [1 - late, late] });
    };
    await ship('predictions', [
      ...range(0, DAY_ROWS).map((i) => predictionLine(i)),
      ...range(0, DAY_ROWS).map(shadowOf),
      ...range(DAY_ROWS, 2 * DAY_ROWS).map((i) =>
        predictionLine(i, i % 4 === 0 ? { v: '2', var: 'canary' } : {}),
      ),
    ]);
    const truth = (i: number) => i % 3 === 0;
    await ship(
      'feedback',
      range(0, 2 * DAY_ROWS)
        .filter((i) => i % 2 === 0)
        .map((i) => labelLine(i, truth(i))),
    );
    const compared = await log.compareVariants({
      model: 'flights',
      from: START,
      to: START + 2 * DAY_MS,
      windowMs: DAY_MS,
      champion: '1',
      candidate: '2',
    });
    const lossOf = (lines: { i: number; pr: number[] }[]) =>
      logLoss(
        lines.map(({ i }) => Number(truth(i))),
        lines.flatMap(({ pr }) => pr),
        2,
      );
    const scored = (rows: number[], line = (i: number) => predictionLine(i)) =>
      rows.filter((i) => i % 2 === 0).map((i) => ({ i, pr: line(i).pr! }));
    const second = range(DAY_ROWS, 2 * DAY_ROWS);
    expect(compared.windows[0]).toMatchObject({
      ...day(0),
      champion: { rows: DAY_ROWS, labelled: DAY_ROWS / 2 },
      candidate: { rows: 0, labelled: 0, meanLoss: undefined },
    });
    expect(compared.windows[0]?.champion.meanLoss).toBeCloseTo(lossOf(scored(range(0, DAY_ROWS))), 12);
    expect(compared.windows[1]?.candidate).toMatchObject({ rows: DAY_ROWS / 4, labelled: DAY_ROWS / 4 });
    expect(compared.windows[1]?.candidate.meanLoss).toBeCloseTo(
      lossOf(scored(second.filter((i) => i % 4 === 0))),
      12,
    );
    const pairs = compared.shadowPairs!;
    const first = range(0, DAY_ROWS);
    expect(pairs.rows).toBe(DAY_ROWS);
    expect(pairs.disagree).toBe(first.filter((i) => predictionLine(i).p !== shadowOf(i).p).length);
    const apart = first.map((i) => Math.abs(predictionLine(i).pr![1]! - shadowOf(i).pr![1]!));
    expect(pairs.meanAbsoluteDifference).toBeCloseTo(apart.reduce((a, b) => a + b, 0) / DAY_ROWS, 12);
    expect(pairs.windows[0]).toMatchObject({ rows: DAY_ROWS, labelled: DAY_ROWS / 2 });
    expect(pairs.windows[0]?.candidateLoss).toBeCloseTo(lossOf(scored(first, shadowOf)), 12);
    expect(pairs.windows[1]).toMatchObject({ rows: 0, championLoss: undefined });

    // A label that is told anew counts once, in both.
    await ship('feedback', [
      labelLine(0, !truth(0), { t: START }),
      labelLine(0, truth(0), { t: START + 5 * DAY_MS }),
    ]);
    const again = await log.compareVariants({
      model: 'flights',
      from: START,
      to: START + 2 * DAY_MS,
      windowMs: DAY_MS,
      champion: '1',
      candidate: '2',
    });
    expect(again.windows.map(({ champion: { rows, labelled } }) => [rows, labelled])).toEqual(
      compared.windows.map(({ champion: { rows, labelled } }) => [rows, labelled]),
    );
    expect(again.windows[0]?.champion.meanLoss).toBeCloseTo(compared.windows[0]!.champion.meanLoss!, 12);
    expect(again.shadowPairs).toMatchObject({ rows: pairs.rows, disagree: pairs.disagree });
    expect(again.shadowPairs?.windows[0]?.candidateLoss).toBeCloseTo(pairs.windows[0]!.candidateLoss!, 12);
  });

  it('counts the scores of what each version answered itself, by the deciles of the champion', async () => {
    const { ship, log } = createLogFixture(await openTestDatabase('sqlite'));
    const scored = (i: number, late: number, change: object = {}) =>
      predictionLine(i, { p: late >= 0.5, pr: [1 - late, late], ...change });
    const request = { model: 'flights', from: START, to: START + DAY_MS, windowMs: DAY_MS };
    await ship(
      'predictions',
      range(0, 200).map((i) => scored(i, (i % 100) / 100)),
    );
    expect((await log.compareVariants({ ...request, champion: '1', candidate: '2' })).scores).toBeUndefined();
    await ship(
      'predictions',
      range(200, 300).map((i) => scored(i, 0.955, { v: '2', var: 'canary' })),
    );
    const { scores } = await log.compareVariants({ ...request, champion: '1', candidate: '2' });
    expect(scores?.champion.rows).toBe(200);
    expect(scores?.champion.mean).toBeCloseTo(0.495, 12);
    expect(scores?.champion.bins).toHaveLength(10);
    for (const count of scores?.champion.bins ?? []) expect(Math.abs(count - 20)).toBeLessThanOrEqual(4);
    expect(scores?.candidate).toMatchObject({ rows: 100, bins: [0, 0, 0, 0, 0, 0, 0, 0, 0, 100] });
    expect(scores?.candidate.mean).toBeCloseTo(0.955, 12);
  });

  it('compares versions that answer numbers', async () => {
    const { ship, log } = createLogFixture(await openTestDatabase('sqlite'), {
      modelOf: async () => ({ ...SIGNATURE, output: { task: 'regression', target: 'delay', value: 'v' } }),
    });
    const line = (i: number, p: number, change: object = {}) => {
      const { pr: _pr, ...rest } = predictionLine(i, { p, ...change });
      return rest;
    };
    await ship('predictions', [
      ...[1, 4, 9].map((p, i) => line(i, p)),
      ...[1, 5, 7].map((p, i) => line(i, p, { v: '2', var: 'shadow' })),
    ]);
    await ship('feedback', [labelLine(0, 2), labelLine(1, 2), labelLine(2, 'none')]);
    const request = { model: 'flights', from: START, to: START + DAY_MS, windowMs: DAY_MS };
    const { windows, shadowPairs } = await log.compareVariants({ ...request, champion: '1', candidate: '2' });
    expect(windows[0]?.champion).toEqual({ rows: 3, labelled: 2, meanLoss: 2.5 });
    expect(shadowPairs).toEqual({
      rows: 3,
      disagree: 2,
      meanAbsoluteDifference: 1,
      windows: [{ ...day(0), rows: 3, labelled: 2, championLoss: 2.5, candidateLoss: 5 }],
    });
  });

  it('has no pairs where nothing was shadowed', async () => {
    const { ship, log } = createLogFixture(await openTestDatabase('sqlite'));
    await ship('predictions', [predictionLine(0)]);
    const request = { model: 'flights', from: START, to: START + DAY_MS, windowMs: DAY_MS };
    const compared = await log.compareVariants({ ...request, champion: '1', candidate: '2' });
    expect(compared.shadowPairs).toBeUndefined();
    const endless = log.compareVariants({ ...request, windowMs: 0, champion: '1', candidate: '2' });
    await expect(endless).rejects.toThrow('0 ms');
  });
});

describe('labelled rows as a table', () => {
  it('has the columns typed, the target, the time and the key, one row for each prediction', async () => {
    const { ship, log, root } = createLogFixture(await openTestDatabase('sqlite'));
    await ship('predictions', [
      predictionLine(0, { k: 'ann' }),
      predictionLine(0, { var: 'shadow', v: '2' }),
      predictionLine(1, { f: { date: START, distance: null, destination: 'LAX', seats: '7' } }),
      predictionLine(2),
      predictionLine(3, { t: START + 2 * DAY_MS }),
      predictionLine(4, { v: '9' }),
      predictionLine(1, { f: { date: 'sent twice' } }),
    ]);
    await log.compact();
    await ship('feedback', [
      labelLine(0, true),
      labelLine(1, false),
      labelLine(1, true, { t: START + 9 * DAY_MS }),
      labelLine(3, true),
      labelLine(4, 'maybe'),
    ]);
    const outPath = join(root, 'rows.parquet');
    const schema = [...SIGNATURE.columns, { name: 'seats', type: 'long' }];
    const exported = await log.exportLabelled({ model: 'flights', schema, targetName: 'late', outPath });
    expect(exported).toEqual({
      rows: 3,
      of: 3,
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      from: START,
      to: START + 2 * DAY_MS + 1,
    });
    const columns = ['date', 'distance', 'destination', 'seats', 'late', '__time', '__entity'];
    const iso = (ms: number) => new Date(ms).toISOString();
    const rows: unknown[] = [];
    for await (const batch of readRows(outPath, { columns })) {
      rows.push(...batch.map((row) => columns.map((name) => row[name])));
    }
    expect(rows).toEqual([
      [iso(START), 0, 'LAX', null, true, START, 'ann'],
      [iso(START), null, 'LAX', 7, true, START + 60_000, null],
      [iso(START + 2 * DAY_MS), 3, 'SFO', null, true, START + 2 * DAY_MS, null],
    ]);
    const again = await log.exportLabelled({ model: 'flights', schema, targetName: 'late', outPath });
    expect(again.digest).toBe(exported.digest);
    const request = { model: 'flights', schema, targetName: 'late', outPath };
    expect(await log.exportLabelled({ ...request, from: START + DAY_MS })).toMatchObject({ rows: 1 });
    expect(await log.exportLabelled({ ...request, to: START })).toMatchObject({ rows: 0, from: undefined });
    expect(await log.exportLabelled({ ...request, variants: ['shadow'] })).toMatchObject({ rows: 1 });
    const odd = log.exportLabelled({ ...request, schema: [{ name: 'a', type: 'colour' }] });
    await expect(odd).rejects.toThrow('"colour"');
  });

  it('is a sample of many rows: as many of each day as the day has, and the same ones each time', async () => {
    const { ship, log, root } = createLogFixture(await openTestDatabase('sqlite'));
    const rows = range(0, 3 * DAY_ROWS).filter((i) => i < 2 * DAY_ROWS || i % 2 === 0);
    await ship(
      'predictions',
      rows.map((i) => predictionLine(i)),
    );
    await ship(
      'feedback',
      rows.map((i) => labelLine(i, true)),
    );
    const schema = SIGNATURE.columns.map(({ name, type }) => ({ name, type }));
    const outPath = join(root, 'sample.parquet');
    const request = { model: 'flights', schema, targetName: 'late', outPath };
    const sample = await log.exportLabelled({ ...request, maxRows: 900 });
    expect(sample).toMatchObject({ rows: 900, of: rows.length });
    const days = [0, 0, 0];
    for await (const batch of readRows(outPath, { columns: ['__time'] })) {
      for (const { __time } of batch) days[Math.floor(((__time as number) - START) / DAY_MS)]!++;
    }
    // A quarter of each day: 360, 360, 180.
    for (const [day, expected] of [360, 360, 180].entries()) {
      expect(Math.abs(days[day]! - expected)).toBeLessThan(60);
    }
    await log.compact();
    expect(await log.exportLabelled({ ...request, maxRows: 900 })).toEqual(sample);
    expect(await log.exportLabelled({ ...request, maxRows: rows.length })).toMatchObject({
      rows: rows.length,
      of: rows.length,
    });
  });
});

it('counts rows by day, version and variant', async () => {
  const { ship, log } = createLogFixture(await openTestDatabase('sqlite'));
  await ship('predictions', [
    predictionLine(0),
    predictionLine(1),
    predictionLine(0, { var: 'shadow', v: '2' }),
  ]);
  await ship('predictions', [predictionLine(5000)]);
  await ship('feedback', [labelLine(0, true), labelLine(0, false), labelLine(77, true)]);
  expect(await log.counts('flights')).toEqual({
    rows: 4,
    labelled: 2,
    labels: 3,
    newestEvent: START + 5000 * 60_000,
    groups: [
      { day: START, version: '1', variant: 'champion', rows: 2, labelled: 1 },
      { day: START, version: '2', variant: 'shadow', rows: 1, labelled: 1 },
      { day: START + 3 * DAY_MS, version: '1', variant: 'champion', rows: 1, labelled: 0 },
    ],
    dropped: { retention: 0, forgotten: 0 },
    badLines: 0,
    droppingServers: [],
  });
  expect(await log.models()).toEqual(['flights']);
});
