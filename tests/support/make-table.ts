import type { Table, TableColumn, TrainingTask } from '../../src/datasets/index.ts';
import { createRandom } from '../../src/platform/index.ts';

export interface TableRequest {
  rows: number;
  seed: number;
  task?: TrainingTask;
  /** How many columns of each kind. */
  numeric?: number;
  dates?: number;
  /** Levels of each category column. */
  categories?: number[];
  missingShare?: number;
  classes?: (string | number | boolean)[];
}

const DAY_MS = 86_400_000;

/**
 * A table whose target follows from its columns, with noise: a product and a step of numbers, levels of categories, the
 * hour of dates. Every fourth number is whole; dates lie on both sides of 1970.
 */
export function makeTable(request: TableRequest): Table {
  const { rows, seed, task = 'binary', numeric = 4, dates = 0, categories = [], missingShare = 0 } = request;
  const random = createRandom(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const signal = new Float64Array(rows);
  const columns: TableColumn[] = [];
  for (let c = 0; c < numeric; c++) {
    const whole = c % 4 === 3;
    const values = Float32Array.from({ length: rows }, () => (whole ? Math.floor(random() * 6) : normal()));
    values.forEach((value, i) => {
      signal[i]! += whole ? (value > 3 ? 1 : -0.5) : c % 2 === 0 ? value : Math.abs(value);
    });
    columns.push({ name: `number ${c}`, type: 'numeric', source: whole ? 'long' : 'double', values });
  }
  categories.forEach((levels, c) => {
    const effects = Array.from({ length: levels }, () => 1.5 * normal());
    const codes = Int32Array.from({ length: rows }, () => Math.floor(levels * random() ** 2));
    codes.forEach((code, i) => {
      signal[i]! += effects[code]!;
    });
    const names = Array.from({ length: levels }, (_, level) => `level ${level}`);
    columns.push({ name: `category ${c}`, type: 'category', codes, categories: names });
  });
  for (let c = 0; c < dates; c++) {
    const values = Float64Array.from({ length: rows }, () =>
      Math.floor((random() - 0.5) * 80 * 365 * DAY_MS),
    );
    values.forEach((time, i) => {
      signal[i]! += new Date(time).getUTCHours() >= 12 ? 1 : -1;
    });
    columns.push({ name: `date ${c}`, type: 'datetime', values });
  }
  for (const column of columns) {
    for (let i = 0; i < rows; i++) {
      if (random() >= missingShare) continue;
      if (column.type === 'category') column.codes[i] = -1;
      else column.values[i] = Number.NaN;
    }
  }
  const base = { rows, columns, targetName: 'target', task };
  if (task === 'regression')
    return { ...base, target: signal.map((value) => 10 + 3 * value + 0.5 * normal()) };
  const classes = request.classes ?? (task === 'binary' ? ['no', 'yes'] : ['low', 'middle', 'high']);
  const sorted = signal.slice().sort();
  const cuts = classes.slice(1).map((_, k) => sorted[Math.floor(((k + 1) * rows) / classes.length)]!);
  const target = signal.map((value) => cuts.filter((cut) => value + normal() / 2 >= cut).length);
  return { ...base, target, classes };
}

/** The rows `start` to `end` of a table. */
export function sliceTable(table: Table, start: number, end: number): Table {
  const columns = table.columns.map(
    (column): TableColumn =>
      column.type === 'category'
        ? { ...column, codes: column.codes.slice(start, end) }
        : ({ ...column, values: column.values.slice(start, end) } as TableColumn),
  );
  return { ...table, rows: end - start, columns, target: table.target.slice(start, end) };
}
