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
  async function beginCanary() {
    let traffic: Record<string, VariantCounts> = { champion: counts(600), canary: counts(200) };
    let reportedAt: number | undefined = NOW + MINUTE;
    const harness = await createDeliveryHarness(await openDatabase(), {
      policyOf: () => ({ gate: {}, rollout: { canary: [25, 100], stepFor: '10m', maxStepFor: '1h' } }),
      variantCounts: async () => trafficOf(traffic),
      reportedAt: async () => reportedAt,
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

  it('pauses and asks when no server reports any more', async () => {
    const { harness } = await beginCanary();
    harness.clock.advance(61 * MINUTE);
    expect(await harness.advance()).toEqual({ didSomething: true });
    expect(await harness.rollout()).toMatchObject({
      state: 'paused',
      note: 'inconclusive: no model server has reported since the step was over',
    });
    await harness.close();
  });
});
