import { describe, expect, it } from 'vitest';
import { measurePromotions } from '../benchmarks/simulations/measure-promotions.ts';
import { quantileOfDelays, watchDataSets } from '../benchmarks/simulations/watch-data-sets.ts';

// Small and with fixed seeds; benchmarks/false-alarms.ts and benchmarks/wrong-promotions.ts are the measurements.
const watched = { rowsPerWindow: 500, referenceWindows: 40, effects: 'normal' } as const;

describe('the drift alarm, simulated', () => {
  it('is silent while only the days differ', () => {
    for (const effect of [0, 0.1]) {
      const result = watchDataSets({ ...watched, dataSets: 2, windows: 40, effect, seed: 7 });
      expect(result).toMatchObject({ windows: 80, tests: 62, windowsWithAlarm: 0 });
    }
  });

  it('finds a shift of half a standard deviation within three windows, beside the effects of days', () => {
    const { delays } = watchDataSets({
      ...watched,
      dataSets: 2,
      windows: 5,
      effect: 0.05,
      seed: 8,
      shift: 0.5,
    });
    expect(delays.length).toBe(30);
    expect(quantileOfDelays(delays, 0.95)).toBeLessThanOrEqual(3);
  });

  it('would cry wolf if it took rows as all that varies', () => {
    const { windowsWithAlarm } = watchDataSets({
      ...watched,
      dataSets: 2,
      windows: 40,
      effect: 0.2,
      seed: 9,
      referenceEffect: 0,
    });
    expect(windowsWithAlarm).toBeGreaterThan(10);
  });
});

describe('the gate, simulated', () => {
  it('promotes a challenger that is worse by the margin no more often than it may', () => {
    for (const shape of ['symmetric', 'skewed, rare bad days'] as const) {
      const results = measurePromotions({ shape, days: [7, 50], looks: [1], rounds: 150, seed: 3 });
      expect(results.map(({ method }) => method)).toEqual(['t', 'bca']);
      for (const { promoted, alpha } of results) {
        expect(promoted).toBeLessThanOrEqual(alpha + 3 * Math.sqrt((alpha * (1 - alpha)) / 150));
      }
    }
  });
});
