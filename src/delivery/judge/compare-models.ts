import type { ClassValue } from '../../models/index.ts';
import { ApiError } from '../../platform/index.ts';
import { delong, judgePaired, mcnemar, type PairedScores } from '../../statistics/index.ts';
import { DEFAULT_MARGIN_SHARE, type GateMetric } from '../delivery-policy.ts';
import { type Clusters, clusterRows } from './cluster-rows.ts';
import type { Comparison, GateQuestion, SliceResult } from './judge-input.ts';
import type { ScoredModel } from './score-model.ts';

/** Both models' answers to the same rows, and what is known of the rows. */
export interface ScoredPair {
  challenger: ScoredModel;
  champion: ScoredModel;
  classes: readonly ClassValue[] | undefined;
  rows: Record<string, unknown>[];
  times: Float64Array | undefined;
  entities: unknown[] | undefined;
  /** Number from the evaluation set's digest, so that the same question has the same answer. */
  seed: number;
}

/** For the AUC a resample costs the square of the clusters. */
const MAX_CLUSTERS: Partial<Record<GateMetric, number>> = { roc_auc: 200 };
const MAX_CLUSTERS_OTHERWISE = 2000;

/** For champions whose metric is next to zero. */
const SMALLEST_MARGIN = 1e-6;

const SMALLEST_SLICE_ROWS = 100;
const SMALLEST_SLICE_CLUSTERS = 3;
const MAX_SLICE_VALUES = 50;
const FIRST_ALPHA = 0.05;

/** The metric that decides: the policy's, if it fits the task. */
export function chooseMetric(asked: GateMetric | undefined, classes: number | undefined): GateMetric {
  const fitting: GateMetric[] =
    classes === undefined
      ? ['rmse', 'mae']
      : classes === 2
        ? ['log_loss', 'brier', 'accuracy', 'roc_auc']
        : ['log_loss', 'brier', 'accuracy'];
  const metric = asked ?? (fitting[0] as GateMetric);
  if (fitting.includes(metric)) return metric;
  const task = classes === undefined ? 'a regression' : `a model of ${classes} classes`;
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    `The gate's metric ${metric} does not fit ${task}: use one of ${fitting.join(', ')}`,
  );
}

/** The four verdicts of the gate, by the interval of the paired difference over clusters of rows. */
export function compareModels(
  pair: ScoredPair,
  question: GateQuestion,
): { comparison: Comparison; notes: string[] } {
  const metric = chooseMetric(question.metric, pair.classes?.length);
  const clusters = clusterOf(pair, question, metric);
  const known = pair.champion.metrics[metric];
  const margin = question.margin ?? Math.max(SMALLEST_MARGIN, DEFAULT_MARGIN_SHARE * Math.abs(known ?? 0));
  const scores = scoresOf(pair, clusters.of);
  const judgeAt = (alpha: number) => judgePaired(scores, { metric, alpha, delta: margin, seed: pair.seed });
  const judged = judgeAt(question.alpha);
  const shown = question.shownAlpha === undefined ? undefined : judgeAt(question.shownAlpha);
  const perCluster = pair.challenger.rows / clusters.count;
  const more =
    judged.verdict === 'inconclusive' && judged.needClusters !== undefined
      ? {
          moreClusters: Math.ceil(judged.needClusters),
          moreRows: Math.ceil(judged.needClusters * perCluster),
        }
      : {};
  return {
    comparison: {
      metric,
      verdict: judged.verdict,
      challenger: judged.challenger,
      champion: judged.champion,
      estimate: judged.estimate,
      lo: judged.lo,
      hi: judged.hi,
      alpha: judged.alpha,
      margin,
      marginFrom: question.margin === undefined ? 'default' : 'policy',
      method: judged.method,
      rows: judged.rows,
      clusters: judged.clusters,
      clusteredBy: clusters.by,
      ...more,
      ...(shown ? { shownInterval: { alpha: shown.alpha, lo: shown.lo, hi: shown.hi } } : {}),
      ...(scores.task === 'regression' ? {} : { shown: showTests(scores) }),
    },
    notes: clusters.notes,
  };
}

function showTests(scores: PairedScores): NonNullable<Comparison['shown']> {
  const shown: NonNullable<Comparison['shown']> = { mcnemar: mcnemar(scores) };
  if (scores.task !== 'binary') return shown;
  const { challenger, champion, p } = delong(scores);
  return Number.isFinite(p) ? { ...shown, delong: { challenger, champion, p } } : shown;
}

/**
 * Looks at each value of the slice columns by itself: a slice that is shown worse, at an alpha corrected by Holm for
 * their number, blocks; none can decide in favour.
 */
export function compareSlices(
  pair: ScoredPair,
  question: GateQuestion,
  whole: Comparison,
): { slices: SliceResult[]; notes: string[] } {
  const notes: string[] = [];
  const found = question.slices.flatMap((column) => sliceBy(pair, column, notes));
  const judged = found.map((slice) => {
    const part = takePair(pair, slice.rows);
    const clusters = clusterOf(part, question, whole.metric);
    const isLarge = slice.rows.length >= SMALLEST_SLICE_ROWS && clusters.count >= SMALLEST_SLICE_CLUSTERS;
    const judge = (alpha: number) =>
      judgePaired(scoresOf(part, clusters.of), {
        metric: whole.metric,
        alpha,
        delta: whole.margin,
        seed: part.seed,
      });
    return { ...slice, clusters: clusters.count, judge: isLarge ? judge : undefined };
  });
  const worse = findWorse(
    judged.map(({ judge }) => judge),
    question.alpha,
  );
  const slices = judged.map(({ column, value, rows, clusters }, index): SliceResult => {
    const base = { column, value, rows: rows.length, clusters };
    const last = worse[index];
    if (last === undefined) return { ...base, result: 'too small to judge' };
    const { estimate, lo, hi, alpha, verdict } = last;
    const result = verdict === 'worse' ? 'worse' : 'not shown worse';
    return { ...base, result, estimate, lo, hi, alpha };
  });
  return { slices, notes };
}

type Judged = ReturnType<typeof judgePaired>;

/**
 * Holm's steps: the most convincing at alpha/m, and only then the next at alpha/(m − 1). What is not shown worse at
 * 5 %, which takes few resamples, is not at less.
 */
function findWorse(
  judges: readonly (((alpha: number) => Judged) | undefined)[],
  alpha: number,
): (Judged | undefined)[] {
  const results: (Judged | undefined)[] = judges.map(() => undefined);
  const all = judges.flatMap((judge, index) => (judge ? [{ judge, index }] : []));
  for (const { judge, index } of all) results[index] = judge(Math.max(alpha, FIRST_ALPHA));
  let left = all.filter(({ index }) => results[index]?.verdict === 'worse');
  const others = all.length - left.length;
  while (left.length > 0) {
    const share = alpha / (left.length + others);
    for (const { judge, index } of left) results[index] = judge(share);
    const rest = left.filter(({ index }) => results[index]?.verdict !== 'worse');
    if (rest.length === left.length) break;
    left = rest;
  }
  return results;
}

function sliceBy(
  pair: ScoredPair,
  column: string,
  notes: string[],
): { column: string; value: string; rows: number[] }[] {
  if (!pair.rows.some((row) => Object.hasOwn(row, column))) {
    notes.push(`the evaluation rows have no column '${column}' to slice by`);
    return [];
  }
  const values = new Map<string, number[]>();
  for (const [index, row] of pair.rows.entries()) {
    const cell = row[column] as string | number | boolean | null | undefined;
    const value = cell == null ? '(missing)' : String(cell);
    const rows = values.get(value);
    if (rows) rows.push(index);
    else values.set(value, [index]);
  }
  const all = [...values].map(([value, rows]) => ({ column, value, rows }));
  if (all.length <= MAX_SLICE_VALUES) return all;
  notes.push(
    `'${column}' has ${all.length} values: only the ${MAX_SLICE_VALUES} most frequent are looked at as slices`,
  );
  return all.sort((a, b) => b.rows.length - a.rows.length).slice(0, MAX_SLICE_VALUES);
}

function clusterOf(pair: ScoredPair, { cluster, blocks }: GateQuestion, metric: GateMetric): Clusters {
  return clusterRows({
    rows: pair.challenger.rows,
    times: pair.times,
    entities: pair.entities,
    wanted: cluster,
    blocks,
    maxClusters: MAX_CLUSTERS[metric] ?? MAX_CLUSTERS_OTHERWISE,
    seed: pair.seed,
  });
}

function scoresOf({ challenger, champion, classes }: ScoredPair, clusters: Int32Array): PairedScores {
  return {
    task: classes === undefined ? 'regression' : classes.length === 2 ? 'binary' : 'multiclass',
    ...(classes === undefined ? {} : { classes: classes.length }),
    labels: challenger.labels,
    champion: champion.answers,
    challenger: challenger.answers,
    clusters,
  };
}

/** The same pair on some of its rows. */
export function takePair(pair: ScoredPair, rows: readonly number[]): ScoredPair {
  const width = pair.classes?.length ?? 1;
  return {
    ...pair,
    challenger: takeScored(pair.challenger, rows, width),
    champion: takeScored(pair.champion, rows, width),
    rows: rows.map((row) => pair.rows[row] as Record<string, unknown>),
    times: pair.times && Float64Array.from(rows, (row) => pair.times?.[row] as number),
    entities: pair.entities && rows.map((row) => pair.entities?.[row]),
  };
}

function takeScored(scored: ScoredModel, rows: readonly number[], width: number): ScoredModel {
  const answers = new Float32Array(rows.length * width);
  for (let i = 0; i < rows.length; i++)
    for (let k = 0; k < width; k++)
      answers[i * width + k] = scored.answers[(rows[i] as number) * width + k] as number;
  const labels =
    scored.labels instanceof Int32Array
      ? Int32Array.from(rows, (row) => scored.labels[row] as number)
      : Float64Array.from(rows, (row) => scored.labels[row] as number);
  return { ...scored, answers, labels, rows: rows.length };
}
