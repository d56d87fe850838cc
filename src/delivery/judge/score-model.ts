import { setImmediate } from 'node:timers/promises';
import type { ModelSession } from '../models/index.ts';
import { ApiError } from '../platform/index.ts';

/** Rows a run: enough to be fast, few enough that one run does not hold the thread for long. */
const BATCH_ROWS = 512;
/** Probabilities are kept this far from 0, so that one sure and wrong row cannot make the mean infinite. */
const SMALLEST_PROBABILITY = 1e-15;

/** A row's raw columns by name, and its true answer. */
export interface LabelledRows {
  rows: Record<string, unknown>[];
  targets: unknown[];
}

export interface ScoredModel {
  /** Every metric of the task, by name; null where it cannot be computed. */
  metrics: Record<string, number | null>;
  /** The whole report of the statistics slice. */
  report: object;
  primary: { name: 'log_loss' | 'rmse'; value: number };
  /** Each row's part of the primary metric: its negative log likelihood, or its squared error. */
  losses: Float64Array;
  rows: number;
}

/**
 * Scores a model on labelled rows in the runtime that serves it; the smaller primary metric is the better one.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when the model cannot take the rows: a missing column, an unknown class.
 */
export async function scoreModel(
  session: ModelSession,
  { rows, targets }: LabelledRows,
): Promise<ScoredModel> {
  const { createRowCoder } = await import('../models/index.ts');
  const { classificationReport, regressionReport } = await import('../statistics/index.ts');
  const { output } = session.signature;
  if (rows.length === 0)
    throw new ApiError('INVALID_PARAMETER_VALUE', 'There are no rows with a target to score on');
  const coder = createRowCoder(session.signature);
  const classCount = output.task === 'regression' ? 1 : output.classes.length;
  const answers = new Float32Array(rows.length * classCount);
  for (let start = 0; start < rows.length; start += BATCH_ROWS) {
    const batch = await session.run(coder.encode(rows.slice(start, start + BATCH_ROWS)));
    const values = batch.probabilities ?? batch.values;
    if (!values)
      throw new ApiError('INVALID_PARAMETER_VALUE', 'The model answers neither probabilities nor values');
    answers.set(values, start * classCount);
    await setImmediate();
  }

  const losses = new Float64Array(rows.length);
  if (output.task === 'regression') {
    const actual = Float64Array.from(targets, (target) => toNumber(target, output.target));
    for (let i = 0; i < rows.length; i++)
      losses[i] = ((answers[i] ?? Number.NaN) - (actual[i] ?? Number.NaN)) ** 2;
    const report = regressionReport(actual, answers);
    return {
      metrics: report.metrics,
      report,
      primary: { name: 'rmse', value: Math.sqrt(mean(losses)) },
      losses,
      rows: rows.length,
    };
  }
  const indexOf = new Map(output.classes.map((each, index) => [String(each), index]));
  const labels = Int32Array.from(targets, (target) => {
    const index = indexOf.get(String(target));
    if (index === undefined) {
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        `The target '${output.target}' has the value '${String(target)}', which is none of the model's classes (${output.classes.slice(0, 10).join(', ')})`,
      );
    }
    return index;
  });
  for (let i = 0; i < rows.length; i++) {
    const probability = answers[i * classCount + (labels[i] ?? 0)] ?? Number.NaN;
    losses[i] = -Math.log(Math.min(1, Math.max(SMALLEST_PROBABILITY, probability)));
  }
  const report = classificationReport(labels, answers, output.classes);
  return {
    metrics: report.metrics,
    report,
    primary: { name: 'log_loss', value: mean(losses) },
    losses,
    rows: rows.length,
  };
}

function toNumber(target: unknown, name: string): number {
  const value =
    typeof target === 'number' ? target : typeof target === 'boolean' ? Number(target) : Number.NaN;
  if (Number.isFinite(value)) return value;
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    `The target '${name}' has the value '${String(target)}', which is no number`,
  );
}

export function mean(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}
