import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { HttpClient } from '../http/http-client.ts';
import { CliError, usageError } from '../terminal/cli-error.ts';
import { interruption } from '../terminal/interruption.ts';
import { formatBytes, type Terminal } from '../terminal/terminal.ts';

export interface TrainOptions {
  target: string;
  name: string;
  data?: string;
  format?: 'csv' | 'parquet' | 'jsonl';
  id?: string;
  time?: string;
  ignore?: string[];
  text?: string[];
  feature?: Record<string, string>;
  algorithm: 'gradient-boosting' | 'linear';
  set?: Record<string, string | number | boolean>;
  classWeight?: string;
  split?: 'stratified' | 'random' | 'time';
  testShare: number;
  seed: number;
  experiment?: string;
  /** False for `--no-keep-rows`. */
  keepRows: boolean;
  promote?: boolean;
  reason?: string;
  url?: string;
}

export type Trained = Awaited<ReturnType<typeof trainModel>>;

/** Trains on a file or a dataset of the platform, records the run and registers the version; shows how far it is. */
export async function trainModel(
  terminal: Terminal,
  client: HttpClient,
  file: string | undefined,
  options: TrainOptions,
) {
  if ((file === undefined) === (options.data === undefined))
    throw usageError('give either a file or --data DATASET');
  if (options.split === 'time' && options.time === undefined && file !== undefined) {
    throw usageError('--split time needs --time COLUMN, to know which rows are the newest');
  }
  // Before minutes of work: a wrong name or parameter, a server that is not there, is said now.
  await checkNames(options);
  const { findExperiment, registerVersion, startRun } = await import('./track-training.ts');
  const experimentId = await findExperiment(client, options.experiment ?? options.name);
  const { readVersion } = await import('../terminal/read-version.ts');
  const { runTraining } = await import('../../training/index.ts');
  const workDir = await mkdtemp(join(tmpdir(), 'tidemill-train-'));
  const startedAt = performance.now();
  try {
    const source =
      file !== undefined
        ? {
            path: resolve(terminal.io.cwd, file),
            ...(options.format !== undefined && { format: options.format }),
          }
        : await fetchDataset(terminal, client, options.data as string, workDir);
    const trained = await runTraining({
      source,
      name: options.name,
      target: options.target,
      ...(options.id !== undefined && { id: options.id }),
      ...(options.time !== undefined && { time: options.time }),
      ...(options.ignore !== undefined && { ignore: options.ignore }),
      ...(options.text !== undefined && { text: options.text }),
      ...(options.feature !== undefined && { features: options.feature }),
      algorithm: options.algorithm,
      params: {
        ...options.set,
        ...(options.classWeight !== undefined && { class_weight: options.classWeight }),
      },
      seed: options.seed,
      split: { ...(options.split !== undefined && { kind: options.split }), testShare: options.testShare },
      codeVersion: readVersion(),
      workDir,
      ...(options.keepRows && {
        keepTable: (table) => keepTable(terminal, client, file as string, options, table),
      }),
      signal: interruption(terminal.io),
      recordRun: (start) => startRun(client, experimentId, start),
      registerVersion: (version) => registerVersion(client, experimentId, version),
      onStage: ({ stage, done }) => terminal.progress({ label: stage, done: done ?? 0, total: 1 }),
      onProgress: ({ iteration, total, metric, value }) =>
        terminal.progress({
          label: 'train',
          done: iteration,
          total,
          detail: `${iteration}/${total}  ${metric} ${value.toFixed(5)}`,
        }),
    });
    return { ...trained, durationMs: performance.now() - startedAt };
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw new CliError('interrupted', { exit: 'interrupted' });
    throw error;
  } finally {
    terminal.closeBar();
    await rm(workDir, { recursive: true, force: true });
  }
}

/** Checks what needs neither rows nor a server: the model's name and the parameters. */
async function checkNames({ name, algorithm, set, classWeight }: TrainOptions): Promise<void> {
  const { checkModelName } = await import('../../registry/index.ts');
  const { parseParameters } = await import('../../training/index.ts');
  const { ApiError } = await import('../../platform/index.ts');
  try {
    checkModelName(name);
    parseParameters(algorithm, {
      ...set,
      ...(classWeight !== undefined && { class_weight: classWeight }),
    });
  } catch (error) {
    throw error instanceof ApiError ? usageError(error.message) : error;
  }
}

/** The dataset that keeps the files which a model was trained on by hand; retraining has one of its own. */
const fileDatasetOf = (model: string): string =>
  `${model.replace(/[^\p{L}\p{N}._-]/gu, '-').slice(0, 120)}.file`.replace(/^[^\p{L}\p{N}]+/u, '');

async function keepTable(
  terminal: Terminal,
  client: HttpClient,
  file: string,
  { name, id, time }: TrainOptions,
  { parquetPath }: { parquetPath: string },
) {
  const { addDataset } = await import('../datasets.ts');
  const kept = await addDataset(terminal, client, fileDatasetOf(name), parquetPath, {
    filename: basename(file),
    format: 'parquet',
    ...(id !== undefined && { id }),
    ...(time !== undefined && { time }),
  });
  return { name: kept.name, version: kept.version };
}

/** Downloads a dataset version's canonical Parquet file. */
async function fetchDataset(terminal: Terminal, client: HttpClient, ref: string, folder: string) {
  const { createWriteStream } = await import('node:fs');
  const { Readable } = await import('node:stream');
  const { pipeline } = await import('node:stream/promises');
  const { findDataset } = await import('../datasets.ts');
  const version = await findDataset(client, ref);
  const response = await client.download(
    `/api/v1/datasets/${encodeURIComponent(version.name)}/versions/${version.version}/data`,
  );
  if (response.body === null) throw new CliError(`${client.url} sent no data of ${ref}`);
  const parquetPath = join(folder, 'dataset.parquet');
  const total = Number(response.headers.get('content-length')) || undefined;
  let received = 0;
  await pipeline(
    Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const part of chunks) {
        received += part.length;
        terminal.progress({ label: 'download', done: received, total, detail: formatBytes(received) });
        yield part;
      }
    },
    createWriteStream(parquetPath),
  );
  return {
    parquetPath,
    name: version.name,
    version: version.version,
    digest: version.digest,
    rows: version.rows,
    schema: version.schema,
  };
}
