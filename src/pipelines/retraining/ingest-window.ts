import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  addDatasetVersion,
  type ComposedTable,
  createDatasetStore,
  type DatasetColumn,
  type DatasetVersion,
  datasetKey,
} from '../../datasets/index.ts';
import type { StepContext } from '../../jobs/index.ts';
import { createModelVersionStore } from '../../registry/index.ts';
import type { PipelineDeps } from '../pipeline-deps.ts';
import { durationMs } from '../project/policy-schemas.ts';
import type { ComposeTask, PlannedTarget } from '../step-handlers.ts';
import type { IngestedWindow } from './ingested-window.ts';
import { datasetOf, type RetrainInput, trainingDatasetOf } from './retrain-input.ts';
import type { StepRunner } from './step-tasks.ts';
import { trainingDigest } from './training-digest.ts';
import { type ValidatedTable, validateTable } from './validate-table.ts';

const MOST_TARGETS = 100;

/** Puts the rows of a window together and keeps them as a version. */
export function createTableIngester(deps: PipelineDeps, runner: StepRunner) {
  const { database, artifacts, clock, log, workFolder } = deps;
  const datasets = createDatasetStore(database.reader);
  const versions = createModelVersionStore(database.reader);
  const targets = new Map<string, PlannedTarget>();

  async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
    await mkdir(workFolder, { recursive: true });
    const folder = await mkdtemp(join(workFolder, 'ingest-'));
    try {
      return await work(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** What a target is made of is the same for the same rows. */
  async function planTarget(
    base: DatasetVersion,
    parquetPath: string,
    target: string,
    signal: AbortSignal,
  ): Promise<PlannedTarget> {
    const key = JSON.stringify([base.digest, target]);
    const known = targets.get(key);
    if (known) return known;
    const input = { parquetPath, schema: base.schema, target };
    const planned = await runner.run<PlannedTarget>({ name: 'plan-target', input }, { signal });
    if (targets.size >= MOST_TARGETS) targets.clear();
    targets.set(key, planned);
    return planned;
  }

  const versionOf = (window: Pick<IngestedWindow, 'dataset' | 'version'>): Promise<DatasetVersion> =>
    datasets.getVersion(window.dataset, window.version);

  async function ingest(input: RetrainInput, step: StepContext): Promise<IngestedWindow> {
    const { model, asOf, config } = input;
    const { data } = config;
    const base = await datasets.getVersion(datasetOf(model, config), 'latest');
    const basePath = await artifacts.localPath(datasetKey(base));
    const { signal } = step;
    const planned = await planTarget(base, basePath, data.target, signal);
    const time = base.schema.find(
      ({ name, type, role }) =>
        type === 'datetime' && (data.time === undefined ? role === 'time' : name === data.time),
    )?.name;
    const windowMs = config.retrain?.window === undefined ? undefined : durationMs(config.retrain.window);
    return withFolder(async (folder) => {
      const logPath = join(folder, 'labelled.parquet');
      const columns = base.schema.filter(({ name }) => !planned.targetColumns.includes(name));
      const logged = await log.exportLabelled({
        model,
        // Wide enough for the window to end where the newest label is.
        ...(windowMs !== undefined && { from: asOf - 2 * windowMs, to: asOf + 1 }),
        schema: columns.map(({ name, type }) => ({ name, type })),
        targetName: planned.targetName,
        outPath: logPath,
        signal,
      });
      const rowsEnd = newestOf(base, time);
      const ends = [rowsEnd === undefined ? undefined : rowsEnd + 1, logged.to].filter(
        (end) => end !== undefined,
      );
      // Rows end where labels do, so the window counts back from the newest of them.
      const to = time === undefined || ends.length === 0 ? undefined : Math.min(asOf + 1, Math.max(...ends));
      const from = to === undefined || windowMs === undefined ? undefined : to - windowMs;
      const described: IngestedWindow =
        logged.rows === 0 && from === undefined
          ? {
              dataset: base.name,
              version: base.version,
              digest: base.digest,
              rows: base.rows,
              loggedRows: 0,
              target: data.target,
              targetColumns: planned.targetColumns,
            }
          : await compose(step, {
              input,
              base,
              basePath,
              planned,
              logPath,
              logged: logged.rows,
              time,
              from,
              to,
              folder,
            });
      const window = {
        ...described,
        ...(time !== undefined && { time }),
        ...(from !== undefined && { from }),
        ...(to !== undefined && { to }),
      };
      step.log(
        `${window.rows} rows${window.loggedRows > 0 ? `, ${window.loggedRows} of them logged and labelled` : ''}${span(from, to)}: ${window.dataset}@${window.version}`,
      );
      const unchangedSince = await findSame(input, window);
      return unchangedSince === undefined ? window : { ...window, unchangedSince };
    });
  }

  async function compose(
    step: StepContext,
    parts: {
      input: RetrainInput;
      base: DatasetVersion;
      basePath: string;
      planned: PlannedTarget;
      logPath: string;
      logged: number;
      time: string | undefined;
      from: number | undefined;
      to: number | undefined;
      folder: string;
    },
  ): Promise<IngestedWindow> {
    const { input, base, basePath, planned, logPath, logged, time, from, to, folder } = parts;
    const { data } = input.config;
    const range = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
    const id = data.id ?? base.schema.find(({ role }) => role === 'id')?.name;
    const task: ComposeTask = {
      sources: [
        { parquetPath: basePath, ...range },
        ...(logged > 0 ? [{ parquetPath: logPath, ...range, targetIsComputed: true }] : []),
      ],
      schema: base.schema,
      target: data.target,
      ...(time !== undefined && { time }),
      ...(id !== undefined && { id }),
      outPath: join(folder, 'window.parquet'),
    };
    const composed = await runner.run<ComposedTable>(
      { name: 'compose', input: task },
      { signal: step.signal, onLog: step.log, onProgress: step.progress },
    );
    const name = trainingDatasetOf(input.model);
    const key = datasetKey(composed);
    if (!(await artifacts.head(key))) await artifacts.put(key, createReadStream(composed.path));
    const added = await database.execute(addDatasetVersion, {
      name,
      digest: composed.digest,
      rows: composed.rows,
      sizeBytes: (await stat(composed.path)).size,
      schema: composed.schema,
      statistics: composed.statistics,
      source: {
        kind: 'window',
        base: { name: base.name, version: base.version },
        loggedRows: logged,
        ...range,
        run: step.runId,
      },
      notes: composed.notes,
      createdAt: clock.now(),
      createdBy: input.actor,
      idempotencyKey: step.key,
    });
    if (added.outcome === 'conflict') throw new Error('A window builds on no version and cannot conflict');
    return {
      dataset: name,
      // As they were kept: done again after a crash, the log may have given other rows by now.
      version: added.version.version,
      digest: added.version.digest,
      rows: added.version.rows,
      loggedRows: logged,
      target: composed.targetName,
      targetColumns: planned.targetColumns,
    };
  }

  /** The newest version, when it learned from the same rows in the same way. */
  async function findSame(input: RetrainInput, window: IngestedWindow): Promise<number | undefined> {
    // Who asks by hand, or for the first version, wants one.
    if (input.cause.kind === 'hand' || input.cause.kind === 'first') return undefined;
    const newest = (await versions.list(input.model)).at(-1);
    const digest = newest?.tags.find(({ key }) => key === 'tidemill.training_digest')?.value;
    return digest === trainingDigest(input, window) ? newest?.version : undefined;
  }

  return {
    ingest,

    schemaOf: async (window: IngestedWindow): Promise<DatasetColumn[]> => (await versionOf(window)).schema,

    /** Against the version that the training before learned from, or the dataset where there is none. */
    async validate(input: RetrainInput, window: IngestedWindow): Promise<ValidatedTable> {
      const { model, config } = input;
      const table = await versionOf(window);
      const name = trainingDatasetOf(model);
      const known = (await datasets.list()).some((dataset) => dataset.name === name);
      const earlier = known ? await datasets.listVersions(name) : [];
      const previous =
        earlier.find(({ version }) => window.dataset !== name || version < window.version) ??
        (await datasets.getVersion(datasetOf(model, config), 'latest'));
      const needed = Object.values(config.features ?? {}).join(' ');
      const { ignore = [], id } = config.data;
      return validateTable(table, previous, {
        target: window.target,
        used: (column) =>
          column !== id &&
          !window.targetColumns.includes(column) &&
          (!ignore.includes(column) || column === window.time || needed.includes(column)),
      });
    },
  };
}

function newestOf({ statistics }: DatasetVersion, time: string | undefined): number | undefined {
  const max = statistics.columns.find(({ name }) => name === time)?.max;
  if (max === undefined || max === null) return undefined;
  return typeof max === 'number' ? max : Date.parse(max);
}

function span(from: number | undefined, to: number | undefined): string {
  const text = (ms: number) => `${new Date(ms).toISOString().slice(0, 16)}Z`;
  if (to === undefined) return '';
  return from === undefined ? ` until ${text(to)}` : ` from ${text(from)} to ${text(to)}`;
}
