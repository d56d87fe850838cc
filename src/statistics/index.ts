export { adjustBenjaminiHochberg, benjaminiHochberg } from './adjust-p-values.ts';
export { ksOfCounts, psiOfCounts } from './compare-counts.ts';
export type { ClassScores, ConfusionMatrix } from './count-classes.ts';
export { accuracy, baseRates, confusionMatrix, perClass } from './count-classes.ts';
export {
  chiSquareSurvival,
  normalCdf,
  normalQuantile,
  studentCdf,
  studentQuantile,
} from './distributions.ts';
export { delong } from './gate/delong.ts';
export {
  BCA_CLUSTERS,
  type JudgeOptions,
  judgePaired,
  lookAlpha,
  type PairedVerdict,
  type Verdict,
} from './gate/judge-paired.ts';
export { mcnemar } from './gate/mcnemar.ts';
export type { PairedMetric, PairedScores } from './gate/paired-scores.ts';
export { mae, r2, rmse } from './measure-errors.ts';
export { macroAuc, rocAuc } from './rank-scores.ts';
export type { ClassificationReport, Metric, RegressionReport } from './report-metrics.ts';
export { classificationReport, regressionReport } from './report-metrics.ts';
export { brier, logLoss, mostProbableClass } from './score-probabilities.ts';
export { logGamma, regularisedBeta, regularisedGamma } from './special-functions.ts';
export { dayVariance, type Homogeneity, LEAST_DAY_VARIANCE, testHomogeneity } from './test-homogeneity.ts';
export { testPerformance } from './test-performance.ts';
export { advanceSequence, evidenceOf, FRESH_SEQUENCE, isAlarm, type Sequence } from './watch-sequence.ts';
