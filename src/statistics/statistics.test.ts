import { describe, expect, it } from 'vitest';
import { fc } from '../../tests/support/properties.ts';
import {
  accuracy,
  baseRates,
  brier,
  classificationReport,
  confusionMatrix,
  logLoss,
  macroAuc,
  mae,
  mostProbableClass,
  perClass,
  r2,
  regressionReport,
  rmse,
  rocAuc,
} from './index.ts';

// Every expected number was computed once by scikit-learn 1.9.1 on the same rows.
const labels = [0, 1, 1, 0, 1, 0, 0, 1, 1, 0];
const scores = [0.1, 0.8, 0.4, 0.4, 0.9, 0.4, 0.2, 0.6, 0.4, 0.7];
const weights = [1, 2, 0.5, 1, 3, 1, 0.25, 1, 2, 0.5];
const binary = scores.flatMap((score) => [1 - score, score]);

const classOf = [0, 1, 2, 2, 1, 0, 1, 2, 0, 2];
const threeWay = [
  0.7, 0.2, 0.1, 0.3, 0.5, 0.2, 0.1, 0.3, 0.6, 0.2, 0.5, 0.3, 0.25, 0.5, 0.25, 0.4, 0.35, 0.25, 0.5, 0.3, 0.2,
  0.1, 0.1, 0.8, 0.3, 0.4, 0.3, 0.2, 0.2, 0.6,
];

describe('scores of two classes', () => {
  it('agree with scikit-learn, with ties and with weights', () => {
    expect(rocAuc(labels, scores)).toBeCloseTo(0.8, 12);
    expect(rocAuc(labels, scores, weights)).toBeCloseTo(0.8666666666666668, 12);
    expect(logLoss(labels, binary, 2)).toBeCloseTo(0.522603927331629, 12);
    expect(logLoss(labels, binary, 2, weights)).toBeCloseTo(0.43662899234568203, 12);
    expect(brier(labels, binary, 2)).toBeCloseTo(0.179, 12);
    expect(brier(labels, binary, 2, weights)).toBeCloseTo(0.14326530612244898, 12);
  });

  it('give no AUC where one class is absent', () => {
    expect(rocAuc([1, 1], [0.2, 0.3])).toBeNaN();
    expect(rocAuc([0, 0], [0.2, 0.3], [1, 1])).toBeNaN();
    expect(classificationReport([1, 1], [0.5, 0.5, 0.2, 0.8], ['no', 'yes']).metrics.roc_auc).toBeNull();
  });

  it('keep a sure and wrong row finite', () => {
    expect(logLoss([1], [1, 0], 2)).toBeCloseTo(34.538776, 5);
  });

  it('count an AUC as the pairwise comparison does', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            label: fc.boolean(),
            score: fc.integer({ min: 0, max: 6 }),
            weight: fc.integer({ min: 1, max: 4 }),
          }),
          { minLength: 2 },
        ),
        (rows) => {
          const label = rows.map((row) => Number(row.label));
          const score = rows.map((row) => row.score);
          for (const weight of [undefined, rows.map((row) => row.weight)]) {
            let wins = 0;
            let pairs = 0;
            rows.forEach((a, i) => {
              rows.forEach((b, j) => {
                if (!a.label || b.label) return;
                const mass = weight ? weight[i]! * weight[j]! : 1;
                pairs += mass;
                wins += mass * (a.score > b.score ? 1 : a.score === b.score ? 0.5 : 0);
              });
            });
            const auc = rocAuc(label, score, weight);
            const expected = wins / pairs;
            expect(Number.isNaN(expected) ? Number.isNaN(auc) : Math.abs(auc - expected) < 1e-12).toBe(true);
          }
        },
      ),
    );
  });
});

describe('scores of three classes', () => {
  const predicted = mostProbableClass(threeWay, 3);
  const matrix = confusionMatrix(classOf, predicted, 3);

  it('agree with scikit-learn', () => {
    expect(macroAuc(classOf, threeWay, 3)).toBeCloseTo(0.8819444444444443, 12);
    expect(logLoss(classOf, threeWay, 3)).toBeCloseTo(0.7515973248756778, 12);
    expect(brier(classOf, threeWay, 3)).toBeCloseTo(0.43, 12);
    expect(accuracy(matrix)).toBeCloseTo(0.7, 12);
    expect([...matrix.counts]).toEqual([2, 1, 0, 1, 2, 0, 0, 1, 3]);
    const byClass = perClass(matrix);
    expect(byClass.map((c) => c.support)).toEqual([3, 3, 4]);
    expect(byClass.map((c) => Number(c.precision.toFixed(8)))).toEqual([0.66666667, 0.5, 1]);
    expect(byClass.map((c) => Number(c.recall.toFixed(8)))).toEqual([0.66666667, 0.66666667, 0.75]);
    expect(byClass.map((c) => Number(c.f1.toFixed(8)))).toEqual([0.66666667, 0.57142857, 0.85714286]);
  });

  it('stand in the report beside those of a guesser', () => {
    const report = classificationReport(classOf, threeWay, ['a', 'b', 'c']);
    expect(report.metrics.f1_macro).toBeCloseTo(0.6984126984126985, 12);
    expect(report.baseline).toMatchObject({ roc_auc: 0.5, accuracy: 0.4 });
    expect(report.confusion).toEqual([
      [2, 1, 0],
      [1, 2, 0],
      [0, 1, 3],
    ]);
    expect(report.perClass.map((c) => c.class)).toEqual(['a', 'b', 'c']);
  });

  it('weigh rows, and say 0 for a class that nobody has and nobody predicts', () => {
    const weighted = confusionMatrix([0, 1], [0, 0], 3, [2, 3]);
    expect([...weighted.counts]).toEqual([2, 0, 0, 3, 0, 0, 0, 0, 0]);
    expect(perClass(weighted)[2]).toEqual({ precision: 0, recall: 0, f1: 0, support: 0 });
    expect(accuracy(weighted)).toBeCloseTo(0.4, 12);
    expect([...baseRates([0, 1, 1], 3)]).toEqual([1 / 3, 2 / 3, 0]);
    expect([...baseRates([0, 1], 2, [3, 1])]).toEqual([0.75, 0.25]);
  });

  it('leave an absent class out of the macro AUC', () => {
    expect(macroAuc([0, 1, 0, 1], [0.6, 0.3, 0.1, 0.2, 0.7, 0.1, 0.5, 0.3, 0.2, 0.3, 0.6, 0.1], 3)).toBe(1);
  });
});

describe('errors of numbers', () => {
  const actual = [3, -0.5, 2, 7, 4.25];
  const predicted = [2.5, 0, 2, 8, 4];
  const mass = [1, 2, 1, 0.5, 3];

  it('agree with scikit-learn, with and without weights', () => {
    expect(rmse(actual, predicted)).toBeCloseTo(0.5590169943749475, 12);
    expect(mae(actual, predicted)).toBeCloseTo(0.45, 12);
    expect(r2(actual, predicted)).toBeCloseTo(0.9491042345276873, 12);
    expect(rmse(actual, predicted, mass)).toBeCloseTo(0.43779751788545657, 12);
    expect(mae(actual, predicted, mass)).toBeCloseTo(0.36666666666666664, 12);
    expect(r2(actual, predicted, mass)).toBeCloseTo(0.9616794401866045, 12);
  });

  it('have no R² where nothing varies', () => {
    expect(r2([2, 2], [1, 3])).toBeNaN();
    expect(regressionReport([2, 2], [1, 3])).toEqual({
      rows: 2,
      metrics: { rmse: 1, mae: 1, r2: null },
      baseline: { rmse: 0, mae: 0, r2: null },
    });
  });
});
