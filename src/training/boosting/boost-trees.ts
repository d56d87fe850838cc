import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Table } from '../../datasets/index.ts';
import { createRandom } from '../../platform/index.ts';
import type { BoostingParameters } from '../parameters.ts';
import type { ProgressListener } from '../progress.ts';
import { standardiseTarget } from '../standardise-target.ts';
import { type BinnedTable, binTable, planFeatures, type TreeFeature } from './bin-table.ts';
import { type BoostingLoss, logistic, softmax, squaredError } from './boosting-losses.ts';
import { addTree, createTreeGrower, type Tree } from './grow-tree.ts';
import { MAX_ROWS, packHessians, planPacking } from './histogram.ts';
import { sampleSorted } from './sample-sorted.ts';

/** A trained ensemble: the score of output k is `baseScores[k]` plus the values of `rounds[…][k]`. */
export interface BoostedTrees {
  features: TreeFeature[];
  baseScores: Float64Array;
  rounds: Tree[][];
  /** The round that was best on the validation rows; with early stopping `rounds` ends there. */
  bestRound: number;
  stoppedEarly: boolean;
}

/** Rows that the metric of the training rows is measured on, when there are no validation rows. */
const METRIC_ROWS = 5000;

/**
 * Trains gradient-boosted trees on histograms, one thread, deterministic by seed.
 *
 * @param weights one per row, not negative
 * @throws Error when the table has more rows than the packed sums hold
 */
export async function boostTrees(
  table: Table,
  parameters: BoostingParameters,
  options: { seed: number; weights?: Float64Array; onProgress?: ProgressListener; signal?: AbortSignal },
): Promise<BoostedTrees> {
  if (table.rows > MAX_ROWS) {
    throw new Error(
      `${table.rows} rows are more than boosted trees take here, ${MAX_ROWS}; train on a sample of them`,
    );
  }
  const random = createRandom(options.seed);
  const started = performance.now();
  const features = planFeatures(table, parameters.bins, random);
  const binned = binTable(table, features);
  const loss = chooseLoss(table);
  const { training, validation } = holdOut(table.rows, parameters, random);
  const { weights } = options;
  const { target, center, unit } = standardiseTarget(table, training);

  const packing = planPacking(table.rows, loss.largestHessian * largest(weights));
  const growTree = createTreeGrower(binned, packing, {
    minLeaf: parameters.min_leaf,
    l2: parameters.l2,
    maxDepth: parameters.max_depth,
    maxLeaves: parameters.max_leaves,
    learningRate: parameters.learning_rate,
  });
  const baseScores = loss.baseScores(target, training, weights);
  const scores = Array.from(baseScores, (score) => new Float64Array(table.rows).fill(score));
  const gradients = new Float64Array(table.rows);
  const hessians = new Float64Array(table.rows);
  const metricRows =
    validation ??
    (training.length > METRIC_ROWS
      ? sampleSorted(training.length, METRIC_ROWS, createRandom(1)).map((i) => training[i]!)
      : training);

  const rounds: Tree[][] = [];
  let bestRound = 0;
  let bestMetric = Number.POSITIVE_INFINITY;
  let stoppedEarly = false;
  let lastTurn = started;
  for (let round = 0; round < parameters.trees && !stoppedEarly; round++) {
    options.signal?.throwIfAborted();
    if (performance.now() - lastTurn > 50) {
      await nextTurn();
      lastTurn = performance.now();
    }
    const members =
      parameters.subsample < 1
        ? sampleSorted(
            training.length,
            Math.max(1, Math.round(training.length * parameters.subsample)),
            random,
          ).map((i) => training[i]!)
        : training;
    const others = members.length < table.rows ? complement(members, table.rows) : undefined;
    loss.startRound?.(scores);
    const trees: Tree[] = [];
    for (let output = 0; output < loss.outputs; output++) {
      loss.gradients(output, scores, target, weights, gradients, hessians);
      packHessians(hessians, packing);
      const allowed = sampleFeatures(features.length, parameters.column_sample, random);
      const tree = growTree(members, gradients, hessians, scores[output]!, allowed);
      if (others) addTree(tree, binned, scores[output]!, others);
      trees.push(tree);
    }
    rounds.push(trees);
    if (!validation && !options.onProgress) {
      bestRound = round;
      continue;
    }
    const value = unit * loss.measure(scores, target, metricRows, weights);
    options.onProgress?.({
      iteration: round + 1,
      total: parameters.trees,
      metric: `${validation ? 'validation' : 'training'}_${loss.metric}`,
      value,
      elapsedMs: performance.now() - started,
    });
    if (!validation || value < bestMetric) {
      bestMetric = value;
      bestRound = round;
    } else if (round - bestRound >= parameters.early_stopping_rounds) stoppedEarly = true;
  }
  if (validation) rounds.length = bestRound + 1;
  for (const tree of rounds.flat()) tree.value = tree.value.map((value) => Math.fround(value * unit));
  const inUnits = baseScores.map((score) => Math.fround(score * unit + center));
  return { features, baseScores: inUnits, rounds, bestRound, stoppedEarly };
}

/** The scores of every row of a table with the columns of the training table: one array for each output. */
export function scoreRows(model: BoostedTrees, table: Table): Float64Array[] {
  const binned: BinnedTable = binTable(table, model.features);
  const scores = Array.from(model.baseScores, (score) => new Float64Array(table.rows).fill(score));
  for (const round of model.rounds) {
    round.forEach((tree, output) => {
      addTree(tree, binned, scores[output]!);
    });
  }
  return scores;
}

/** Share of the summed gain by raw column, in the table's order; all 0 when nothing was split. */
export function shareGain(model: BoostedTrees, columnCount: number): Float64Array {
  const gains = new Float64Array(columnCount);
  let total = 0;
  for (const tree of model.rounds.flat()) {
    tree.feature.forEach((feature, node) => {
      if (feature < 0) return;
      gains[model.features[feature]!.column]! += tree.gain[node]!;
      total += tree.gain[node]!;
    });
  }
  return total > 0 ? gains.map((gain) => gain / total) : gains;
}

function chooseLoss(table: Table): BoostingLoss {
  if (table.task === 'regression') return squaredError();
  return table.task === 'binary' ? logistic() : softmax(table.classes!.length, table.rows);
}

function holdOut(rows: number, parameters: BoostingParameters, random: () => number) {
  const all = Int32Array.from({ length: rows }, (_, i) => i);
  const validationRows = Math.round(rows * parameters.validation_share);
  if (parameters.early_stopping_rounds === 0 || validationRows === 0 || validationRows === rows) {
    return { training: all, validation: undefined };
  }
  const validation = sampleSorted(rows, validationRows, random);
  return { training: complement(validation, rows), validation };
}

/** The rows that are not in a rising list. */
function complement(members: Int32Array, rows: number): Int32Array {
  const rest = new Int32Array(rows - members.length);
  let next = 0;
  let kept = 0;
  for (let row = 0; row < rows; row++) {
    if (members[next] === row) next++;
    else rest[kept++] = row;
  }
  return rest;
}

function sampleFeatures(count: number, share: number, random: () => number): Uint8Array | undefined {
  if (share >= 1 || count === 0) return undefined;
  const allowed = new Uint8Array(count);
  for (const f of sampleSorted(count, Math.max(1, Math.round(count * share)), random)) allowed[f] = 1;
  return allowed;
}

function largest(weights: Float64Array | undefined): number {
  return weights ? weights.reduce((most, weight) => Math.max(most, weight), 0) : 1;
}
