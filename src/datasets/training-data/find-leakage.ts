import type { DuckdbSession } from '../duckdb/duckdb-session.ts';
import { rawItems } from '../duckdb/duckdb-vectors.ts';
import { quoteIdentifier } from '../duckdb/quote-sql.ts';
import type { DatasetColumnType, TrainingTask } from '../table.ts';

export interface LeakageQuestion {
  session: DuckdbSession;
  relation: string;
  /** SQL of the target. */
  target: string;
  task: TrainingTask;
  targetDistinct: number;
  /** Rows with a target. */
  rows: number;
}

/** Targets with more different values than this are not compared as names of one another. */
const MAX_RENAMED = 1000;
const SAMPLE_ROWS = 50_000;
const LEAST_SAMPLE_ROWS = 40;
/** At most so many, and at least about ten rows in each, so that both halves know them all. */
const MAX_BINS = 64;
/** What is a copy of a target of numbers. The gate goes by the same, so that it blocks nothing that training takes. */
export const COPY_OF_NUMBERS = {
  /** A copy that is missing in more rows gives little away. */
  leastFilled: 0.5,
  /** What takes fewer values may fit a line by chance, or is a category. */
  leastLevels: 10,
  /** In steps of the rounded one: half a step, and what the line is off by, which is estimated from rounded values. */
  reach: 0.55,
} as const;
/** What explains less is no copy of ten levels, and needs no closer look. */
const LEAST_SCALE_R2 = 0.5;
/** How many rows' weight the overall mean has in a bin. */
const DRAWN = 0.05;

/**
 * Says why a column equals the target up to renaming, on all rows: each value stands for one target and each target for one value,
 * or, where the target is a number, the column is it on another scale, exactly or rounded. Undefined where it does not.
 */
export async function findCopy(
  { session, relation, target, task, targetDistinct, rows }: LeakageQuestion,
  column: { name: string; type: DatasetColumnType; distinct: number; nullable: boolean },
): Promise<string | undefined> {
  const name = quoteIdentifier(column.name);
  const pairs = `(SELECT ${name} AS value, ${target} AS target FROM ${relation}) WHERE target IS NOT NULL`;
  const values = column.distinct + (column.nullable ? 1 : 0);
  const repeated = targetDistinct <= MAX_RENAMED && targetDistinct * 2 <= rows;
  if (repeated && values === targetDistinct) {
    const row = await session.row(
      `SELECT count(*) AS n FROM (SELECT DISTINCT value, target FROM ${pairs} LIMIT ${targetDistinct + 1})`,
    );
    if (Number(row['n']) === targetDistinct) return 'it equals the target up to renaming';
  }
  if (task !== 'regression' || column.type === 'string' || column.type === 'boolean') return undefined;
  const value = column.type === 'datetime' ? 'epoch_ms(value)' : 'value';
  const numbers =
    `(SELECT * FROM (SELECT CAST(${value} AS DOUBLE) AS x, CAST(target AS DOUBLE) AS y FROM ${pairs}) ` +
    'WHERE isfinite(x) AND isfinite(y))';
  const scale = await findScale(session, numbers, rows);
  if (scale === undefined) return undefined;
  return column.nullable ? `where it is filled, ${scale}` : scale;
}

/** Says why x is y on another scale, exactly or up to rounding; undefined where it is not, or too seldom filled. */
async function findScale(session: DuckdbSession, numbers: string, rows: number): Promise<string | undefined> {
  const fit = await session.row(
    'SELECT count(*) AS n, regr_r2(y, x) AS r2, ' +
      'regr_slope(y, x) AS slope_y, regr_intercept(y, x) AS origin_y, ' +
      'regr_slope(x, y) AS slope_x, regr_intercept(x, y) AS origin_x, ' +
      `arg_min(y, x) AS y0, arg_max(y, x) AS y1, min(x) AS x0, max(x) AS x1 FROM ${numbers}`,
  );
  const of = (key: string) => Number(fit[key]);
  if (of('n') < COPY_OF_NUMBERS.leastFilled * rows || !(of('r2') >= LEAST_SCALE_R2)) return undefined;
  const number = (given: number) => `CAST('${given}' AS DOUBLE)`;
  const error = async (column: 'x' | 'y', line: string) =>
    Number(
      (await session.row(`SELECT max(abs(${column} - (${line}))) AS largest FROM ${numbers}`))['largest'],
    );
  const [x0, y0] = [of('x0'), of('y0')];
  const range = of('y1') - y0;
  const slope = range / (of('x1') - x0);
  const exact = `${number(y0)} + ${number(slope)} * (x - ${number(x0)})`;
  if ((await error('y', exact)) <= 1e-9 * Math.abs(range))
    return slope === 1 && y0 === x0 ? 'it equals the target' : 'it is the target on another scale';
  const grid = { x: await findGrid(session, 'x', numbers), y: await findGrid(session, 'y', numbers) };
  if (Math.min(grid.x.levels, grid.y.levels) < COPY_OF_NUMBERS.leastLevels) return undefined;
  for (const [rounded, other] of [
    ['x', 'y'],
    ['y', 'x'],
  ] as const) {
    const line = `${number(of(`origin_${rounded}`))} + ${number(of(`slope_${rounded}`))} * ${other}`;
    if ((await error(rounded, line)) <= COPY_OF_NUMBERS.reach * grid[rounded].step)
      return 'it is the target up to rounding';
  }
  return undefined;
}

/** How many values a column has, and the smallest distance between two. */
async function findGrid(
  session: DuckdbSession,
  column: 'x' | 'y',
  numbers: string,
): Promise<{ levels: number; step: number }> {
  const row = await session.row(
    `SELECT count(*) AS levels, min(step) AS step FROM (SELECT ${column} - lag(${column}) OVER (ORDER BY ${column}) AS step FROM (SELECT DISTINCT ${column} FROM ${numbers}))`,
  );
  return { levels: Number(row['levels']), step: Number(row['step'] ?? 0) };
}

/**
 * How well a column alone predicts the target, on up to 50,000 rows: bins (or categories) are learned on one half and scored on the
 * other. AUC, for several classes the mean over one against the rest, or R² for regression. Undefined for too few rows.
 */
export async function scoreAlone(
  question: LeakageQuestion,
  column: { name: string; type: DatasetColumnType },
): Promise<{ metric: 'AUC' | 'R²'; value: number } | undefined> {
  const { codes, targets } = await sampleColumn(question, column);
  if (codes.length < LEAST_SAMPLE_ROWS) return undefined;
  if (question.task === 'regression') return { metric: 'R²', value: binnedR2(codes, targets) };
  const classes = [...new Set(targets)];
  const aucs = classes
    .slice(0, 50)
    .map((wanted) =>
      binnedAuc(
        codes,
        targets.map((value) => (value === wanted ? 1 : 0)),
      ),
    )
    .filter((auc) => auc !== undefined);
  if (aucs.length === 0) return undefined;
  return { metric: 'AUC', value: aucs.reduce((sum, auc) => sum + auc, 0) / aucs.length };
}

async function sampleColumn(
  { session, relation, target, task, rows }: LeakageQuestion,
  { name, type }: { name: string; type: DatasetColumnType },
): Promise<{ codes: Int32Array; targets: Float64Array }> {
  const column = quoteIdentifier(name);
  const step = Math.max(1, Math.ceil(rows / SAMPLE_ROWS));
  const text = type === 'string';
  const value = text
    ? `CAST(coalesce(dense_rank() OVER (ORDER BY value), 0) AS DOUBLE)`
    : `coalesce(CAST(${type === 'datetime' ? 'epoch_ms(value)' : 'value'} AS DOUBLE), 'NaN'::DOUBLE)`;
  const outcome =
    task === 'regression' ? 'CAST(target AS DOUBLE)' : 'CAST(dense_rank() OVER (ORDER BY target) AS DOUBLE)';
  const drawn =
    `SELECT position, value, target FROM (SELECT row_number() OVER () AS position, ${column} AS value, ${target} AS target FROM ${relation}) ` +
    `WHERE target IS NOT NULL AND hash(position) % ${step} = 0`;
  const values: number[] = [];
  const targets: number[] = [];
  for await (const chunk of session.chunks(`SELECT ${value}, ${outcome} FROM (${drawn}) ORDER BY position`)) {
    values.push(...rawItems<Float64Array>(chunk, 0));
    targets.push(...rawItems<Float64Array>(chunk, 1));
  }
  const numbers = Float64Array.from(values);
  return {
    codes: text ? Int32Array.from(numbers) : cutIntoBins(numbers),
    targets: Float64Array.from(targets),
  };
}

/** The bin of each value: bins hold about as many values each, equal values share one; missing values have bin 0. */
function cutIntoBins(values: Float64Array): Int32Array {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  const edges: number[] = [];
  const bins = Math.min(MAX_BINS, Math.max(2, Math.floor(sorted.length / 10)));
  for (let bin = 1; bin < bins; bin++) {
    const edge = sorted[Math.floor((bin * sorted.length) / bins)];
    if (edge !== undefined && edge !== edges.at(-1)) edges.push(edge);
  }
  return Int32Array.from(values, (value) => {
    if (Number.isNaN(value)) return 0;
    let low = 0;
    let high = edges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value >= edges[middle]!) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  });
}

/** The mean target of each bin over the even rows, drawn a little towards the mean of all, so that rare bins rank below sure ones. */
function learnMeans(codes: Int32Array, targets: ArrayLike<number>): (code: number) => number {
  const sums = new Map<number, { sum: number; count: number }>();
  let total = 0;
  let rows = 0;
  for (let row = 0; row < codes.length; row += 2) {
    const bin = sums.get(codes[row]!) ?? { sum: 0, count: 0 };
    bin.sum += targets[row]!;
    bin.count++;
    sums.set(codes[row]!, bin);
    total += targets[row]!;
    rows++;
  }
  const mean = total / rows;
  return (code) => {
    const bin = sums.get(code);
    return bin ? (bin.sum + DRAWN * mean) / (bin.count + DRAWN) : mean;
  };
}

function binnedR2(codes: Int32Array, targets: Float64Array): number {
  const predict = learnMeans(codes, targets);
  let sum = 0;
  let count = 0;
  for (let row = 1; row < codes.length; row += 2) {
    sum += targets[row]!;
    count++;
  }
  const mean = sum / count;
  let residual = 0;
  let total = 0;
  for (let row = 1; row < codes.length; row += 2) {
    residual += (targets[row]! - predict(codes[row]!)) ** 2;
    total += (targets[row]! - mean) ** 2;
  }
  return total === 0 ? 0 : 1 - residual / total;
}

/** The area under the ROC curve over the odd rows, ties counted half; undefined where one class is missing there. */
function binnedAuc(codes: Int32Array, labels: ArrayLike<number>): number | undefined {
  const predict = learnMeans(codes, labels);
  const byScore = new Map<number, { positive: number; negative: number }>();
  let positives = 0;
  let negatives = 0;
  for (let row = 1; row < codes.length; row += 2) {
    const score = predict(codes[row]!);
    const tied = byScore.get(score) ?? { positive: 0, negative: 0 };
    if (labels[row] === 1) {
      tied.positive++;
      positives++;
    } else {
      tied.negative++;
      negatives++;
    }
    byScore.set(score, tied);
  }
  if (positives === 0 || negatives === 0) return undefined;
  let below = 0;
  let area = 0;
  for (const [, { positive, negative }] of [...byScore].sort((a, b) => a[0] - b[0])) {
    area += positive * (below + negative / 2);
    below += negative;
  }
  return area / (positives * negatives);
}
