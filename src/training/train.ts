import type { Table } from '../datasets/index.ts';
import type { Feature } from '../features/index.ts';
import {
  addMetadata,
  createSession,
  EXAMPLE_KEY,
  FRAMEWORK_KEY,
  PROFILE_KEY,
  SIGNATURE_KEY,
  type Signature,
  TRAINING_KEY,
  writeSignature,
} from '../models/index.ts';
import { ApiError } from '../platform/index.ts';
import { encodeSpec, type Reference } from '../profiles/index.ts';
import {
  baseRates,
  type ClassificationReport,
  classificationReport,
  type RegressionReport,
  regressionReport,
} from '../statistics/index.ts';
import { boostTrees, scoreRows, shareGain } from './boosting/boost-trees.ts';
import { writeBoosting } from './boosting/write-boosting.ts';
import { countReference } from './count-reference.ts';
import { compareExport, type ExportCheck } from './export/compare-export.ts';
import { describeTable, type GraphStart, rawColumnsOf, startGraph } from './export/graph-inputs.ts';
import { recordExample } from './export/record-example.ts';
import { fitLinear, scoreLinear, shareSpread } from './linear/fit-linear.ts';
import { writeLinear } from './linear/write-linear.ts';
import { type Algorithm, type ParameterValue, parseParameters } from './parameters.ts';
import type { ProgressListener } from './progress.ts';
import { type Answers, toAnswers } from './score-answers.ts';

export interface TrainOptions {
  train: Table;
  /** Rows that are held out: the report's metrics and the check of the export are on them. */
  test: Table;
  algorithm: Algorithm;
  /** As `--set` gives them; what is left out has its default. */
  params?: Record<string, ParameterValue>;
  seed: number;
  onProgress?: ProgressListener;
  signal?: AbortSignal;
  /** The expressions of the table's derived columns. */
  features?: readonly Feature[];
  /** What the model file should say of its origin besides: code version, data digest … */
  provenance?: Record<string, unknown>;
}

export interface TrainingReport {
  task: Table['task'];
  target: string;
  algorithm: Algorithm;
  seed: number;
  parameters: Record<string, ParameterValue>;
  rows: { train: number; test: number };
  /** Trees for each output, or steps of the solver. */
  iterations: number;
  heldOut: ClassificationReport | RegressionReport;
  importance: ColumnImportance[];
  exportCheck: ExportCheck;
  warnings: string[];
}

export interface ColumnImportance {
  column: string;
  /** Boosted trees: share of the summed gain; linear: share of the spread that the column gives the score. */
  share: number;
}

export interface TrainedModel {
  onnx: Uint8Array;
  signature: Signature;
  /** The held-out metrics that are numbers, and `baseline_…` for a guesser's. */
  metrics: Record<string, number>;
  report: TrainingReport;
  /** Most important first. */
  importance: ColumnImportance[];
  params: Record<string, ParameterValue>;
  exportCheck: ExportCheck;
  /** What the model was trained on and answered on held-out rows, counted: what monitoring compares with. */
  reference: Reference;
  warnings: string[];
}

/** What every algorithm gives. */
interface Fitted {
  score(table: Table): Float64Array[];
  write(start: GraphStart): void;
  importance: Float64Array;
  iterations: number;
  warnings: string[];
}

/**
 * Trains a model, writes it as ONNX, checks that ONNX Runtime answers as the trainer does, and measures it on the
 * held-out rows. Deterministic: the same tables, parameters and seed give the same bytes on the same platform.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when the table or a parameter cannot be trained on, INTERNAL_ERROR when the
 *   exported model answers otherwise than the trainer
 */
export async function train(options: TrainOptions): Promise<TrainedModel> {
  const { train: table, test, algorithm, seed } = options;
  const params = parseParameters(algorithm, options.params ?? {});
  checkTable(table);
  const weights = weighClasses(table, params.class_weight);
  const warnings = warnOfPrecision(table);
  const fitted = algorithm === 'linear' ? await fitLines(options, weights) : await fitTrees(options, weights);
  options.signal?.throwIfAborted();
  warnings.push(...fitted.warnings);

  const start = startGraph(table, options.features);
  fitted.write(start);
  const missing = new Set([table, test].flatMap(columnsWithMissing));
  const signature = describeTable(table, start.inputs, (name) => missing.has(name));
  const withoutExample = start.graph.encode({
    metadata: {
      [SIGNATURE_KEY]: writeSignature(signature),
      [FRAMEWORK_KEY]: `tidemill ${algorithm}`,
      [TRAINING_KEY]: JSON.stringify({
        algorithm,
        parameters: params,
        seed,
        rows: { train: table.rows, test: test.rows },
        environment: { node: process.version, platform: process.platform, arch: process.arch },
        ...options.provenance,
      }),
    },
  });

  const answer = (rows: Table): Answers => toAnswers(rows, fitted.score(rows));
  const testAnswers = answer(test);
  const session = await createSession(withoutExample);
  try {
    const exportCheck = await compareExport(session, { train: table, test, testAnswers, answer });
    const example = await recordExample(session, test.rows > 0 ? test : table);
    const reference = countReference(table, test, testAnswers);
    const onnx = addMetadata(withoutExample, {
      [PROFILE_KEY]: encodeSpec(reference.spec),
      ...(example ? { [EXAMPLE_KEY]: JSON.stringify(example) } : {}),
    });
    const importance = table.columns
      .map((column, index) => ({ column: column.name, share: fitted.importance[index]! }))
      .sort((a, b) => b.share - a.share);
    const heldOut = measure(table, test, testAnswers);
    const report: TrainingReport = {
      task: table.task,
      target: table.targetName,
      algorithm,
      seed,
      parameters: params,
      rows: { train: table.rows, test: test.rows },
      iterations: fitted.iterations,
      heldOut,
      importance,
      exportCheck,
      warnings,
    };
    return {
      onnx,
      signature,
      metrics: flatten(heldOut),
      report,
      importance,
      params,
      exportCheck,
      reference,
      warnings,
    };
  } finally {
    await session.release();
  }
}

async function fitTrees(options: TrainOptions, weights?: Float64Array): Promise<Fitted> {
  const table = options.train;
  const parameters = parseParameters('gradient-boosting', options.params ?? {});
  const model = await boostTrees(table, parameters, { ...options, weights });
  const warnings: string[] = [];
  if (!model.rounds.some((round) => round.some((tree) => tree.feature[0]! >= 0))) {
    warnings.push(
      `No split of any column was worth making (${table.rows} rows, at least ${parameters.min_leaf} in a leaf): the model answers the same for every row`,
    );
  }
  return {
    score: (rows) => scoreRows(model, rows),
    write: (start) => writeBoosting(model, table, start),
    importance: shareGain(model, table.columns.length),
    iterations: model.rounds.length,
    warnings,
  };
}

async function fitLines(options: TrainOptions, weights?: Float64Array): Promise<Fitted> {
  const table = options.train;
  const parameters = parseParameters('linear', options.params ?? {});
  const model = await fitLinear(table, parameters, { ...options, weights });
  return {
    score: (rows) => scoreLinear(model, rows),
    write: (start) => writeLinear(model, table, start),
    importance: shareSpread(model, table),
    iterations: model.iterations,
    warnings: model.converged
      ? []
      : [`The solver stopped after ${model.iterations} steps without converging; raise max_iterations or l2`],
  };
}

function checkTable(table: Table): void {
  const refuse = (message: string) => new ApiError('INVALID_PARAMETER_VALUE', message);
  if (table.columns.length === 0) {
    throw refuse(`There is no column to learn '${table.targetName}' from: none is left beside the target`);
  }
  if (table.rows < 2)
    throw refuse(`Training needs at least 2 rows with a target, and there are ${table.rows}`);
  const first = table.target[0]!;
  if (!table.target.every((value) => value === first)) return;
  const value = table.task === 'regression' ? first : JSON.stringify(table.classes?.[first]);
  throw refuse(
    `The target '${table.targetName}' is ${value} in all ${table.rows} training rows: there is nothing to learn`,
  );
}

/** A model's answer is float32, which holds seven digits. */
function warnOfPrecision({ task, target, targetName, rows }: Table): string[] {
  if (task !== 'regression') return [];
  const mean = target.reduce((sum, value) => sum + value / rows, 0);
  const spread = Math.sqrt(target.reduce((sum, value) => sum + (value - mean) ** 2 / rows, 0));
  if (spread > 1e-5 * Math.abs(mean)) return [];
  return [
    `'${targetName}' varies by ${spread.toPrecision(2)} around ${mean.toPrecision(7)}, less than the seven digits of a model's answer tell apart; predict its distance from ${mean.toPrecision(2)} instead`,
  ];
}

/** Balanced weights: rows / (classes that occur · rows of the class). */
function weighClasses(table: Table, mode: 'none' | 'balanced'): Float64Array | undefined {
  if (mode === 'none') return undefined;
  if (table.task === 'regression') {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `class_weight is for classes, and '${table.targetName}' is a number`,
    );
  }
  const rates = baseRates(table.target, table.classes!.length);
  const present = rates.filter((rate) => rate > 0).length;
  return table.target.map((label) => 1 / (present * rates[label]!));
}

function columnsWithMissing(table: Table): string[] {
  const columns = rawColumnsOf(table).filter((column) =>
    'codes' in column
      ? column.codes.some((code) => code < 0)
      : column.values.some((value: number) => Number.isNaN(value)),
  );
  return columns.map(({ name }) => name);
}

function measure(table: Table, test: Table, answers: Answers): ClassificationReport | RegressionReport {
  if (answers.values) {
    // What is served is float32.
    return regressionReport(
      test.target,
      Float32Array.from(answers.values),
      table.target.reduce((a, b) => a + b, 0) / table.rows,
    );
  }
  const classes = table.classes!;
  return classificationReport(
    test.target,
    answers.probabilities,
    classes,
    baseRates(table.target, classes.length),
  );
}

function flatten({ metrics, baseline }: ClassificationReport | RegressionReport): Record<string, number> {
  const flat: Record<string, number> = {};
  for (const [name, value] of Object.entries(metrics)) if (value !== null) flat[name] = value;
  for (const [name, value] of Object.entries(baseline)) if (value !== null) flat[`baseline_${name}`] = value;
  return flat;
}
