import { describe, expect, it } from 'vitest';
import { fc } from '../../tests/support/properties.ts';
import { createRandom } from '../platform/index.ts';
import {
  adjustBenjaminiHochberg,
  advanceSequence,
  benjaminiHochberg,
  dayVariance,
  evidenceOf,
  FRESH_SEQUENCE,
  isAlarm,
  ksOfCounts,
  psiOfCounts,
  type Sequence,
  testHomogeneity,
  testPerformance,
} from './index.ts';
import { widenedSurvival } from './test-homogeneity.ts';

/** The generator-free samples of Evidently's and NannyML's known answers. */
const uniform = (n: number, offset: number) =>
  Array.from({ length: n }, (_, i) => ((i + 1) * 0.6180339887498949 + offset) % 1);
const logit = (n: number, offset: number, loc = 0, scale = 1) =>
  uniform(n, offset).map((u) => loc + scale * Math.log(u / (1 - u)));
const small = { reference: logit(200, 0.1), current: logit(150, 0.37, 0.3, 1.2) };
const large = { reference: logit(5000, 0.1), current: logit(3000, 0.37, 0.1, 1.05) };

const reference = Float64Array.of(149, 76, 37, 19, 10, 9);
const current = Float64Array.of(109, 65, 35, 14, 10, 7);

/** Equal bins over both samples, as many as Sturges' rule says. */
function sturges(samples: { reference: number[]; current: number[] }): [Float64Array, Float64Array] {
  const both = [...samples.reference, ...samples.current];
  const low = Math.min(...both);
  const high = Math.max(...both);
  const bins = Math.ceil(Math.log2(both.length) + 1);
  const edges = Array.from({ length: bins + 1 }, (_, i) => low + (i * (high - low)) / bins);
  const count = (values: number[]) => {
    const counts = new Float64Array(bins);
    for (const value of values) counts[Math.min(bins, edges.filter((edge) => edge <= value).length) - 1]!++;
    return counts;
  };
  return [count(samples.reference), count(samples.current)];
}

describe('distances of counts', () => {
  it("agree with Evidently's PSI and NannyML's KS statistic", () => {
    expect(psiOfCounts(...sturges(small))).toBeCloseTo(0.07303428474689153, 11);
    expect(psiOfCounts(...sturges(large))).toBeCloseTo(0.0064135003328663, 11);
    expect(psiOfCounts(reference, current)).toBeCloseTo(0.011035392063113016, 11);
    for (const [samples, expected] of [
      [small, 0.09166666666666666],
      [large, 0.029666666666666668],
    ] as const) {
      const values = [...new Set([...samples.reference, ...samples.current])].sort((a, b) => a - b);
      const count = (sample: number[]) => {
        const present = new Set(sample);
        return Float64Array.from(values, (value) => (present.has(value) ? 1 : 0));
      };
      expect(ksOfCounts(count(samples.reference), count(samples.current))).toBeCloseTo(expected, 12);
    }
  });

  it('are finite for bins that one side does not have', () => {
    expect(psiOfCounts([1, 0, 3], [0, 0, 4])).toBeGreaterThan(0);
    expect(Number.isFinite(psiOfCounts([1, 0, 3], [0, 2, 4]))).toBe(true);
    expect(ksOfCounts([0, 0], [1, 2])).toBeNaN();
  });
});

describe('the homogeneity test', () => {
  it('is the textbook chi-square without day effects', () => {
    const { statistic, df, p, psi } = testHomogeneity(current, reference, 0);
    expect(statistic).toBeCloseTo(1.4743732007107186, 11);
    expect(p).toBeCloseTo(0.9160080589754983, 11);
    expect(df).toBe(5);
    expect(psi).toBeCloseTo(0.011035392063113016, 11);
  });

  it('integrates the widened null as scipy.integrate.quad does', () => {
    for (const [x, df, a, p] of [
      [12, 9, 1.5, 0.2513060263851565],
      [30, 9, 2.3, 0.004168706541176432],
      [4, 2, 1.2, 0.16221220518025165],
      [80, 9, 3, 1.323782367595722e-6],
      [0.5, 5, 10, 0.9974273742391178],
      [400, 9, 60, 0.010594868652249966],
      [60, 3, 1.0001, 5.88401887542995e-13],
      [520, 499, 1.7, 0.25656983086070967],
      [700, 499, 4, 3.1186231767730265e-8],
      [18, 8, 1, 0.021226486302908878],
      [300, 99, 30, 0.00981070254657554],
    ] as const) {
      expect(Math.abs(widenedSurvival(x, df, a) / p - 1)).toBeLessThan(1e-6);
    }
  });

  it('is never surer with larger day effects, and stays within 1e-12 and 1', () => {
    const counts = fc.array(fc.nat(300), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(counts, counts, fc.double({ min: 0, max: 1, noNaN: true }), (a, b, s2) => {
        const [window, total] = [Float64Array.from(a), Float64Array.from(b)];
        const sure = testHomogeneity(window, total, 0).p;
        const { p } = testHomogeneity(window, total, s2);
        expect(p).toBeGreaterThanOrEqual(Math.min(sure, 1) - 1e-9);
        expect(p).toBeLessThanOrEqual(1);
        expect(p).toBeGreaterThanOrEqual(1e-12);
      }),
    );
    expect(testHomogeneity(Float64Array.of(1000, 0), Float64Array.of(0, 1e6), 0).p).toBe(1e-12);
    expect(testHomogeneity(new Float64Array(3), Float64Array.of(1, 2, 3), 0).p).toBe(1);
    expect(testHomogeneity(Float64Array.of(5, 0), Float64Array.of(9, 0), 0)).toMatchObject({ df: 0, p: 1 });
  });

  it('has p-values that are uniform when nothing differs', () => {
    const random = createRandom(4);
    const draw = (rows: number) => {
      const counts = new Float64Array(10);
      for (let i = 0; i < rows; i++) counts[Math.floor(random() * 10)]!++;
      return counts;
    };
    const total = draw(20_000);
    const ps = Array.from({ length: 2000 }, () => testHomogeneity(draw(500), total, 0).p);
    for (const level of [0.01, 0.1, 0.5]) {
      const share = ps.filter((p) => p <= level).length / ps.length;
      expect(Math.abs(share - level)).toBeLessThan(4 * Math.sqrt((level * (1 - level)) / ps.length));
    }
  });
});

describe('the variance between days', () => {
  const random = createRandom(9);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

  /** Windows of a normal column with a shift of each day, in ten bins. */
  function windowsOf(days: number, rows: number, effect: number) {
    const windows = Array.from({ length: days }, () => {
      const counts = new Float64Array(10);
      const shift = effect * normal();
      for (let i = 0; i < rows; i++) {
        counts[Math.max(0, Math.min(9, Math.floor((shift + normal() + 2) * 2.5)))]!++;
      }
      return counts;
    });
    const total = new Float64Array(10);
    for (const window of windows) for (let i = 0; i < 10; i++) total[i]! += window[i]!;
    return { windows, total };
  }

  it('is its floor without day effects, and twice their variance with them', () => {
    for (const rows of [100, 500]) {
      const { windows, total } = windowsOf(400, rows, 0);
      expect(dayVariance(windows, total)).toBe(0.0026);
    }
    const { windows, total } = windowsOf(400, 500, 0.3);
    const variance = dayVariance(windows, total);
    expect(variance).toBeGreaterThan(2 * 0.3 ** 2 * 0.75);
    expect(variance).toBeLessThan(2 * 0.3 ** 2 * 1.3);
  });

  it('is its floor when there is nothing to compare', () => {
    expect(dayVariance([], new Float64Array(3))).toBe(0.0026);
    const only = Float64Array.of(4, 5, 6);
    expect(dayVariance([only], only)).toBe(0.0026);
  });
});

describe('the sequence of evidence', () => {
  it('has the e-value of a mixture: mean 1 under the null, 1/2 where p is 1', () => {
    expect(evidenceOf(1)).toBe(0.5);
    expect(evidenceOf(0.999)).toBeCloseTo(0.500166791, 8);
    expect(evidenceOf(0.05)).toBeCloseTo(
      (1 - 0.05 + 0.05 * Math.log(0.05)) / (0.05 * Math.log(0.05) ** 2),
      12,
    );
    expect(evidenceOf(0)).toBe(evidenceOf(1e-12));
    // The mean by the substitution p = exp(−u), because most of it lies at very small p; what is left beyond u is 1/u.
    let mean = 0;
    for (let u = 0.0005; u < 27.6; u += 0.001) mean += evidenceOf(Math.exp(-u)) * Math.exp(-u) * 0.001;
    expect(mean + 1 / 27.6).toBeCloseTo(1, 2);
  });

  it('is (M + 1)·e at every step, and overflows never', () => {
    let state: Sequence = FRESH_SEQUENCE;
    let m = 0;
    for (const p of [0.4, 0.01, 0.9, 1, 0.2, 0.0003]) {
      state = advanceSequence(state, p);
      m = (m + 1) * evidenceOf(p);
      expect(Math.exp(state.logM)).toBeCloseTo(m, 6);
    }
    expect(state.runs).toBe(6);
    expect(advanceSequence(state, Number.NaN)).toBe(state);
    for (let i = 0; i < 1000; i++) state = advanceSequence(state, 0);
    expect(state.logM).toBeGreaterThan(1000);
    expect(Number.isFinite(state.logM)).toBe(true);
  });

  it('alarms at the tests times the run length, and so never from one window of one row', () => {
    expect(isAlarm({ logM: Math.log(62_000), runs: 1 }, 62)).toBe(true);
    expect(isAlarm({ logM: Math.log(61_999), runs: 1 }, 62)).toBe(false);
    expect(isAlarm(advanceSequence(FRESH_SEQUENCE, 1e-12), 62)).toBe(true);
    expect(isAlarm(advanceSequence(FRESH_SEQUENCE, 1e-4), 62)).toBe(false);
  });

  it('runs a thousand windows and more to a false alarm', () => {
    const random = createRandom(11);
    let windows = 0;
    const runs = 200;
    for (let run = 0; run < runs; run++) {
      let state: Sequence = FRESH_SEQUENCE;
      for (; !isAlarm(state, 1, 100) && state.runs < 2000; windows++)
        state = advanceSequence(state, random());
    }
    expect(windows / runs).toBeGreaterThan(100);
  });
});

describe('the performance test', () => {
  const skills = [0.81, 0.8, 0.79, 0.83, 0.82, 0.78, 0.8, 0.81, 0.79, 0.805];

  it("agrees with scipy's t", () => {
    for (const [value, p] of [
      [0.8, 0.4139851048477444],
      [0.74, 0.001423240467774949],
      [0.6, 1.9315474599877187e-7],
      [0.9, 0.9999174813268695],
    ] as const) {
      expect(Math.abs(testPerformance(skills, value).p / p - 1)).toBeLessThan(1e-9);
    }
    expect(testPerformance(skills, 0.8)).toMatchObject({ k: 10 });
  });

  it('grants windows that agree exactly a little, and knows nothing of one window', () => {
    const same = Array.from({ length: 12 }, () => 0.9);
    expect(testPerformance(same, 0.8995).p).toBeGreaterThan(0.2);
    expect(testPerformance(same, 0.5).p).toBe(1e-12);
    expect(testPerformance([0.9], 0.1).p).toBeNaN();
  });
});

describe('many tests at once', () => {
  const ps = [0.001, 0.013, 0.02, 0.04, 0.9, 0.03, Number.NaN];

  it('reject by Benjamini and Hochberg what scipy.stats.false_discovery_control does', () => {
    expect(benjaminiHochberg(ps, 0.05)).toEqual([true, true, true, true, false, true, false]);
    expect(benjaminiHochberg(ps, 0.04)).toEqual([true, true, true, false, false, false, false]);
    expect(benjaminiHochberg([], 0.05)).toEqual([]);
    // Rejected at q is adjusted to q or less; R: p.adjust(c(.01, .02, .03, .5), "BH").
    for (const q of [0.04, 0.05])
      expect(adjustBenjaminiHochberg(ps).map((p) => p <= q)).toEqual(benjaminiHochberg(ps, q));
    const adjusted = adjustBenjaminiHochberg([0.5, 0.01, Number.NaN, 0.03, 0.02]);
    expect(adjusted.map((p) => p.toFixed(12))).toEqual(
      [0.5, 0.04, Number.NaN, 0.04, 0.04].map((p) => p.toFixed(12)),
    );
  });
});
