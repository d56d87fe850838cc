/**
 * Boosted trees against scikit-learn's HistGradientBoosting in the same run: CPU seconds of the training (user and
 * system, all threads, OMP_NUM_THREADS=1 there), and AUC or R² on the same held-out rows. Prints one JSON line.
 *
 *   PYTHON=/path/to/python node benchmarks/train-boosting.ts [--rounds 3]
 *
 * PYTHON names an interpreter that has scikit-learn; without it, or without scikit-learn, only ours is measured.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Table, TableColumn } from '../src/datasets/index.ts';
import { macroAuc, r2, rocAuc } from '../src/statistics/index.ts';
import { boostTrees, scoreRows } from '../src/training/boosting/boost-trees.ts';
import { type ParameterValue, parseParameters } from '../src/training/parameters.ts';
import { toAnswers } from '../src/training/score-answers.ts';
import { type BenchmarkTable, makeBenchmarkTable } from './boosting-tables.ts';

const TRAIN_ROWS = 100_000;
const TEST_ROWS = 50_000;
const parameters = parseParameters('gradient-boosting', { trees: 100, max_depth: 6, max_leaves: 31 });

const rows = TRAIN_ROWS + TEST_ROWS;
const mixed = { rows, numeric: 20, categories: [40, 5], missingShare: 0.1 };
const shapes: BenchmarkTable[] = [
  { name: 'numeric, two classes', task: 'binary', rows, numeric: 20, categories: [], missingShare: 0 },
  { name: 'mixed, two classes', task: 'binary', ...mixed },
  { name: 'mixed, three classes', task: 'multiclass', ...mixed },
  { name: 'mixed, regression', task: 'regression', ...mixed },
];

const { values: flags } = parseArgs({ options: { rounds: { type: 'string', default: '3' } } });
const rounds = Number(flags.rounds);
const folder = mkdtempSync(join(tmpdir(), 'tidemill-benchmark-'));
const results = [];
try {
  for (const shape of shapes) {
    const table = makeBenchmarkTable(shape, 1);
    const train = slice(table, 0, TRAIN_ROWS);
    const test = slice(table, TRAIN_ROWS, rows);
    writeTable(table);
    const ours = [];
    const theirs = [];
    for (let round = 0; round < rounds; round++) {
      ours.push(await trainOurs(train, test));
      const peer = trainPeer(table);
      theirs.push(peer);
    }
    const best = fastest(ours)!;
    const peer = fastest(theirs.filter((result) => result !== undefined));
    results.push({
      table: shape.name,
      rows: TRAIN_ROWS,
      columns: table.columns.length,
      metric: shape.task === 'regression' ? 'r2' : 'roc_auc',
      ours: best,
      scikitLearn: peer ?? 'skipped: PYTHON does not name an interpreter with scikit-learn',
      ...(peer && {
        cpuRatio: round(best.cpuSeconds / peer.cpuSeconds),
        difference: round(best.score - peer.score),
      }),
    });
  }
  const settings: Record<string, ParameterValue> = { ...parameters };
  console.log(
    JSON.stringify({ benchmark: 'train-boosting', node: process.version, rounds, settings, results }),
  );
} finally {
  rmSync(folder, { recursive: true });
}

interface Result {
  cpuSeconds: number;
  score: number;
}

async function trainOurs(train: Table, test: Table): Promise<Result> {
  const before = process.cpuUsage();
  const model = await boostTrees(train, parameters, { seed: 1 });
  const { user, system } = process.cpuUsage(before);
  const answers = toAnswers(test, scoreRows(model, test));
  const score = answers.values
    ? r2(test.target, answers.values)
    : test.classes!.length === 2
      ? rocAuc(
          test.target,
          answers.probabilities.filter((_, i) => i % 2 === 1),
        )
      : macroAuc(test.target, answers.probabilities, test.classes!.length);
  return { cpuSeconds: round((user + system) / 1e6), score: round(score) };
}

function trainPeer(table: Table): Result | undefined {
  const python = process.env['PYTHON'];
  if (!python) return undefined;
  const script = join(import.meta.dirname, 'peers', 'train_boosting.py');
  const categorical = table.columns.flatMap((column, index) => (column.type === 'category' ? [index] : []));
  const job = {
    folder,
    rows,
    trainRows: TRAIN_ROWS,
    columns: table.columns.length,
    categorical,
    task: table.task,
  };
  const child = spawnSync(python, [script, JSON.stringify(job)], {
    encoding: 'utf8',
    env: { ...process.env, OMP_NUM_THREADS: '1' },
  });
  if (child.status !== 0) {
    console.error(child.stderr || child.error?.message);
    return undefined;
  }
  const { cpuSeconds, score } = JSON.parse(child.stdout) as Result;
  return { cpuSeconds: round(cpuSeconds), score: round(score) };
}

/** Columns one after the other as float32, codes of categories too; then the target as float64. */
function writeTable(table: Table): void {
  const matrix = new Float32Array(table.rows * table.columns.length);
  table.columns.forEach((column, index) => {
    const values =
      column.type === 'category'
        ? Float32Array.from(column.codes, (code) => (code < 0 ? Number.NaN : code))
        : column.values;
    matrix.set(values, index * table.rows);
  });
  writeFileSync(join(folder, 'features.bin'), matrix);
  writeFileSync(join(folder, 'target.bin'), table.target);
}

function slice(table: Table, start: number, end: number): Table {
  const columns = table.columns.map(
    (column): TableColumn =>
      column.type === 'category'
        ? { ...column, codes: column.codes.slice(start, end) }
        : ({ ...column, values: column.values.slice(start, end) } as TableColumn),
  );
  return { ...table, rows: end - start, columns, target: table.target.slice(start, end) };
}

function fastest(results: Result[]): Result | undefined {
  return results.toSorted((a, b) => a.cpuSeconds - b.cpuSeconds)[0];
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
