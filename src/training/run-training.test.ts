import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fixedClock } from '../../tests/support/fixed-clock.ts';
import { makeTable } from '../../tests/support/make-table.ts';
import { tempDir } from '../../tests/support/temp-dir.ts';
import { readHeldOut } from '../datasets/index.ts';
import { createRowCoder, createSession } from '../models/index.ts';
import { type MetricPoint, type RunStart, runTraining } from './index.ts';

/** Keeps what a training records, as tracking and the registry would. */
function createRecorder() {
  const kept = {
    start: undefined as RunStart | undefined,
    points: [] as MetricPoint[],
    artifacts: new Map<string, Uint8Array>(),
    ends: [] as { status: string; endTime: number; reason?: string }[],
    registered: [] as Record<string, unknown>[],
  };
  return {
    kept,
    recordRun: async (start: RunStart) => {
      kept.start = start;
      return {
        runId: 'run-1',
        logMetrics: async (points: MetricPoint[]) => {
          kept.points.push(...points);
        },
        logArtifact: async (path: string, body: Uint8Array | string) => {
          kept.artifacts.set(path, typeof body === 'string' ? readFileSync(body) : body);
        },
        finish: async (end: { status: string; endTime: number; reason?: string }) => {
          kept.ends.push(end);
        },
      };
    },
    registerVersion: async (version: Record<string, unknown>) => {
      kept.registered.push(version);
      return { version: '1' };
    },
  };
}

function writeCsv(path: string): void {
  const table = makeTable({ rows: 400, seed: 1, numeric: 2, categories: [4], dates: 1, missingShare: 0.05 });
  const lines = ['id,a,b,kind,at,target'];
  const [a, b, kind, at] = table.columns as [any, any, any, any];
  for (let i = 0; i < table.rows; i++) {
    const text = (value: number) => (Number.isNaN(value) ? '' : String(value));
    const time = Number.isNaN(at.values[i]) ? '' : new Date(at.values[i]).toISOString();
    const level = kind.categories[kind.codes[i]] ?? '';
    const label = table.classes![table.target[i]!];
    lines.push(`row ${i},${text(a.values[i])},${text(b.values[i])},${level},${time},${label}`);
  }
  writeFileSync(path, `${lines.join('\n')}\n`);
}

const clock = fixedClock();
const base = {
  name: 'model',
  target: 'target',
  id: 'id',
  algorithm: 'gradient-boosting',
  params: { trees: 120, min_leaf: 5 },
  seed: 1,
  split: { testShare: 0.25 },
  codeVersion: '0.1.0',
  clock,
} as const;

describe('a training run', () => {
  it('records parameters, course, metrics and artifacts, and registers a version', async () => {
    const path = join(tempDir(), 'table.csv');
    writeCsv(path);
    const recorder = createRecorder();
    const stages: string[] = [];
    const result = await runTraining({
      ...base,
      ...recorder,
      source: { path },
      onStage: ({ stage }) => stages.push(stage),
    });
    const { kept } = recorder;
    expect(result).toMatchObject({
      name: 'model',
      runId: 'run-1',
      version: '1',
      split: { kind: 'stratified' },
    });
    expect([...new Set(stages)]).toEqual(['ingest', 'plan', 'load', 'train', 'record']);
    expect(kept.start).toMatchObject({
      params: { algorithm: 'gradient-boosting', trees: 120, learning_rate: 0.1, seed: 1, target: 'target' },
      dataset: { name: 'table.csv', digest: result.table.digest, rows: 400 },
      tags: { 'tidemill.code_version': '0.1.0', 'tidemill.data_digest': result.table.digest },
    });
    const course = kept.points.filter((point) => point.key === 'training_log_loss');
    expect(course.map((point) => point.step)).toEqual(Array.from({ length: 120 }, (_, i) => i + 1));
    expect(kept.points.find((point) => point.key === 'roc_auc')?.value).toBe(result.model.metrics['roc_auc']);
    expect([...kept.artifacts.keys()].sort()).toEqual([
      'evaluation/heldout.parquet',
      'evaluation/reference.json',
      'importance.json',
      'model/MLmodel',
      'model/model.onnx',
      'report.json',
    ]);
    expect(JSON.parse(Buffer.from(kept.artifacts.get('report.json')!).toString())).toMatchObject({
      task: 'binary',
      rows: { train: 300, test: 100 },
      data: { digest: result.table.digest },
    });
    expect(kept.registered).toEqual([
      expect.objectContaining({ name: 'model', runId: 'run-1', artifactPath: 'model' }),
    ]);
    expect(kept.ends).toEqual([{ status: 'FINISHED', endTime: clock.now() }]);
  });

  it('names the dataset version that the rows of its file are kept as', async () => {
    const path = join(tempDir(), 'table.csv');
    writeCsv(path);
    const recorder = createRecorder();
    const kept: string[] = [];
    const { table } = await runTraining({
      ...base,
      ...recorder,
      source: { path },
      params: { trees: 2 },
      keepTable: async ({ parquetPath, digest }) => {
        expect(existsSync(parquetPath)).toBe(true);
        kept.push(digest);
        return { name: 'model.file', version: 4 };
      },
    });
    expect(kept).toEqual([table.digest]);
    expect(recorder.kept.start).toMatchObject({
      dataset: { name: 'model.file', source: 'model.file@4', digest: table.digest },
      tags: { 'tidemill.file': 'table.csv' },
    });
  });

  it('learns from derived columns, whose expressions the report keeps', async () => {
    const path = join(tempDir(), 'table.csv');
    writeCsv(path);
    const recorder = createRecorder();
    const features = { month: 'month(at)', sum: 'coalesce(a, 0) + b' };
    const { plan, version } = await runTraining({
      ...base,
      ...recorder,
      source: { path },
      ignore: ['at'],
      features,
    });
    expect(version).toBe('1');
    expect(plan.features.map(({ name }) => name)).toEqual(['a', 'b', 'kind', 'month', 'sum']);
    expect(recorder.kept.start?.params).toMatchObject({ features: 5 });
    const report = JSON.parse(Buffer.from(recorder.kept.artifacts.get('report.json')!).toString());
    expect(report.plan.features.at(-1)).toMatchObject({ name: 'sum', expression: 'coalesce(a, 0) + b' });
    expect(report.plan.inputs.map(({ name }: { name: string }) => name)).toEqual(['a', 'b', 'kind', 'at']);
  });

  it('keeps held-out rows that the model answers as it did for the trainer', async () => {
    const path = join(tempDir(), 'table.csv');
    writeCsv(path);
    const recorder = createRecorder();
    const { model, plan } = await runTraining({ ...base, ...recorder, source: { path } });
    const heldOut = join(tempDir(), 'heldout.parquet');
    writeFileSync(heldOut, recorder.kept.artifacts.get('evaluation/heldout.parquet')!);
    const session = await createSession(recorder.kept.artifacts.get('model/model.onnx')!);
    const { rows, targets } = await readHeldOut(heldOut, { targetName: plan.targetName });
    const { labels } = await session.run(createRowCoder(session.signature).encode(rows));
    await session.release();
    const right = targets.filter((target, i) => target === labels![i]).length;
    expect(targets.length).toBe(100);
    expect(right / 100).toBeCloseTo(model.metrics['accuracy']!, 12);
  });

  it('takes a dataset version, and splits it by time', async () => {
    const path = join(tempDir(), 'table.csv');
    writeCsv(path);
    const parquet = createRecorder();
    const workDir = tempDir();
    const { table } = await runTraining({ ...base, ...parquet, source: { path }, time: 'at', workDir });
    const recorder = createRecorder();
    const { split } = await runTraining({
      ...base,
      ...recorder,
      source: { ...table, name: 'rows', version: 3 },
      time: 'at',
      split: { kind: 'time', testShare: 0.25 },
    });
    expect(split).toMatchObject({ kind: 'time', timeColumn: 'at' });
    expect(recorder.kept.start?.dataset).toMatchObject({ name: 'rows', source: 'rows@3' });
  });

  it('ends as FAILED with the reason when something fails, and registers nothing', async () => {
    const path = join(tempDir(), 'table.csv');
    writeCsv(path);
    const recorder = createRecorder();
    const broken = {
      ...recorder,
      recordRun: async (start: RunStart) => ({
        ...(await recorder.recordRun(start)),
        logArtifact: async () => {
          throw new Error('the disk is full');
        },
      }),
    };
    await expect(runTraining({ ...base, ...broken, source: { path } })).rejects.toThrow('the disk is full');
    expect(recorder.kept.ends).toEqual([
      { status: 'FAILED', endTime: clock.now(), reason: 'the disk is full' },
    ]);
    expect(recorder.kept.registered).toEqual([]);
  });

  it('ends as FAILED when its course cannot be recorded', async () => {
    const path = join(tempDir(), 'table.csv');
    writeCsv(path);
    const recorder = createRecorder();
    const broken = {
      ...recorder,
      recordRun: async (start: RunStart) => ({
        ...(await recorder.recordRun(start)),
        logMetrics: async () => {
          throw new Error('the server is gone');
        },
      }),
    };
    await expect(runTraining({ ...base, ...broken, source: { path } })).rejects.toThrow('the server is gone');
    expect(recorder.kept.ends[0]!.status).toBe('FAILED');
  });

  it('ends as KILLED when it is aborted', async () => {
    const path = join(tempDir(), 'table.csv');
    writeCsv(path);
    const recorder = createRecorder();
    const controller = new AbortController();
    const run = runTraining({
      ...base,
      ...recorder,
      source: { path },
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('interrupted')),
    });
    await expect(run).rejects.toThrow('interrupted');
    expect(recorder.kept.ends).toMatchObject([{ status: 'KILLED', reason: 'interrupted' }]);
  });

  it('refuses a wrong parameter before it reads the file, and a split by no time', async () => {
    const recorder = createRecorder();
    const request = { ...base, ...recorder, source: { path: join(tempDir(), 'table.csv') } };
    await expect(runTraining({ ...request, params: { tree: 1 } })).rejects.toThrow(/did you mean 'trees'/);
    writeCsv(request.source.path);
    await expect(runTraining({ ...request, split: { kind: 'time', testShare: 0.2 } })).rejects.toThrow(
      /name it as the time column/,
    );
    expect(recorder.kept.start).toBeUndefined();
  });
});
