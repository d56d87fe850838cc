import type { DuckDBConnection } from '@duckdb/node-api';
import {
  accuracy,
  baseRates,
  brier,
  confusionMatrix,
  logLoss,
  macroAuc,
  mae,
  perClass,
  r2,
  rmse,
  rocAuc,
} from '../../../statistics/index.ts';
import type { MeasuredWindow, MeasureRequest, Window } from '../log-messages.ts';
import type { LogState } from './log-state.ts';
import { readScoredRows, type ScoredRows, windowRows } from './scored-rows.ts';

/** Measures predictions by windows of event time, against the labels that are known. */
export async function measureWindows(
  connection: DuckDBConnection,
  state: LogState,
  { filter, metric, windows, answer }: MeasureRequest,
): Promise<MeasuredWindow[]> {
  if (windows.length === 0) return [];
  const from = Math.min(...windows.map((window) => window.from));
  const to = Math.max(...windows.map((window) => window.to));
  const rows = await readScoredRows(connection, state, { ...filter, from, to }, answer);
  return windows.map((window) => {
    const [start, end] = windowRows(rows, window);
    const isRegression = answer?.task === 'regression';
    const measured = isRegression
      ? measureValues(rows, start, end, metric)
      : measureClasses(rows, start, end, metric);
    return { ...pick(window), rows: end - start, ...measured };
  });
}

const pick = ({ from, to }: Window): Window => ({ from, to });
const known = (value: number): number | undefined => (Number.isFinite(value) ? value : undefined);

type Measured = Omit<MeasuredWindow, 'from' | 'to' | 'rows'>;
const NOTHING = { value: undefined, valueBaseline: undefined, loss: undefined, baseline: undefined };

function measureValues(rows: ScoredRows, start: number, end: number, metric: string): Measured {
  const actual: number[] = [];
  const predicted: number[] = [];
  let labelled = 0;
  for (let i = start; i < end; i++) {
    if (Number.isNaN(rows.label[i])) continue;
    labelled++;
    if (Number.isNaN(rows.predicted[i])) continue;
    actual.push(rows.label[i]!);
    predicted.push(rows.predicted[i]!);
  }
  if (actual.length === 0) return { labelled, ...NOTHING };
  const mean = actual.reduce((sum, value) => sum + value, 0) / actual.length;
  const guess = new Float64Array(actual.length).fill(mean);
  const measure = { rmse, mae, r2 }[metric];
  return {
    labelled,
    value: measure && known(measure(actual, predicted)),
    valueBaseline: measure && known(measure(actual, guess)),
    loss: known(rmse(actual, predicted) ** 2),
    baseline: known(rmse(actual, guess) ** 2),
  };
}

function measureClasses(rows: ScoredRows, start: number, end: number, metric: string): Measured {
  const { classes } = rows;
  const size = end - start;
  const labels = new Int32Array(size);
  const probabilities = new Float64Array(size * classes);
  const answered = new Int32Array(size);
  const answeredLabels = new Int32Array(size);
  let labelled = 0;
  let scored = 0;
  let named = 0;
  for (let i = start; i < end; i++) {
    const label = rows.label[i]!;
    if (Number.isNaN(label)) continue;
    labelled++;
    if (!Number.isNaN(rows.predicted[i])) {
      answered[named] = rows.predicted[i]!;
      answeredLabels[named++] = label;
    }
    if (Number.isNaN(rows.probabilities[i * classes])) continue;
    labels[scored] = label;
    probabilities.set(rows.probabilities.subarray(i * classes, (i + 1) * classes), scored * classes);
    scored++;
  }
  const truths = labels.subarray(0, scored);
  const scores = probabilities.subarray(0, scored * classes);
  const loss = scored > 0 ? lossOf(truths, scores, classes) : undefined;
  if (metric === 'accuracy' || metric === 'f1_macro') {
    const actual = answeredLabels.subarray(0, named);
    const measure = metric === 'accuracy' ? accuracyOf : f1Of;
    const usual = commonest(baseRates(actual, classes));
    return {
      labelled,
      value: named > 0 ? known(measure(actual, answered.subarray(0, named), classes)) : undefined,
      valueBaseline:
        named > 0 ? known(measure(actual, new Int32Array(named).fill(usual), classes)) : undefined,
      ...(loss ?? { loss: undefined, baseline: undefined }),
    };
  }
  if (loss === undefined) return { labelled, ...NOTHING };
  const measure = { roc_auc: aucOf, log_loss: logLoss, brier }[metric];
  return {
    labelled,
    value: measure && known(measure(truths, scores, classes)),
    valueBaseline: measure && known(measure(truths, guesses(truths, classes), classes)),
    ...loss,
  };
}

function lossOf(labels: Int32Array, probabilities: Float64Array, classes: number) {
  return {
    loss: known(logLoss(labels, probabilities, classes)),
    baseline: known(logLoss(labels, guesses(labels, classes), classes)),
  };
}

/** The probabilities of a guesser that knows how often each class comes, and nothing else. */
function guesses(labels: Int32Array, classes: number): Float64Array {
  const rates = baseRates(labels, classes);
  return Float64Array.from({ length: labels.length * classes }, (_, i) => rates[i % classes]!);
}

function aucOf(labels: Int32Array, probabilities: Float64Array, classes: number): number {
  if (classes !== 2) return macroAuc(labels, probabilities, classes);
  return rocAuc(
    labels,
    Float64Array.from({ length: labels.length }, (_, i) => probabilities[2 * i + 1]!),
  );
}

const accuracyOf = (labels: Int32Array, predicted: Int32Array, classes: number) =>
  accuracy(confusionMatrix(labels, predicted, classes));

function f1Of(labels: Int32Array, predicted: Int32Array, classes: number): number {
  const scores = perClass(confusionMatrix(labels, predicted, classes)).filter(({ support }) => support > 0);
  return scores.reduce((sum, { f1 }) => sum + f1, 0) / scores.length;
}

const commonest = (rates: Float64Array): number => rates.indexOf(Math.max(...rates));
