import type { Table, TableColumn, TrainingTask } from '../src/datasets/index.ts';
import { createRandom } from '../src/platform/index.ts';

export interface BenchmarkTable {
  name: string;
  task: TrainingTask;
  rows: number;
  numeric: number;
  /** Levels of each category column. */
  categories: number[];
  missingShare: number;
}

/**
 * Makes a table of normal numbers and skewed categories. The target depends on sums, a product, a sine, a step and the
 * levels' effects, with noise. The product's factors have effects of their own: found by chance alone, it moved the AUC
 * of either side by 0.005 when the bins or the seed changed.
 */
export function makeBenchmarkTable(shape: BenchmarkTable, seed: number): Table {
  const { rows, task } = shape;
  const random = createRandom(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const numbers = Array.from({ length: shape.numeric }, () => Float32Array.from({ length: rows }, normal));
  const [a, b, c, d, e, f, g] = numbers as [Float32Array, ...Float32Array[]];
  const score = Float64Array.from(
    { length: rows },
    (_, i) =>
      a[i]! +
      (b![i]! + 1) * (c![i]! + 1) +
      Math.sin(2 * d![i]!) +
      (e![i]! > 0.5 ? 1 : 0) * f![i]! +
      0.3 * g![i]!,
  );
  const columns: TableColumn[] = numbers.map((values, n) => ({
    name: `x${n}`,
    type: 'numeric',
    source: 'double',
    values,
  }));
  shape.categories.forEach((levels, n) => {
    const effects = Array.from({ length: levels }, normal);
    const codes = Int32Array.from({ length: rows }, () => Math.floor(levels * random() ** 1.5));
    codes.forEach((code, i) => {
      score[i]! += effects[code]!;
    });
    const categories = Array.from({ length: levels }, (_, level) => `level ${level}`);
    columns.push({ name: `c${n}`, type: 'category', codes, categories });
  });
  for (const column of columns) {
    for (let i = 0; i < rows; i++) {
      if (random() >= shape.missingShare) continue;
      if (column.type === 'category') column.codes[i] = -1;
      else column.values[i] = Number.NaN;
    }
  }
  const base = { rows, columns, targetName: 'target', task };
  if (task === 'regression') return { ...base, target: score.map((value) => value + normal()) };
  const logistic = () => {
    const u = random();
    return Math.log(u / (1 - u));
  };
  if (task === 'binary')
    return { ...base, target: score.map((s) => (s + logistic() > 0 ? 1 : 0)), classes: [0, 1] };
  const target = score.map((value) => {
    const noisy = value + logistic();
    return noisy < -1 ? 0 : noisy < 1 ? 1 : 2;
  });
  return { ...base, target, classes: [0, 1, 2] };
}
