import { describe, expect, it } from 'vitest';
import { fc } from '../../../tests/support/properties.ts';
import { createRandom } from '../../platform/index.ts';
import { accuracy, confusionMatrix } from '../count-classes.ts';
import { mae, rmse } from '../measure-errors.ts';
import { rocAuc } from '../rank-scores.ts';
import { brier, logLoss, mostProbableClass } from '../score-probabilities.ts';
import { countWins } from './count-wins.ts';
import { delong } from './delong.ts';
import { judgePaired, lookAlpha } from './judge-paired.ts';
import { mcnemar } from './mcnemar.ts';
import { indexClusters, type PairedMetric, type PairedScores } from './paired-scores.ts';

/** Scores whose mean absolute errors differ by the given values, one row a cluster. */
function differing(values: number[]): PairedScores {
  return {
    task: 'regression',
    labels: new Float64Array(values.length),
    champion: Float64Array.from(values, (value) => Math.max(0, value)),
    challenger: Float64Array.from(values, (value) => Math.max(0, -value)),
    clusters: Int32Array.from(values, (_, i) => 100 - i),
  };
}

/** Two models of two classes; the challenger's probabilities are the champion's with noise of its own. */
function binaryScores(rows: number, clusters: number, seed = 3): PairedScores {
  const random = createRandom(seed);
  const labels = new Int32Array(rows);
  const champion = new Float32Array(rows * 2);
  const challenger = new Float32Array(rows * 2);
  const days = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    const truth = random();
    labels[row] = random() < truth ? 1 : 0;
    for (const answers of [champion, challenger]) {
      const p = Math.round(Math.min(0.99, Math.max(0.01, truth + (random() - 0.5) * 0.6)) * 50) / 50;
      answers.set([1 - p, p], row * 2);
    }
    days[row] = Math.floor(random() * clusters) * 86_400;
  }
  return { task: 'binary', classes: 2, labels, champion, challenger, clusters: days };
}

const many = Array.from({ length: 60 }, (_, i) => (((i * 7919) % 101) / 101) ** 3 - 0.2);
const skewed = many.slice(0, 30);
const ask = { metric: 'mae', alpha: 0.05, delta: 0.01, seed: 1 } as const;

describe('the interval', () => {
  it("is Student's t on the clusters' own differences under 50 clusters, as scipy has it, or wider", () => {
    const judged = judgePaired(differing(skewed.slice(0, 7)), { ...ask, bootstrap: 1 });
    expect(judged).toMatchObject({ method: 't', clusters: 7, rows: 7 });
    expect(judged.estimate).toBeCloseTo(-0.0660315217175785, 10);
    expect(judged.lo).toBeCloseTo(-0.21016425057123062, 9);
    expect(judged.hi).toBeCloseTo(0.0781012071360736, 9);
    const wider = judgePaired(differing(skewed.slice(0, 7)), ask);
    expect(wider.lo).toBeLessThanOrEqual(judged.lo + 1e-12);
    expect(wider.hi).toBeGreaterThan(judged.hi);
  });

  it('is wider on the side on which rare clusters may hide, and there only', () => {
    const rareBadDays = [0.02, 0.03, 0.02, 0.04, 0.03, 0.02, -0.2, 0.03, 0.02];
    const reach = ({ lo, hi, estimate }: { lo: number; hi: number; estimate: number }) => [
      estimate - lo,
      hi - estimate,
    ];
    const [t] = reach(judgePaired(differing(rareBadDays), { ...ask, bootstrap: 1 }));
    const [below, above] = reach(judgePaired(differing(rareBadDays), ask));
    expect(below).toBeGreaterThan(1.5 * t!);
    expect(above).toBeCloseTo(t!, 12);
  });

  it('is BCa from 50 clusters on, as scipy.stats.bootstrap has it', () => {
    const judged = judgePaired(differing(many), { ...ask, bootstrap: 200_000 });
    expect(judged.method).toBe('bca');
    expect(judged.estimate).toBeCloseTo(0.04490191054200018, 10);
    expect(Math.abs(judged.lo - -0.009965304147510552)).toBeLessThan(0.001);
    expect(Math.abs(judged.hi - 0.10999690312272624)).toBeLessThan(0.001);
    const surer = judgePaired(differing(many), { ...ask, alpha: 0.01, bootstrap: 200_000 });
    expect(Math.abs(surer.lo - -0.030491208098785375)).toBeLessThan(0.0015);
    expect(Math.abs(surer.hi - 0.1396804183643246)).toBeLessThan(0.002);
  });

  it('is the same for the same seed, and hardly another for another', () => {
    const scores = binaryScores(3000, 60);
    const options = { metric: 'log_loss', alpha: 0.05, delta: 0, seed: 5 } as const;
    const judged = judgePaired(scores, options);
    expect(judgePaired(scores, options)).toEqual(judged);
    const other = judgePaired(scores, { ...options, seed: 6 });
    expect(other.lo).not.toBe(judged.lo);
    expect(Math.abs(other.lo - judged.lo)).toBeLessThan((judged.hi - judged.lo) * 0.1);
  });

  it('takes more resamples for a smaller alpha, so that its bounds do not end at the outermost one', () => {
    const scores = differing(Array.from({ length: 60 }, (_, i) => Math.sin(i * 12.9898)));
    const bounds = [0.05, 0.01, 0.001].map((alpha) => judgePaired(scores, { ...ask, alpha }).lo);
    expect(bounds[0]! > bounds[1]! && bounds[1]! > bounds[2]!).toBe(true);
  });

  it('goes on beyond the resamples that it takes at most, for the alpha of a late look', () => {
    for (const clusters of [30, 60]) {
      const scores = differing(many.slice(0, clusters));
      const judge = (alpha: number, bootstrap?: number) =>
        judgePaired(scores, { ...ask, alpha, delta: 1, ...(bootstrap && { bootstrap }) });
      const begun = performance.now();
      const [at4, at5, at6, at9] = [1e-4, 1e-5, 1e-6, 1e-9].map((alpha) => judge(alpha));
      // Each of the last two would have taken minutes with 100/alpha resamples.
      expect(performance.now() - begun).toBeLessThan(30_000);
      expect(at4!.lo > at5!.lo && at5!.lo > at6!.lo && at6!.lo > at9!.lo).toBe(true);
      expect(at4!.hi < at5!.hi && at5!.hi < at6!.hi && at6!.hi < at9!.hi).toBe(true);
      const exact = judge(1e-4, 1_000_000);
      const reach = exact.estimate - exact.lo;
      expect(Math.abs(at4!.lo - exact.lo)).toBeLessThan(0.1 * reach);
    }
  });

  it('decides by every resample where t does, and shows the wider interval where it does not', () => {
    const scores = differing(skewed.slice(0, 7));
    const inconclusive = judgePaired(scores, { ...ask, alpha: 0.001 });
    const byT = judgePaired(scores, { ...ask, alpha: 0.001, bootstrap: 1 });
    expect(inconclusive.verdict).toBe('inconclusive');
    expect(inconclusive).toEqual(judgePaired(scores, { ...ask, alpha: 0.001, bootstrap: 2000 }));
    expect(inconclusive.lo).toBeLessThanOrEqual(byT.lo);
    const decided = judgePaired(scores, { ...ask, alpha: 0.001, delta: 5 });
    expect(decided.verdict).toBe('non-inferior');
    expect(decided).toEqual(judgePaired(scores, { ...ask, alpha: 0.001, delta: 5, bootstrap: 100_000 }));
  });

  it('has both infinite bounds of one cluster, and decides nothing', () => {
    const judged = judgePaired(differing([0.5]), ask);
    expect(judged).toMatchObject({
      verdict: 'inconclusive',
      estimate: 0.5,
      lo: Number.NEGATIVE_INFINITY,
      hi: Number.POSITIVE_INFINITY,
    });
    expect(judged.needClusters).toBeUndefined();
    expect(judgePaired(differing([]), ask).verdict).toBe('inconclusive');
  });
});

describe('the metrics', () => {
  it('are those that are reported, whatever the clusters', () => {
    const scores = binaryScores(500, 12);
    const { labels, champion, challenger } = scores;
    const reported: Record<string, (answers: ArrayLike<number>) => number> = {
      log_loss: (answers) => logLoss(labels, answers, 2),
      brier: (answers) => brier(labels, answers, 2),
      accuracy: (answers) => accuracy(confusionMatrix(labels, mostProbableClass(answers, 2), 2)),
      roc_auc: (answers) =>
        rocAuc(
          labels,
          Array.from(answers).filter((_, i) => i % 2 === 1),
        ),
    };
    for (const [metric, measure] of Object.entries(reported)) {
      const judged = judgePaired(scores, { ...ask, metric: metric as PairedMetric });
      expect(judged.champion).toBeCloseTo(measure(champion), 6);
      expect(judged.challenger).toBeCloseTo(measure(challenger), 6);
    }
    const values = { ...scores, task: 'regression', champion: new Float32Array(500) } as const;
    const regression = { ...values, challenger: champion.subarray(0, 500) };
    expect(judgePaired(regression, { ...ask, metric: 'rmse' }).challenger).toBeCloseTo(
      rmse(labels, regression.challenger),
      9,
    );
    expect(judgePaired(regression, ask).champion).toBeCloseTo(mae(labels, regression.champion), 9);
  });

  it('are of three classes too', () => {
    const random = createRandom(8);
    const rows = 300;
    const draw = () => {
      const answers = Float32Array.from({ length: rows * 3 }, () => random() + 0.01);
      for (let i = 0; i < rows; i++) {
        const sum = answers[i * 3]! + answers[i * 3 + 1]! + answers[i * 3 + 2]!;
        for (let k = 0; k < 3; k++) answers[i * 3 + k]! /= sum;
      }
      return answers;
    };
    const scores: PairedScores = {
      task: 'multiclass',
      classes: 3,
      labels: Int32Array.from({ length: rows }, () => Math.floor(random() * 3)),
      champion: draw(),
      challenger: draw(),
      clusters: Int32Array.from({ length: rows }, (_, i) => i % 25),
    };
    expect(judgePaired(scores, { ...ask, metric: 'log_loss' }).champion).toBeCloseTo(
      logLoss(scores.labels, scores.champion, 3),
      9,
    );
    expect(judgePaired(scores, { ...ask, metric: 'brier' }).challenger).toBeCloseTo(
      brier(scores.labels, scores.challenger, 3),
      9,
    );
  });

  it('have positive differences when the challenger is better, in each', () => {
    const scores = binaryScores(2000, 10);
    const perfect = new Float32Array(scores.champion.length);
    for (const [row, label] of scores.labels.entries()) perfect[row * 2 + label] = 1;
    for (const metric of ['log_loss', 'brier', 'accuracy', 'roc_auc'] as const) {
      const judged = judgePaired({ ...scores, challenger: perfect }, { ...ask, metric });
      expect(judged.verdict).toBe('better');
      expect(judgePaired({ ...scores, champion: perfect }, { ...ask, metric }).verdict).toBe('worse');
    }
  });

  it('count the AUC of resampled clusters as an AUC of weighted rows does', () => {
    const arbitrary = fc.array(
      fc.record({
        label: fc.nat(1),
        a: fc.nat(5),
        b: fc.nat(5),
        cluster: fc.nat(3),
      }),
      { minLength: 1, maxLength: 40 },
    );
    const taken = fc.array(fc.nat(3), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(arbitrary, taken, (rows, times) => {
        const answers = (scores: number[]) =>
          Float64Array.from(scores.flatMap((score) => [5 - score, score]));
        const labels = Int32Array.from(rows, ({ label }) => label);
        const index = indexClusters(Int32Array.from(rows, ({ cluster }) => cluster));
        const statistic = countWins(
          {
            task: 'binary',
            labels,
            champion: answers(rows.map(({ a }) => a)),
            challenger: answers(rows.map(({ b }) => b)),
            clusters: index.of,
          },
          index,
        );
        const weights = Float64Array.from(times.slice(0, index.count));
        const weightOf = Array.from(index.of, (cluster) => weights[cluster]!);
        const auc = (scores: number[]) => rocAuc(labels, scores, weightOf);
        const expected = auc(rows.map(({ b }) => b)) - auc(rows.map(({ a }) => a));
        const actual = statistic.difference(weights);
        if (Number.isNaN(expected)) expect(actual).toBeNaN();
        else expect(actual).toBeCloseTo(expected, 9);
      }),
    );
  });

  it('judge the AUC of few clusters by those that have both classes', () => {
    const scores = binaryScores(400, 6);
    for (const [row, cluster] of scores.clusters.entries()) if (cluster === 0) scores.labels[row] = 1;
    const judged = judgePaired(scores, { ...ask, metric: 'roc_auc' });
    expect(judged).toMatchObject({ method: 't', clusters: 5, rows: 400 });
  });
});

describe('the verdict', () => {
  const near = (mean: number) =>
    differing([-1, 1, -2, 2, -1.5, 1.5, 0, 0.5, -0.5].map((x) => mean + x / 100));

  it('is one of four, by where the interval lies', () => {
    expect(judgePaired(near(0.1), ask).verdict).toBe('better');
    expect(judgePaired(near(0.002), { ...ask, delta: 0.02 }).verdict).toBe('non-inferior');
    expect(judgePaired(near(-0.1), ask).verdict).toBe('worse');
    expect(judgePaired(near(0), { ...ask, delta: 0 }).verdict).toBe('inconclusive');
  });

  it('is non-inferior for the same answers under a margin, and inconclusive without one', () => {
    for (const clusters of [7, 60]) {
      const scores = binaryScores(1000, clusters);
      const same = { ...scores, challenger: scores.champion };
      for (const metric of ['log_loss', 'roc_auc'] as const) {
        expect(judgePaired(same, { ...ask, metric }).verdict).toBe('non-inferior');
        expect(judgePaired(same, { ...ask, metric, delta: 0 }).verdict).toBe('inconclusive');
      }
    }
  });

  it('says how many more clusters would decide, and that many do', () => {
    const pattern = [-3, 4, -2, 5, -4, 3, 1, 0];
    const values = (times: number) =>
      Array.from({ length: times * 8 }, (_, i) => 0.006 + pattern[i % 8]! / 50);
    const judged = judgePaired(differing(values(1)), ask);
    expect(judged.verdict).toBe('inconclusive');
    const total = 8 + judged.needClusters!;
    expect(total).toBeGreaterThan(15);
    expect(judgePaired(differing(values(Math.ceil(total / 8) + 1)), ask).verdict).not.toBe('inconclusive');
    expect(judgePaired(differing(values(Math.floor(total / 16))), ask).verdict).toBe('inconclusive');
  });

  it('is refused when arrays or metric do not fit', () => {
    const scores = binaryScores(50, 5);
    expect(() => judgePaired({ ...scores, champion: new Float32Array(3) }, ask)).toThrow(
      /champion has 3 values for 50 rows, 100 would be right/,
    );
    expect(() => judgePaired(scores, ask)).toThrow(/the metric mae does not fit the task binary/);
    expect(() => judgePaired(differing([1, 2]), { ...ask, metric: 'roc_auc' })).toThrow(/does not fit/);
    expect(() => judgePaired(differing([1, 2]), { ...ask, alpha: 5 })).toThrow(/alpha is 5/);
    expect(() => judgePaired(differing([1, 2]), { ...ask, delta: -1 })).toThrow(/delta is -1/);
  });
});

describe('the looks at one evaluation set', () => {
  it('spend no more than alpha together', () => {
    let spent = 0;
    for (let k = 1; k <= 100_000; k++) spent += lookAlpha(0.05, k);
    expect(spent).toBeLessThan(0.05);
    expect(spent).toBeGreaterThan(0.0499);
    expect(lookAlpha(0.05, 1)).toBeCloseTo(0.0304, 4);
  });
});

describe('what is shown beside', () => {
  const uniform = (n: number, offset: number, step = 0.6180339887498949) =>
    Array.from({ length: n }, (_, i) => ((i + 1) * step + offset) % 1);
  const labels = Int32Array.from(uniform(60, 0.2), (u) => (u < 0.4 ? 1 : 0));
  const round = (value: number) => Math.round(value * 10) / 10;
  const answers = (scores: number[]) => Float64Array.from(scores.flatMap((score) => [1 - score, score]));
  const scores: PairedScores = {
    task: 'binary',
    labels,
    champion: answers(uniform(60, 0.5, Math.sqrt(2)).map((u, i) => round(u * 0.6 + labels[i]! * 0.3))),
    challenger: answers(uniform(60, 0.1, Math.sqrt(3)).map((u, i) => round(u * 0.7 + labels[i]! * 0.35))),
    clusters: new Int32Array(60),
  };

  it("is DeLong's test, as by the covariance of all pairs", () => {
    const test = delong(scores);
    expect(test.champion).toBeCloseTo(0.8778935185185185, 12);
    expect(test.challenger).toBeCloseTo(0.8807870370370371, 12);
    expect(test.standardError).toBeCloseTo(0.05421695463177862, 12);
    expect(test.p).toBeCloseTo(0.9574377006353529, 11);
    expect(delong({ ...scores, challenger: scores.champion }).p).toBe(1);
  });

  it("is McNemar's exact test, as scipy.stats.binomtest has it", () => {
    const right = (pattern: number[]) =>
      answers(pattern.map((isRight, i) => ((labels[i] === 1) === (isRight === 1) ? 0.9 : 0.1)));
    const pattern = (championOnly: number, challengerOnly: number): PairedScores => ({
      ...scores,
      champion: right(Array.from({ length: 60 }, (_, i) => (i < championOnly ? 1 : 0))),
      challenger: right(
        Array.from({ length: 60 }, (_, i) =>
          i >= championOnly && i < championOnly + challengerOnly ? 1 : 0,
        ),
      ),
    });
    expect(mcnemar(pattern(9, 15))).toMatchObject({ onlyChampionRight: 9, onlyChallengerRight: 15 });
    expect(mcnemar(pattern(9, 15)).p).toBeCloseTo(0.30745625495910645, 11);
    expect(mcnemar(pattern(3, 0)).p).toBeCloseTo(0.25, 11);
    expect(mcnemar(pattern(0, 0)).p).toBe(1);
  });
});
