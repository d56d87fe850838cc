import { copyFile } from 'node:fs/promises';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  createDeliveryHarness,
  DAY,
  type DeliveryHarness,
  judgeOnce,
  NOW,
  writeLabelledRows,
} from '../../../tests/support/delivery-harness.ts';
import { describeDatabases, tamperWith } from '../../../tests/support/index.ts';
import { tinyClassifier } from '../../../tests/support/tiny-model.ts';
import { ApiError, type Database } from '../../platform/index.ts';
import type { RolloutLog } from '../delivery-deps.ts';
import type { Judge } from '../index.ts';
import { describeGain, type Gain } from './gain.ts';

const good = () => tinyClassifier({ weights: [3, -3] });
const better = () => tinyClassifier({ weights: [3, -3], bias: -0.4 });
const bad = () => tinyClassifier({ weights: [-3, 3] });

let heldOut: string;
let labelledRows: { path: string; digest: string; rows: number };
beforeAll(async () => {
  heldOut = (await writeLabelledRows({})).path;
  labelledRows = await writeLabelledRows({ from: NOW, days: 8 });
});

describeDatabases('what a promotion brought', (openDatabase) => {
  let database: Database;
  let harness: DeliveryHarness;
  let asked: [number | undefined, number | undefined][];
  let judge: Judge;
  let hasLabels: boolean;

  const log: RolloutLog = {
    compareVariants: async () => ({ windows: [] }),
    exportLabelled: async ({ outPath, from, to }) => {
      asked.push([from, to]);
      if (!hasLabels) return { rows: 0, digest: 'sha256:0' };
      await copyFile(labelledRows.path, outPath);
      return labelledRows;
    },
  };

  beforeEach(async () => {
    asked = [];
    hasLabels = true;
    judge = (input) => judgeOnce(input);
    database = await openDatabase();
    harness = await createDeliveryHarness(database, {
      policyOf: () => ({ gate: {}, rollout: { watch: '8d' } }),
      judge: (...input) => judge(...input),
      log,
    });
    await harness.register(good(), heldOut);
    await harness.promote('1');
    return () => harness.close();
  });

  async function promote(onnx: Uint8Array, more: object = {}) {
    const promoted = await harness.promote(await harness.register(onnx, heldOut), more);
    expect(promoted.body.outcome).toBe('promoted');
    return promoted.body.decision.id as number;
  }

  async function after(ms: number) {
    harness.clock.advance(ms);
    return harness.advance();
  }

  it('is measured at every look of the watch, and final at its end', async () => {
    const id = await promote(better());
    expect(await harness.delivery.gainOf(id)).toMatchObject({ isFinal: false, rows: 0, metric: undefined });
    await after(DAY);
    const sofar = await harness.delivery.gainOf(id);
    expect(sofar).toMatchObject({
      version: 2,
      predecessor: 1,
      metric: 'log_loss',
      rows: 400,
      from: NOW,
      until: NOW + DAY + 1,
      alpha: 0.05,
      isFinal: false,
    });
    const { difference = 0, lo = 0, hi = 0 } = sofar ?? {};
    expect(difference).toBeGreaterThan(0);
    expect(lo).toBeLessThan(difference);
    expect(hi).toBeGreaterThan(difference);
    await after(7 * DAY);
    const rollout = await harness.rollout();
    expect(rollout.state).toBe('done');
    expect(rollout.gain).toMatchObject({ is_final: true, rollout: rollout.id, until: NOW + 8 * DAY + 1 });
    const decisions = await harness.decisions();
    expect(decisions.map((each: any) => [each.outcome, each.gain?.version])).toEqual([
      ['done', undefined],
      ['promoted', '2'],
      ['promoted', undefined],
    ]);
    const told = (await harness.delivery.explain('m')).find(({ what }) =>
      what.startsWith('gained: version 2'),
    );
    expect(told?.value).toMatch(
      /^log_loss better by .* than version 1's, between .* on 400 labelled rows until/,
    );
  });

  it('is negative when the labels gave the predecessor its place back', async () => {
    const id = await promote(bad(), { force: true, reason: 'drill' });
    await after(2 * DAY);
    expect((await harness.rollout()).state).toBe('undone');
    const gain = await harness.delivery.gainOf(id);
    expect(gain).toMatchObject({ isFinal: true });
    expect(gain?.hi).toBeLessThan(0);
  });

  it('of one whose place was taken early is measured once more when late labels are in, for the time it served', async () => {
    const id = await promote(better());
    harness.clock.advance(DAY / 2);
    await promote(good(), { force: true, reason: 'again' });
    asked = [];
    expect(await harness.advance()).toEqual({ didSomething: false });
    await after(DAY);
    expect(await harness.delivery.gainOf(id)).toMatchObject({ isFinal: false, rows: 0 });
    await after(7 * DAY);
    await harness.advance();
    expect(await harness.delivery.gainOf(id)).toMatchObject({
      isFinal: true,
      rows: 400,
      from: NOW,
      until: NOW + DAY / 2,
    });
    expect(asked).toContainEqual([NOW, NOW + DAY / 2]);
    const looks = asked.length;
    await after(DAY);
    expect(asked).toHaveLength(looks);
  });

  it('is asked for again when the judge failed, and keeps what was known when it fails thrice', async () => {
    const id = await promote(better());
    await after(DAY);
    await harness.rollback();
    let ends = 0;
    judge = async () => {
      ends++;
      throw new Error('the judge failed');
    };
    harness.clock.advance(8 * DAY);
    for (let pass = 0; pass < 4; pass++) await after(DAY);
    expect(ends).toBe(3);
    expect(await harness.delivery.gainOf(id)).toMatchObject({
      isFinal: true,
      rows: 400,
      note: 'the judge failed',
    });
  });

  it('is not given up while there is no judge to ask, and waits between the attempts', async () => {
    const id = await promote(better());
    await harness.rollback();
    let asks = 0;
    let problem: Error = new ApiError(
      'TEMPORARILY_UNAVAILABLE',
      '17 looks at labels are being judged or wait',
    );
    judge = async () => {
      asks++;
      throw problem;
    };
    await after(8 * DAY);
    for (let pass = 0; pass < 5; pass++) await harness.advance();
    expect(asks).toBe(1);
    for (let hour = 0; hour < 12; hour++) await after(DAY / 24);
    expect(asks).toBeGreaterThan(4);
    expect(await harness.delivery.gainOf(id)).toMatchObject({ isFinal: false, note: undefined });
    problem = new Error('the file is broken');
    for (let hour = 0; hour < 48; hour++) await after(DAY / 24);
    expect(await harness.delivery.gainOf(id)).toMatchObject({ isFinal: true, note: 'the file is broken' });
  });

  it('of which nothing is left keeps no other rollout from going on', async () => {
    await promote(good(), { force: true, reason: 'again' });
    const { id } = await harness.rollout();
    harness.clock.advance(DAY / 2);
    await promote(better());
    await tamperWith(database, `delete from rollouts where id = '${id}'`);
    await after(9 * DAY);
    expect((await harness.rollout()).state).toBe('done');
  });

  it('is said to be unmeasured when no labels came', async () => {
    hasLabels = false;
    const id = await promote(better());
    await after(8 * DAY);
    const gain = (await harness.delivery.gainOf(id)) as Gain;
    expect(gain).toMatchObject({ isFinal: true, rows: 0, difference: undefined });
    expect(describeGain(gain)).toBe('not measured: 0 labelled rows, 100 are needed');
  });
});

describe('a gain in words', () => {
  it('says which way, how sure and that more may come', () => {
    const gain = {
      metric: 'rmse',
      difference: -0.01234,
      lo: undefined,
      hi: undefined,
      rows: 1200,
      until: Date.UTC(2026, 2, 5),
      predecessor: 3,
      isFinal: false,
      note: undefined,
    } as Gain;
    expect(describeGain(gain)).toBe(
      "rmse worse by 0.0123 than version 3's, on 1,200 labelled rows until 2026-03-05, so far",
    );
  });
});
