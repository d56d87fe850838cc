import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createDatasetStore, datasetKey } from '../../datasets/index.ts';
import type { StepContext } from '../../jobs/index.ts';
import { ApiError } from '../../platform/index.ts';
import { createExperiment, createExperimentStore, trackingKey } from '../../tracking/index.ts';
import type { PipelineDeps } from '../pipeline-deps.ts';
import { durationMs, gatePolicySchema } from '../project/policy-schemas.ts';
import { trainingParameters } from '../project/project-schema.ts';
import type { TrainedResult, TrainTask } from '../step-handlers.ts';
import type { IngestedWindow } from './ingested-window.ts';
import type { RetrainInput } from './retrain-input.ts';
import type { StepRunner } from './step-tasks.ts';

/** A model whose files lie where its run's artifacts do, before the run is recorded. */
export interface TrainedModel extends Omit<TrainedResult, 'files'> {
  experimentId: number;
  /** The run that will be recorded of it: always the same for one step. */
  trackingRunId: string;
  startedAt: number;
  endedAt: number;
}

const SEED = 1;
const TEST_SHARE = 0.2;
/** Of a short history at least this share is learned from, however long the evaluation should be. */
const LEAST_TRAINING_SHARE = 0.5;
const HOUR_MS = 3_600_000;

export function createTrainer(deps: PipelineDeps, runner: StepRunner) {
  const { database, artifacts, clock, workFolder } = deps;
  const datasets = createDatasetStore(database.reader);

  async function experimentOf(model: string): Promise<number> {
    const experiments = createExperimentStore(database.reader);
    const found = await experiments.findByName(model);
    if (found) return found.experimentId;
    try {
      return await database.execute(createExperiment, { name: model, tags: [], now: clock.now() });
    } catch (error) {
      // Another training made it in between.
      const other = error instanceof ApiError ? await experiments.findByName(model) : undefined;
      if (other) return other.experimentId;
      throw error;
    }
  }

  /** The newest rows are held out, as far as enough older ones are left to learn from. */
  function splitOf(
    { config }: RetrainInput,
    { from, to, time }: IngestedWindow,
    oldest: number | undefined,
    step: StepContext,
  ): TrainTask['options']['split'] {
    const start = Math.max(from ?? Number.NEGATIVE_INFINITY, oldest ?? Number.NEGATIVE_INFINITY);
    if (time === undefined || to === undefined || !Number.isFinite(start)) return { testShare: TEST_SHARE };
    const { evaluate } = gatePolicySchema.parse(config.gate ?? {});
    const wanted = to - durationMs(evaluate);
    const latest = start + LEAST_TRAINING_SHARE * (to - start);
    const testFrom = Math.max(wanted, latest);
    if (testFrom > wanted) {
      step.log(
        `the rows span ${Math.round((to - start) / HOUR_MS)} hours: the newest half is held out, not the newest ${evaluate}`,
      );
    }
    return { kind: 'time', testFrom: Math.floor(testFrom) };
  }

  return {
    async train(input: RetrainInput, window: IngestedWindow, step: StepContext): Promise<TrainedModel> {
      const { model, config } = input;
      const { data, train, features } = config;
      const version = await datasets.getVersion(window.dataset, window.version);
      const columns = new Set(version.schema.map(({ name }) => name));
      const oldest = version.statistics.columns.find(({ name }) => name === window.time)?.min;
      const experimentId = await experimentOf(model);
      const trackingRunId = createHash('sha256').update(step.key).digest('hex').slice(0, 32);
      await mkdir(workFolder, { recursive: true });
      const folder = await mkdtemp(join(workFolder, 'train-'));
      const startedAt = clock.now();
      try {
        const task: TrainTask = {
          folder,
          options: {
            table: {
              parquetPath: await artifacts.localPath(datasetKey(version)),
              name: version.name,
              version: version.version,
              digest: version.digest,
              rows: version.rows,
              schema: version.schema,
              notes: version.notes,
            },
            name: model,
            target: window.target,
            ...(data.id !== undefined && { id: data.id }),
            ...(window.time !== undefined && { time: window.time }),
            // What the target is made of is not among the columns of a window.
            ignore: (data.ignore ?? []).filter((column) => columns.has(column)),
            ...(features !== undefined && { features }),
            algorithm: train.algorithm,
            params: trainingParameters(train),
            seed: train.seed ?? SEED,
            split: splitOf(input, window, toMs(oldest), step),
            codeVersion: deps.codeVersion,
            runId: trackingRunId,
          },
        };
        const { files, ...trained } = await runner.run<TrainedResult>(
          { name: 'train', input: task },
          { signal: step.signal, onLog: step.log, onProgress: step.progress },
        );
        for (const { path, file } of files) {
          const key = trackingKey(`${experimentId}/${trackingRunId}/artifacts/${path}`);
          await artifacts.put(key, createReadStream(file, { highWaterMark: 2 ** 20 }));
        }
        for (const warning of trained.warnings) step.log(`warning: ${warning}`);
        step.log(trained.description);
        return { ...trained, experimentId, trackingRunId, startedAt, endedAt: clock.now() };
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

function toMs(value: number | string | null | undefined): number | undefined {
  if (value === null || value === undefined) return undefined;
  return typeof value === 'number' ? value : Date.parse(value);
}
