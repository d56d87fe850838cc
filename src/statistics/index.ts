export type { ClassScores, ConfusionMatrix } from './count-classes.ts';
export { accuracy, baseRates, confusionMatrix, perClass } from './count-classes.ts';
export { mae, r2, rmse } from './measure-errors.ts';
export { macroAuc, rocAuc } from './rank-scores.ts';
export type { ClassificationReport, Metric, RegressionReport } from './report-metrics.ts';
export { classificationReport, regressionReport } from './report-metrics.ts';
export { brier, logLoss, mostProbableClass } from './score-probabilities.ts';
