import { join } from 'node:path';
import { exportHeldOut, type SplitSpec, type TrainingPlan } from '../datasets/index.ts';
import type { Clock } from '../platform/index.ts';
import type { Algorithm } from './parameters.ts';
import type { RunRecorder, TrainingTable } from './run-training.ts';
import type { TrainedModel } from './train.ts';
import { writeMlmodel } from './write-mlmodel.ts';

/** Where a run keeps the raw held-out rows that later versions are compared on. */
export const HELD_OUT_PATH = 'evaluation/heldout.parquet';

/** Logs what a training leaves behind, the model last: who finds it finds the rest. */
export async function recordArtifacts(
  folder: string,
  run: RunRecorder,
  made: {
    table: TrainingTable;
    plan: TrainingPlan;
    split: SplitSpec;
    model: TrainedModel;
    clock: Clock;
    signal?: AbortSignal;
  },
): Promise<void> {
  const { table, plan, split, model } = made;
  const text = (value: unknown) => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
  const { name, version, digest, rows, notes } = table;
  await run.logArtifact(
    'report.json',
    text({ ...model.report, split, plan, data: { name, version, digest, rows, notes } }),
  );
  await run.logArtifact('importance.json', text(model.importance));
  const heldOutPath = join(folder, 'heldout.parquet');
  await exportHeldOut({
    parquetPath: table.parquetPath,
    plan,
    split,
    outPath: heldOutPath,
    signal: made.signal,
  });
  await run.logArtifact(HELD_OUT_PATH, heldOutPath);
  await run.logArtifact('model/model.onnx', model.onnx);
  await run.logArtifact(
    'model/MLmodel',
    new TextEncoder().encode(
      writeMlmodel({ runId: run.runId, createdAt: made.clock.now(), onnx: model.onnx, model }),
    ),
  );
}

/** One line for the version: algorithm and the metrics that say most. */
export function describeModel(algorithm: Algorithm, { metrics, report }: TrainedModel): string {
  const shown = report.task === 'regression' ? (['r2', 'rmse'] as const) : (['roc_auc', 'log_loss'] as const);
  const values = shown.flatMap((key) =>
    metrics[key] === undefined ? [] : [`${key} ${metrics[key].toPrecision(4)}`],
  );
  return `${algorithm}, ${values.join(', ')} on ${report.rows.test} held-out rows`;
}
