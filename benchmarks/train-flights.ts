/**
 * The three million flights, from the raw columns to a checked model: seconds of each stage, peak memory, AUC; beside
 * scikit-learn's HistGradientBoosting on the same split, with the same parts of the date. Prints one JSON line.
 *
 *   PYTHON=/path/to/python node benchmarks/train-flights.ts
 *
 * PYTHON names an interpreter that has scikit-learn; without it, or without scikit-learn, only ours is measured.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadTable, type Table } from '../src/datasets/index.ts';
import { calendarPart, calendarParts } from '../src/features/index.ts';
import { runTraining, type TrainingStage } from '../src/training/index.ts';

const flights = join(
  import.meta.dirname,
  '..',
  'node_modules',
  'vega-datasets',
  'data',
  'flights-3m.parquet',
);
const folder = mkdtempSync(join(tmpdir(), 'tidemill-benchmark-'));
try {
  const cpu: Partial<Record<TrainingStage, number>> = {};
  let stage: TrainingStage | undefined;
  let stageStart = process.cpuUsage();
  const endStage = () => {
    const { user, system } = process.cpuUsage(stageStart);
    if (stage !== undefined) cpu[stage] = seconds((user + system) / 1000);
    stageStart = process.cpuUsage();
  };
  const started = performance.now();
  const trained = await runTraining({
    source: { path: flights },
    name: 'flights',
    target: 'delay > 15',
    algorithm: 'gradient-boosting',
    seed: 1,
    split: { testShare: 0.2 },
    codeVersion: 'benchmark',
    workDir: folder,
    onStage: (next) => {
      if (next.stage === stage) return;
      endStage();
      stage = next.stage;
    },
    recordRun: async () => ({
      runId: 'benchmark',
      logMetrics: async () => {},
      logArtifact: async () => {},
      finish: async () => {},
    }),
    registerVersion: async () => ({ version: '1' }),
  });
  endStage();
  const { durations, model, plan, split, table } = trained;
  const ours = {
    seconds: seconds(performance.now() - started),
    stages: Object.fromEntries(Object.entries(durations).map(([name, ms]) => [name, seconds(ms)])),
    cpuSeconds: cpu,
    peakMemoryMb: Math.round(process.resourceUsage().maxRSS / 1024),
    rocAuc: model.metrics['roc_auc'],
    logLoss: model.metrics['log_loss'],
    modelBytes: model.onnx.byteLength,
    exportCheck: model.exportCheck,
  };
  const { train, test } = await loadTable({ parquetPath: table.parquetPath, plan, split });
  console.log(
    JSON.stringify({
      benchmark: 'train-flights',
      node: process.version,
      rows: { train: train.rows, test: test.rows },
      ours,
      scikitLearn: trainPeer(train, test) ?? 'skipped: PYTHON does not name an interpreter with scikit-learn',
    }),
  );
} finally {
  rmSync(folder, { recursive: true });
}

function trainPeer(train: Table, test: Table): unknown {
  const python = process.env['PYTHON'];
  if (!python) return undefined;
  const trainFeatures = featuresOf(train);
  const testFeatures = featuresOf(test);
  const rows = train.rows + test.rows;
  const matrix = new Float32Array(rows * trainFeatures.length);
  trainFeatures.forEach(({ values }, index) => {
    matrix.set(values, index * rows);
    matrix.set(testFeatures[index]!.values, index * rows + train.rows);
  });
  const target = new Float64Array(rows);
  target.set(train.target);
  target.set(test.target, train.rows);
  writeFileSync(join(folder, 'features.bin'), matrix);
  writeFileSync(join(folder, 'target.bin'), target);
  const categorical = trainFeatures.flatMap(({ isCategory }, index) => (isCategory ? [index] : []));
  const job = {
    folder,
    rows,
    trainRows: train.rows,
    columns: trainFeatures.length,
    categorical,
    task: 'binary',
  };
  const script = join(import.meta.dirname, 'peers', 'train_boosting.py');
  const child = spawnSync(python, [script, JSON.stringify(job)], {
    encoding: 'utf8',
    env: { ...process.env, OMP_NUM_THREADS: '1' },
  });
  if (child.status === 0) return JSON.parse(child.stdout);
  console.error(child.stderr || child.error?.message);
  return undefined;
}

/** The columns as scikit-learn takes them: dates as the parts that our trees see, categories as codes. */
function featuresOf(table: Table): { values: Float32Array; isCategory: boolean }[] {
  return table.columns.flatMap((column) => {
    if (column.type === 'numeric') return { values: column.values, isCategory: false };
    if (column.type === 'datetime') {
      return calendarParts.map((part) => ({ values: calendarPart(part, column.values), isCategory: false }));
    }
    const values = Float32Array.from(column.codes, (code) => (code < 0 ? Number.NaN : code));
    return { values, isCategory: true };
  });
}

function seconds(ms: number): number {
  return Math.round(ms / 10) / 100;
}
