import { describe, expect, it } from 'vitest';
import { compareLosses } from './compare-losses.ts';
import type { ScoredModel } from './score-model.ts';

function scored(name: 'log_loss' | 'rmse', losses: number[]): ScoredModel {
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  const value = name === 'rmse' ? Math.sqrt(mean) : mean;
  return {
    metrics: {},
    report: {},
    primary: { name, value },
    losses: Float64Array.from(losses),
    rows: losses.length,
  };
}

describe('the comparison of champion and challenger', () => {
  it('gives the difference of the metric and its standard error from the paired losses', () => {
    const comparison = compareLosses(
      scored('log_loss', [0.1, 0.3, 0.2, 0.4]),
      scored('log_loss', [0.2, 0.3, 0.4, 0.5]),
    );
    expect(comparison).toMatchObject({ metric: 'log_loss', rows: 4, verdict: 'not worse' });
    expect(comparison.difference).toBeCloseTo(-0.1, 12);
    // sd of (-0.1, 0, -0.2, -0.1) is 0.0816497, over the root of 4 rows
    expect(comparison.standardError).toBeCloseTo(0.0408248, 6);
  });

  it('gives the difference of RMSEs exactly, in their unit', () => {
    const comparison = compareLosses(scored('rmse', [4, 4]), scored('rmse', [9, 9]));
    expect(comparison).toMatchObject({ challenger: 2, champion: 3, standardError: 0, verdict: 'not worse' });
    expect(comparison.difference).toBeCloseTo(-1, 12);
  });

  it('tolerates a thousandth of the metric and no more', () => {
    const champion = scored('log_loss', [1, 1]);
    expect(compareLosses(scored('log_loss', [1.0009, 1.0009]), champion).verdict).toBe('not worse');
    expect(compareLosses(scored('log_loss', [1.0011, 1.0011]), champion).verdict).toBe('worse');
  });

  it('takes equal and perfect models as not worse, and what is not a number as worse', () => {
    expect(compareLosses(scored('rmse', [0, 0]), scored('rmse', [0, 0])).verdict).toBe('not worse');
    expect(compareLosses(scored('rmse', [Number.NaN, 1]), scored('rmse', [1, 1])).verdict).toBe('worse');
  });
});
