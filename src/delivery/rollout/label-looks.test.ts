import { copyFile } from 'node:fs/promises';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import {
  createDeliveryHarness,
  DAY,
  type DeliveryHarness,
  judgeOnce,
  MINUTE,
  NOW,
  trafficOf,
  writeLabelledRows,
} from '../../../tests/support/delivery-harness.ts';
import { describeDatabases } from '../../../tests/support/index.ts';
import { tinyClassifier } from '../../../tests/support/tiny-model.ts';
import { ApiError } from '../../platform/index.ts';
import type { RolloutLog, VariantCounts } from '../delivery-deps.ts';
import type { Judge } from '../index.ts';
import { assessScores } from './assess-evidence.ts';

const good = () => tinyClassifier({ weights: [3, -3] });
const better = () => tinyClassifier({ weights: [3, -3], bias: -0.4 });
const STEP = { canary: [25, 100], stepFor: '10d', minRequests: 100, watch: '4d' };

let heldOut: string;
beforeAll(async () => {
  heldOut = (await writeLabelledRows({})).path;
});

const counts = (answered: number, failed = 0): VariantCounts => ({
  answered,
  failed,
  latency: [answered, ...Array.from({ length: 16 }, () => 0)],
});

describeDatabases('looks at the labels of a rollout', (openDatabase) => {
  let harness: DeliveryHarness;
  let traffic: Record<string, VariantCounts>;
  let policy: { gate: object; rollout: object };
  let labelled: number;
  let scores: Awaited<ReturnType<RolloutLog['compareVariants']>>['scores'];
  let exported: (() => Promise<void>) | undefined;
  let judge: Judge;

  const log: RolloutLog = {
    compareVariants: async () => ({
      scores,
      windows: [{ from: 0, to: 1, champion: { rows: 900, labelled }, candidate: { rows: 300, labelled: 0 } }],
    }),
    exportLabelled: async ({ outPath, from = 0, to = 0 }) => {
      await exported?.();
      const rows = await writeLabelledRows({ from, days: (to - from) / DAY });
      await copyFile(rows.path, outPath);
      return rows;
    },
  };

  beforeEach(async () => {
    traffic = { champion: counts(600), canary: counts(200) };
    policy = { gate: {}, rollout: STEP };
    labelled = 200;
    exported = undefined;
    scores = undefined;
    judge = (input) => judgeOnce(input);
    harness = await createDeliveryHarness(await openDatabase(), {
      policyOf: () => policy,
      variantCounts: async () => trafficOf(traffic),
      judge: (...asked) => judge(...asked),
      log,
    });
    await harness.register(good(), heldOut);
    await harness.register(better(), heldOut);
    await harness.promote('1');
    expect((await harness.promote('2')).body.outcome).toBe('rollout');
    return () => harness.close();
  });

  /** A look that begins, and ends only when it is told to. */
  function holdLook() {
    const begun = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    let looks = 0;
    exported = async () => {
      looks++;
      begun.resolve();
      await end.promise;
    };
    return { begun: begun.promise, end: () => end.resolve(), count: () => looks };
  }

  it('undoes a canary for its errors while its labels are looked at', async () => {
    const look = holdLook();
    harness.clock.advance(2 * DAY);
    expect(await harness.delivery.advance()).toEqual({ didSomething: false });
    await look.begun;
    expect(harness.delivery.busy()).toBe(true);
    harness.clock.advance(DAY);
    expect(await harness.delivery.advance()).toEqual({ didSomething: false });
    expect(look.count()).toBe(1);
    traffic = { champion: counts(6000), canary: counts(200, 1800) };
    harness.clock.advance(MINUTE);
    expect(await harness.delivery.advance()).toEqual({ didSomething: true });
    expect((await harness.rollout()).state).toBe('undone');
    expect(harness.delivery.busy()).toBe(false);
    look.end();
    expect(await harness.advance()).toEqual({ didSomething: false });
    expect((await harness.rollout()).evidence.labels).toBeUndefined();
  });

  it('passes no step before the look at its end has ended, and then does', async () => {
    const look = holdLook();
    harness.clock.advance(10 * DAY);
    const settled = harness.advance();
    await look.begun;
    expect(await harness.delivery.advance()).toEqual({ didSomething: false });
    expect(await harness.rollout()).toMatchObject({ state: 'canary', weight: 25 });
    look.end();
    expect(await settled).toEqual({ didSomething: true });
    const rollout = await harness.rollout();
    expect(rollout.state).toBe('watching');
    expect(rollout.evidence.labels).toMatchObject({ state: 'good', look: 1 });
  });

  it('shows how the scores of the candidate lie to those of the champion', async () => {
    scores = {
      champion: { rows: 1000, mean: 0.5, bins: Array.from({ length: 10 }, () => 100) },
      candidate: { rows: 200, mean: 0.9, bins: [0, 0, 0, 0, 0, 0, 0, 0, 0, 200] },
    };
    harness.clock.advance(2 * DAY);
    await harness.advance();
    const { evidence, state } = await harness.rollout();
    expect(state).toBe('canary');
    expect(evidence.scores).toMatchObject({
      state: 'good',
      words: expect.stringMatching(
        /^scores of 200 answers lie \d.* \(PSI\) from the champion's of 1000, by chance about 0.054; on average 0.9, champion 0.5/,
      ),
    });
    expect(assessScores({ ...scores, candidate: { rows: 99, bins: [] } }).state).toBe('nothing yet');
  });

  it('looks once more when the look began before the end of the step', async () => {
    const look = holdLook();
    harness.clock.advance(9 * DAY);
    const settled = harness.advance();
    await look.begun;
    harness.clock.advance(2 * DAY);
    look.end();
    expect(await settled).toEqual({ didSomething: true });
    expect((await harness.rollout()).state).toBe('watching');
    const decisions = await harness.decisions();
    expect(decisions[0].evidence).toMatchObject({ labels: { look: 1 } });
    expect(decisions[0].outcome).toBe('promoted');
  });

  it('counts a look that failed together with the next one that ends', async () => {
    judge = async () => {
      throw new ApiError('TEMPORARILY_UNAVAILABLE', 'the judge was ended');
    };
    for (let day = 1; day <= 3; day++) {
      harness.clock.advance(DAY);
      expect(await harness.advance()).toEqual({ didSomething: false });
    }
    expect((await harness.rollout()).evidence.labels).toBeUndefined();
    judge = (input) => judgeOnce(input);
    harness.clock.advance(DAY);
    await harness.advance();
    expect((await harness.rollout()).evidence.labels).toMatchObject({ look: 1 });
    labelled = 400;
    harness.clock.advance(2 * DAY);
    await harness.advance();
    expect((await harness.rollout()).evidence.labels).toMatchObject({ look: 2 });
  });

  it('pauses a step whose labels cannot be looked at, and says why', async () => {
    judge = async () => {
      throw new ApiError('TEMPORARILY_UNAVAILABLE', 'the judge was ended');
    };
    harness.clock.advance(11 * DAY);
    expect(await harness.advance()).toEqual({ didSomething: false });
    harness.clock.advance(60 * DAY);
    expect(await harness.advance()).toEqual({ didSomething: true });
    expect(await harness.rollout()).toMatchObject({
      state: 'paused',
      note: 'inconclusive: the labels could not be looked at: the judge was ended',
    });
  });

  it('looks at the labels of the watch in the background too', async () => {
    await harness.hand('resume').catch(() => {});
    await harness.hand('pause');
    await harness.hand('resume', { skip: true, reason: 'tried' });
    expect((await harness.rollout()).state).toBe('watching');
    const look = holdLook();
    harness.clock.advance(4 * DAY);
    const settled = harness.advance();
    await look.begun;
    expect(harness.delivery.busy()).toBe(true);
    expect((await harness.rollout()).state).toBe('watching');
    look.end();
    expect(await settled).toEqual({ didSomething: true });
    expect(await harness.rollout()).toMatchObject({ state: 'done', evidence: { watch: { labelled: 400 } } });
  });

  it('holds up neither a promotion nor a rollback', async () => {
    const begun = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    judge = async (input) => {
      if (input.question?.shownAlpha === undefined) return judgeOnce(input);
      begun.resolve();
      await held.promise;
      throw new ApiError('TEMPORARILY_UNAVAILABLE', 'the judge was ended');
    };
    const { model_versions } = await harness.model();
    await harness.mlflow('/registered-models/create', { name: 'n' });
    await harness.mlflow('/model-versions/create', { name: 'n', source: model_versions[0].source });
    harness.clock.advance(4 * DAY);
    const settled = harness.advance();
    await begun.promise;
    const promoted = await harness.ask('POST', '/api/v1/models/n/promote', { version: '1' });
    expect(promoted.body).toMatchObject({ outcome: 'promoted' });
    expect((await harness.ask('GET', '/api/v1/judgements')).body.judgements).toEqual([
      {
        what: 'labels',
        model: 'm',
        version: '2',
        by_hand: false,
        state: 'running',
        for_ms: expect.any(Number),
      },
    ]);
    expect((await harness.rollback({ reason: 'alarm' })).body).toMatchObject({ to: '1', changed: true });
    held.resolve();
    await settled;
  });

  it('counts what came between the last look and the end of an earlier rollout for that one', async () => {
    labelled = 0;
    harness.clock.advance(2 * MINUTE);
    await harness.advance();
    traffic = { champion: counts(700), canary: counts(150, 90) };
    await harness.hand('abort', { reason: 'odd' });
    expect((await harness.promote('2')).body.outcome).toBe('rollout');
    traffic = { champion: counts(900), canary: counts(250, 90) };
    harness.clock.advance(2 * MINUTE);
    expect(await harness.advance()).toEqual({ didSomething: false });
    expect((await harness.rollout()).evidence).toMatchObject({
      candidate: { answered: 100, failed: 0 },
      earlier: { answered: 150, failed: 90 },
    });
    expect(NOW % 3_600_000).toBe(0);
  });
});
