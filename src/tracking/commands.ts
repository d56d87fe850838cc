import { ApiError, type Command, command } from '../platform/index.ts';
import { createDatasetInputStore } from './dataset-input-store.ts';
import { createExperimentStore } from './experiment-store.ts';
import { createMetricStore } from './metric-store.ts';
import { createRunStore, type NewRun } from './run-store.ts';
import type { DatasetInput, KeyValue, LifecycleStage, Metric, RunInfo, RunStatus } from './tables.ts';

export { trackingMigrations } from './migrations.ts';

export const createExperiment = command(
  'experiment.create',
  (tx, input: { name: string; artifactLocation?: string; tags: KeyValue[]; now: number }) =>
    createExperimentStore(tx).create(input),
);

export const renameExperiment = command(
  'experiment.rename',
  async (tx, { experimentId, name, now }: { experimentId: number; name: string; now: number }) => {
    const experiments = createExperimentStore(tx);
    const { lifecycleStage } = await experiments.get(experimentId);
    if (lifecycleStage !== 'active')
      throw new ApiError('INVALID_PARAMETER_VALUE', 'Cannot rename a non-active experiment.');
    await experiments.rename(experimentId, name, now);
  },
);

export const setExperimentStage = command(
  'experiment.setLifecycleStage',
  async (tx, { experimentId, stage, now }: { experimentId: number; stage: LifecycleStage; now: number }) => {
    const experiments = createExperimentStore(tx);
    const { lifecycleStage } = await experiments.get(experimentId);
    if (lifecycleStage === stage) {
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        `The experiment ${experimentId} must be in the '${stage === 'active' ? 'deleted' : 'active'}' state. Current state is ${lifecycleStage}.`,
      );
    }
    await experiments.setLifecycleStage(experimentId, stage, now);
    await createRunStore(tx).setLifecycleStageOfExperiment(experimentId, stage, now);
  },
);

export const setExperimentTag = command(
  'experiment.setTag',
  async (tx, { experimentId, tag, now }: { experimentId: number; tag: KeyValue; now: number }) => {
    const experiments = createExperimentStore(tx);
    const { lifecycleStage } = await experiments.get(experimentId);
    if (lifecycleStage !== 'active') {
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        `The experiment ${experimentId} must be in the 'active' state. Current state is ${lifecycleStage}.`,
      );
    }
    await experiments.setTag(experimentId, tag, now);
  },
);

export const deleteExperimentTag = command(
  'experiment.deleteTag',
  async (tx, { experimentId, key }: { experimentId: number; key: string }) => {
    const experiments = createExperimentStore(tx);
    await experiments.get(experimentId);
    if (!(await experiments.deleteTag(experimentId, key))) {
      throw new ApiError(
        'RESOURCE_DOES_NOT_EXIST',
        `No tag with name: ${key} in experiment with id ${experimentId}`,
      );
    }
  },
);

export const createRun = command(
  'run.create',
  async (tx, input: Omit<NewRun, 'artifactUri'>): Promise<void> => {
    const experiment = await createExperimentStore(tx).get(input.experimentId);
    if (experiment.lifecycleStage !== 'active') {
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        `The experiment ${experiment.experimentId} must be in the 'active' state. Current state is ${experiment.lifecycleStage}.`,
      );
    }
    const artifactUri = `${experiment.artifactLocation.replace(/\/$/, '')}/${input.runId}/artifacts`;
    await createRunStore(tx).create({ ...input, artifactUri });
  },
);

export const updateRun = command(
  'run.update',
  (
    tx,
    { runId, ...change }: { runId: string; status?: RunStatus; endTime?: number; runName?: string },
  ): Promise<RunInfo> => createRunStore(tx).update(runId, change),
);

export const setRunStage = command(
  'run.setLifecycleStage',
  (tx, { runId, stage, now }: { runId: string; stage: LifecycleStage; now: number }) =>
    createRunStore(tx).setLifecycleStage(runId, stage, now),
);

export const logMetric = command(
  'run.logMetric',
  (tx, { runId, metric }: { runId: string; metric: Metric }) => createMetricStore(tx).logPoint(runId, metric),
);

export const logBatch = command(
  'run.logBatch',
  async (
    tx,
    {
      runId,
      metrics,
      params,
      tags,
    }: { runId: string; metrics: Metric[]; params: KeyValue[]; tags: KeyValue[] },
  ) => {
    const runs = createRunStore(tx);
    await runs.getActive(runId);
    for (const param of params) await runs.logParam(runId, param);
    const store = createMetricStore(tx);
    for (const metric of metrics) await store.logPoint(runId, metric);
    for (const tag of tags) await runs.setTag(runId, tag);
  },
);

export const deleteRunTag = command(
  'run.deleteTag',
  async (tx, { runId, key }: { runId: string; key: string }) => {
    const runs = createRunStore(tx);
    await runs.getActive(runId);
    await runs.deleteTag(runId, key);
  },
);

export const logDatasetInputs = command(
  'run.logInputs',
  async (tx, { runId, inputs }: { runId: string; inputs: DatasetInput[] }) => {
    const run = await createRunStore(tx).getActive(runId);
    const store = createDatasetInputStore(tx);
    for (const input of inputs) await store.log(run, input);
  },
);

export const trackingCommands: Command<any, any>[] = [
  createExperiment,
  renameExperiment,
  setExperimentStage,
  setExperimentTag,
  deleteExperimentTag,
  createRun,
  updateRun,
  setRunStage,
  logMetric,
  logBatch,
  deleteRunTag,
  logDatasetInputs,
];
