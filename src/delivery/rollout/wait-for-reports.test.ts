import { expect, it } from 'vitest';
import {
  createDeliveryHarness,
  MINUTE,
  NOW,
  trafficOf,
  writeLabelledRows,
} from '../../../tests/support/delivery-harness.ts';
import { describeDatabases } from '../../../tests/support/index.ts';
import { tinyClassifier } from '../../../tests/support/tiny-model.ts';
import type { VariantCounts } from '../delivery-deps.ts';

const counts = (answered: number, failed = 0): VariantCounts => ({
  answered,
  failed,
  latency: [answered, ...Array.from({ length: 16 }, () => 0)],
});

describeDatabases('a rollout whose control plane was away', (openDatabase) => {
  /** A canary that nobody complains of: 200 requests, reported a minute after the step began. */
  async function beginCanary({ isClockOfEvents = false, canary = 200 } = {}) {
    let traffic: Record<string, VariantCounts> = { champion: counts(600), canary: counts(canary) };
    let reportedAt: number | undefined = NOW + MINUTE;
    const harness = await createDeliveryHarness(await openDatabase(), {
      policyOf: () => ({ gate: {}, rollout: { canary: [25, 100], stepFor: '10m', maxStepFor: '1h' } }),
      variantCounts: async () => trafficOf(traffic),
      reportedAt: async () => reportedAt,
      isClockOfEvents,
    });
    const { path } = await writeLabelledRows({});
    await harness.register(tinyClassifier({ weights: [3, -3] }), path);
    await harness.register(tinyClassifier({ weights: [3, -3], bias: -0.4 }), path);
    await harness.promote('1');
    expect((await harness.promote('2')).body.outcome).toBe('rollout');
    return {
      harness,
      report: (later: Record<string, VariantCounts>) => {
        traffic = later;
        reportedAt = harness.clock.now();
      },
    };
  }

  it('passes no step on what was told before its end, and undoes what failed meanwhile', async () => {
    const { harness, report } = await beginCanary();
    harness.clock.advance(20 * MINUTE);
    expect(await harness.advance()).toEqual({ didSomething: false });
    expect(await harness.rollout()).toMatchObject({ state: 'canary', weight: 25 });
    report({ champion: counts(6000), canary: counts(200, 1800) });
    expect(await harness.advance()).toEqual({ didSomething: true });
    expect(await harness.rollout()).toMatchObject({ state: 'undone' });
    expect((await harness.model()).history).toHaveLength(1);
    await harness.close();
  });

  it('passes the step when the report that comes then is good', async () => {
    const { harness, report } = await beginCanary();
    harness.clock.advance(20 * MINUTE);
    report({ champion: counts(6000), canary: counts(2000) });
    expect(await harness.advance()).toEqual({ didSomething: true });
    expect(await harness.rollout()).toMatchObject({ state: 'watching' });
    await harness.close();
  });

  it('pauses when no server reports any more, and goes on by itself when one does', async () => {
    const { harness, report } = await beginCanary();
    harness.clock.advance(61 * MINUTE);
    expect(await harness.advance()).toEqual({ didSomething: true });
    expect(await harness.rollout()).toMatchObject({
      state: 'paused',
      note: 'inconclusive: no model server has reported since the step was over; it goes on by itself when one has',
    });
    harness.clock.advance(60 * MINUTE);
    expect(await harness.advance()).toEqual({ didSomething: false });
    report({ champion: counts(6000), canary: counts(2000) });
    expect(await harness.advance()).toEqual({ didSomething: true });
    expect(await harness.rollout()).toMatchObject({ state: 'canary', step_started_at: harness.clock.now() });
    harness.clock.advance(10 * MINUTE);
    report({ champion: counts(6600), canary: counts(2200) });
    await harness.advance();
    expect(await harness.rollout()).toMatchObject({ state: 'watching' });
    await harness.close();
  });

  it('under the clock of events, pauses for few requests only on a report that came after the cap', async () => {
    const { harness, report } = await beginCanary({ isClockOfEvents: true, canary: 0 });
    // A day at once, by a report that was received before the clock moved.
    harness.clock.advance(24 * 60 * MINUTE);
    expect(await harness.advance()).toEqual({ didSomething: false });
    expect(await harness.rollout()).toMatchObject({ state: 'canary' });
    report({ champion: counts(6000) });
    expect(await harness.advance()).toEqual({ didSomething: true });
    expect(await harness.rollout()).toMatchObject({ state: 'paused' });
    await harness.close();
  });

  it("under the clock of events, passes a step by the clock's word", async () => {
    const { harness } = await beginCanary({ isClockOfEvents: true });
    harness.clock.advance(24 * 60 * MINUTE);
    expect(await harness.advance()).toEqual({ didSomething: true });
    expect(await harness.rollout()).toMatchObject({ state: 'watching' });
    await harness.close();
  });
});
