import { describe, expect, it } from 'vitest';
import { makeTable } from '../../../tests/support/make-table.ts';
import type { Table } from '../../datasets/index.ts';
import { parseParameters } from '../parameters.ts';
import { fitLinear, scoreLinear } from './fit-linear.ts';
import { minimise } from './lbfgs.ts';
import { solveCholesky } from './solve-ridge.ts';

/** Ten rows whose models were fitted once by scikit-learn 1.9.1 on the standardised columns. */
const a = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const b = [2, 1, 4, 3, 6, 5, 8, 7, 10, 1];
const column = (name: string, values: number[]) =>
  ({ name, type: 'numeric', source: 'double', values: Float32Array.from(values) }) as const;
const table: Table = {
  rows: 10,
  columns: [column('a', a), column('b', b)],
  target: Float64Array.from([1, 2.5, 2, 4, 6, 5.5, 8, 7, 9, 12]),
  targetName: 'y',
  task: 'regression',
};

async function scoresOf(fitted: Table, params: Record<string, number>): Promise<number[][]> {
  const model = await fitLinear(fitted, parseParameters('linear', params), {});
  return scoreLinear(model, fitted).map((scores) => [...scores.subarray(0, 3)]);
}

const digits = (values: number[]) => values.map((value) => Number(value.toFixed(4)));

describe('linear models', () => {
  it('are those of scikit-learn: ridge', async () => {
    expect(digits((await scoresOf(table, { l2: 2 }))[0]!)).toEqual(
      digits([1.61399872, 2.57634284, 3.40282736]),
    );
  });

  it('are those of scikit-learn: logistic', async () => {
    const target = Float64Array.from([0, 0, 1, 0, 1, 0, 1, 1, 1, 1]);
    expect(
      digits((await scoresOf({ ...table, task: 'binary', classes: [0, 1], target }, { l2: 0.5 }))[0]!),
    ).toEqual(digits([-1.74608559, -1.69333922, -0.45902366]));
  });

  it('are those of scikit-learn: multinomial, up to a constant of the row', async () => {
    const target = Float64Array.from([0, 0, 1, 0, 1, 2, 1, 2, 2, 2]);
    const scores = await scoresOf({ ...table, task: 'multiclass', classes: [0, 1, 2], target }, { l2: 0.5 });
    expect(digits(scores[1]!.map((score, i) => score - scores[0]![i]!))).toEqual(
      digits([-1.52250203, -2.12301245, 0.05599167]),
    );
  });

  it('agree between the solvers, in any unit of the target', async () => {
    const wide = makeTable({
      rows: 1500,
      seed: 1,
      task: 'regression',
      numeric: 2,
      categories: [400, 400, 400, 400],
    });
    const narrow = { ...wide, columns: wide.columns.slice(0, 3) };
    const r2Of = async (fitted: Table) => {
      const [scores] = scoreLinear(await fitLinear(fitted, parseParameters('linear', { l2: 1 }), {}), fitted);
      const spread = (values: Float64Array, from: (i: number) => number) =>
        values.reduce((sum, value, i) => sum + (value - from(i)) ** 2, 0);
      const mean = fitted.target.reduce((sum, value) => sum + value, 0) / fitted.rows;
      return 1 - spread(fitted.target, (i) => scores![i]!) / spread(fitted.target, () => mean);
    };
    const wideScore = await r2Of(wide);
    expect(wideScore).toBeGreaterThan(await r2Of(narrow));
    const tiny = { ...wide, target: wide.target.map((value) => value * 1e-7) };
    expect(await r2Of(tiny)).toBeCloseTo(wideScore, 5);
  });
});

describe('solvers', () => {
  it('finds the bottom of a long curved valley', async () => {
    const rosenbrock = (point: Float64Array, gradient: Float64Array) => {
      const [x, y] = [point[0]!, point[1]!];
      gradient[0] = -2 * (1 - x) - 400 * x * (y - x * x);
      gradient[1] = 200 * (y - x * x);
      return (1 - x) ** 2 + 100 * (y - x * x) ** 2;
    };
    const limits = { maxIterations: 200, tolerance: 1e-8 };
    const { point, converged } = await minimise(rosenbrock, Float64Array.of(-1.2, 1), limits);
    expect(converged).toBe(true);
    expect(digits([...point])).toEqual(digits([1, 1]));
    const short = await minimise(rosenbrock, Float64Array.of(-1.2, 1), { ...limits, maxIterations: 3 });
    expect(short).toMatchObject({ converged: false, iterations: 3 });
  });

  it('solves by Cholesky, and gives a column without content no coefficient', () => {
    const solution = solveCholesky(Float64Array.of(4, 2, 0, 0, 3, 0, 0, 0, 0), Float64Array.of(2, 5, 0), 3);
    expect(digits([...solution])).toEqual(digits([-0.5, 2, 0]));
  });
});
