import { expect, it } from 'vitest';
import { describeDatabases, silentLogger } from '../../../tests/support/index.ts';
import {
  createLogFixture,
  DAY_MS,
  idOf,
  predictionLine,
  range,
  START,
} from '../../../tests/support/log-fixture.ts';
import { registerWatched } from '../../../tests/support/watched-model.ts';
import { createMetrics } from '../../platform/index.ts';
import { createMonitoring } from '../create-monitoring.ts';
import type { DecomposedChange } from '../drift/decompose-change.ts';
import { monitorPolicySchema } from '../monitor-policy.ts';

const HOUR_MS = 3_600_000;
const ROWS_A_DAY = 120;
const DAYS = 14;
/** From this day on flights to San Francisco end otherwise than the model says. */
const CHANGED = 12;

describeDatabases('performance of what was served', (openDatabase) => {
  it('is measured from the prediction log, alarms, and is taken apart by segments', async () => {
    const database = await openDatabase();
    await registerWatched(database, 'flights', 1);
    const { log, ship, clock } = createLogFixture(database);
    clock.advance(START - clock.now());
    const policy = monitorPolicySchema.parse({
      drift: 'off',
      window: { rows: 100 },
      performance: { metric: 'accuracy' },
      segments: ['destination'],
    });
    const monitoring = createMonitoring({
      database,
      clock,
      logger: silentLogger,
      metrics: createMetrics(),
      files: { referencePath: async () => undefined },
      log,
      policyOf: async () => policy,
      settleMs: 0,
    });
    const timeOf = (i: number) => START + Math.floor(i / ROWS_A_DAY) * DAY_MS + (i % ROWS_A_DAY) * 60_000;
    const rows = range(0, DAYS * ROWS_A_DAY);
    await ship(
      'predictions',
      rows.map((i) => predictionLine(i, { t: timeOf(i) })),
    );
    await ship(
      'feedback',
      rows.map((i) => {
        const { p, f } = predictionLine(i);
        const isWrong =
          i % 10 === 0 || (i >= CHANGED * ROWS_A_DAY && f['destination'] === 'SFO' && i % 3 > 0);
        return {
          id: idOf(i),
          m: 'flights',
          y: isWrong ? !p : p,
          t: timeOf(i) + DAY_MS,
          at: timeOf(i) + DAY_MS,
        };
      }),
    );
    await monitoring.takeReport(
      { replica: 'a', incarnation: 'i1' },
      {
        watermark: null,
        dropped: 0,
        entries: range(0, DAYS).map((day) => ({
          model: 'flights',
          version: '1',
          variant: 'champion',
          hour: START + day * DAY_MS,
          segment: '',
          part: 0,
          answered: ROWS_A_DAY,
          failed: 0,
          latency: Array.from({ length: 17 }, () => 0),
        })),
      },
    );
    clock.advance((DAYS + 1) * DAY_MS + HOUR_MS);
    await monitoring.advance();
    await monitoring.stop();

    const windows = await monitoring.windows('flights');
    expect(windows).toHaveLength(DAYS);
    expect(windows.at(-1)).toMatchObject({
      from: START,
      state: 'off',
      performanceState: 'reference',
      performance: { metric: 'accuracy', rows: ROWS_A_DAY, labelled: ROWS_A_DAY, value: 0.9, skill: 0.9 },
    });
    const [alarm, ...others] = await monitoring.alarms();
    expect(others).toEqual([]);
    expect(alarm).toMatchObject({
      kind: 'performance',
      window: { from: START + CHANGED * DAY_MS },
      evidence: { metric: 'accuracy' },
    });
    const { destination } = alarm!.evidence['segments'] as Record<string, { of: string } & DecomposedChange>;
    expect(destination).toMatchObject({
      of: 'share of wrong answers',
      segments: [{ segment: 'SFO' }, { segment: 'LAX' }],
    });
    expect(destination!.behaviour).toBeGreaterThan(0.2);
    expect(destination!.mix).toBeCloseTo(0, 9);
    expect(destination!.before).toBeCloseTo(0.1, 9);
  });
});
