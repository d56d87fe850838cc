import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Table } from '../../datasets/index.ts';
import type { LinearParameters } from '../parameters.ts';
import type { ProgressListener } from '../progress.ts';
import { standardiseTarget } from '../standardise-target.ts';
import { minimise } from './lbfgs.ts';
import {
  addGradient,
  addScores,
  applyDesign,
  type DesignTable,
  type LinearDesign,
  planDesign,
} from './linear-design.ts';
import { solveRidge } from './solve-ridge.ts';

/** A fitted linear or logistic model: for each output, coefficients in the design's order, float32 numbers. */
export interface LinearModel {
  design: LinearDesign;
  coefficients: Float64Array[];
  iterations: number;
  converged: boolean;
}

/** Coefficients up to which the normal equations are solved at once: beyond, the cube of their number is too much. */
const MAX_DIRECT = 1500;

/**
 * Fits ridge regression, or logistic regression with an L2 penalty: of two classes the log odds of the second, of more
 * the multinomial model with a score for each class. The intercept is not penalised. Hastie, Tibshirani and Friedman,
 * The Elements of Statistical Learning (2009), sections 3.4.1 and 4.4.
 *
 * @param weights one per row, not negative
 */
export async function fitLinear(
  table: Table,
  parameters: LinearParameters,
  options: { weights?: Float64Array; onProgress?: ProgressListener; signal?: AbortSignal },
): Promise<LinearModel> {
  const design = planDesign(table, parameters.impute);
  const coded = applyDesign(design, table);
  if (table.task === 'regression' && design.width <= MAX_DIRECT) {
    const solution = solveRidge(design, coded, table.target, parameters.l2);
    return { design, coefficients: [roundAll(solution)], iterations: 1, converged: true };
  }
  const outputs = table.task === 'multiclass' ? table.classes!.length : 1;
  const started = performance.now();
  const everyRow = Int32Array.from({ length: table.rows }, (_, row) => row);
  const { target, center, unit } = standardiseTarget(table, everyRow);
  const units = curvatureUnits(design, coded, parameters.l2);
  const minimum = await minimise(
    createObjective(design, coded, { ...table, target }, outputs, parameters.l2, units, options.weights),
    new Float64Array(outputs * design.width),
    { maxIterations: parameters.max_iterations, tolerance: parameters.tolerance },
    async (iteration, value) => {
      options.onProgress?.({
        iteration,
        total: parameters.max_iterations,
        metric: 'training_objective',
        value,
        elapsedMs: performance.now() - started,
      });
      await nextTurn();
      options.signal?.throwIfAborted();
    },
  );
  const coefficients = Array.from({ length: outputs }, (_, k) => {
    const own = minimum.point.slice(k * design.width, (k + 1) * design.width);
    const plain = own.map((value, i) => (value / units[i]!) * unit);
    plain[design.width - 1]! += center;
    return roundAll(plain);
  });
  return { design, coefficients, iterations: minimum.iterations, converged: minimum.converged };
}

/** The scores of every row of a table with the columns of the training table: one array for each output. */
export function scoreLinear(model: LinearModel, table: Table): Float64Array[] {
  const coded = applyDesign(model.design, table);
  return model.coefficients.map((coefficients) => {
    const scores = new Float64Array(table.rows);
    addScores(model.design, coded, coefficients, scores);
    return scores;
  });
}

/** By raw column: how far its part of the score spreads (standard deviation over the rows, all outputs), as a share. */
export function shareSpread(model: LinearModel, table: Table): Float64Array {
  const coded = applyDesign(model.design, table);
  const spread = new Float64Array(table.columns.length);
  const part = new Float64Array(table.rows);
  for (const coefficients of model.coefficients) {
    table.columns.forEach((_, column) => {
      part.fill(0);
      const own = coefficients.map((value, at) => (columnOf(model.design, at) === column ? value : 0));
      addScores(model.design, coded, own, part);
      spread[column]! += deviation(part);
    });
  }
  const total = spread.reduce((sum, value) => sum + value, 0);
  return total > 0 ? spread.map((value) => value / total) : spread;
}

function columnOf(design: LinearDesign, coefficient: number): number {
  if (coefficient < design.numbers.length) return design.numbers[coefficient]!.column;
  const flag = design.flagOffsets.indexOf(coefficient);
  if (flag >= 0) return design.numbers[flag]!.column;
  const term = design.levelOffsets.findLastIndex((offset) => offset <= coefficient);
  return coefficient < design.width - 1 && term >= 0 ? design.levels[term]!.column : -1;
}

function deviation(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  return Math.sqrt(squares / values.length);
}

/**
 * For each coefficient, the root of a bound of the loss's second derivative. In these units every direction is about as
 * curved as any other: a rare level would else take the solver hundreds of steps.
 */
function curvatureUnits(design: LinearDesign, coded: DesignTable, l2: number): Float64Array {
  const squares = new Float64Array(design.width);
  coded.numbers.forEach((values, t) => {
    let sum = 0;
    for (const value of values) sum += value * value;
    squares[t] = sum;
    const flag = coded.flags[t];
    if (flag) squares[design.flagOffsets[t]!] = flag.reduce((count, value) => count + value, 0);
  });
  coded.levels.forEach((codes, t) => {
    const offset = design.levelOffsets[t]!;
    for (const code of codes) squares[offset + code]!++;
  });
  squares[design.width - 1] = coded.rows;
  // A level that no row has keeps the coefficient 0, whatever its unit.
  return squares.map((sum) => Math.sqrt((sum / 4 + l2) / coded.rows) || 1);
}

/** Mean loss of the rows and l2 / (2 · rows) times the squared coefficients; the point is coefficients in `units`. */
function createObjective(
  design: LinearDesign,
  coded: DesignTable,
  table: Table,
  outputs: number,
  l2: number,
  units: Float64Array,
  weights?: Float64Array,
) {
  const { rows, target, task } = table;
  const coefficients = new Float64Array(outputs * design.width);
  const { width } = design;
  const scores = Array.from({ length: outputs }, () => new Float64Array(rows));
  const lossAndResiduals =
    task === 'regression' ? squaredResiduals : outputs === 1 ? logisticResiduals : softmaxResiduals;
  return (point: Float64Array, gradient: Float64Array): number => {
    for (let i = 0; i < point.length; i++) coefficients[i] = point[i]! / units[i % width]!;
    scores.forEach((own, k) => {
      own.fill(0);
      addScores(design, coded, coefficients.subarray(k * width, (k + 1) * width), own);
    });
    let value = lossAndResiduals(scores, target, weights);
    gradient.fill(0);
    scores.forEach((residuals, k) => {
      addGradient(design, coded, residuals, gradient.subarray(k * width, (k + 1) * width));
    });
    for (let i = 0; i < point.length; i++) {
      if (i % width === width - 1) continue;
      value += (l2 / 2) * coefficients[i]! ** 2;
      gradient[i]! += l2 * coefficients[i]!;
    }
    for (let i = 0; i < gradient.length; i++) gradient[i]! /= rows * units[i % width]!;
    return value / rows;
  };
}

/** Each replaces the scores by the loss's derivative by them, and returns the summed loss. */
function squaredResiduals([scores]: Float64Array[], target: Float64Array, weights?: Float64Array): number {
  let loss = 0;
  for (let i = 0; i < target.length; i++) {
    const weight = weights ? weights[i]! : 1;
    const residual = scores![i]! - target[i]!;
    loss += (weight / 2) * residual * residual;
    scores![i] = weight * residual;
  }
  return loss;
}

function logisticResiduals([scores]: Float64Array[], target: Float64Array, weights?: Float64Array): number {
  let loss = 0;
  for (let i = 0; i < target.length; i++) {
    const weight = weights ? weights[i]! : 1;
    const score = scores![i]!;
    const tail = Math.exp(-Math.abs(score));
    const probability = score >= 0 ? 1 / (1 + tail) : tail / (1 + tail);
    loss += weight * (Math.max(target[i] === 1 ? -score : score, 0) + Math.log1p(tail));
    scores![i] = weight * (probability - target[i]!);
  }
  return loss;
}

function softmaxResiduals(scores: Float64Array[], target: Float64Array, weights?: Float64Array): number {
  let loss = 0;
  for (let i = 0; i < target.length; i++) {
    const weight = weights ? weights[i]! : 1;
    let largest = Number.NEGATIVE_INFINITY;
    for (const column of scores) largest = Math.max(largest, column[i]!);
    let sum = 0;
    for (const column of scores) sum += Math.exp(column[i]! - largest);
    const logSum = largest + Math.log(sum);
    loss += weight * (logSum - scores[target[i]!]![i]!);
    scores.forEach((column, k) => {
      column[i] = weight * (Math.exp(column[i]! - logSum) - (target[i] === k ? 1 : 0));
    });
  }
  return loss;
}

const roundAll = (values: Float64Array): Float64Array => values.map((value) => Math.fround(value));
