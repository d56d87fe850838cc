import { createDatasetStore } from '../../datasets/index.ts';
import type { StepContext } from '../../jobs/index.ts';
import { ApiError } from '../../platform/index.ts';
import {
  createRegisteredModel,
  createRegisteredModelStore,
  createVersionRegistrar,
} from '../../registry/index.ts';
import {
  createExperimentStore,
  createRun,
  createRunStore,
  logBatch,
  logDatasetInputs,
  updateRun,
} from '../../tracking/index.ts';
import type { PipelineDeps } from '../pipeline-deps.ts';
import type { IngestedWindow } from './ingested-window.ts';
import type { RetrainInput } from './retrain-input.ts';
import type { TrainedModel } from './train-window.ts';
import { trainingDigest } from './training-digest.ts';

const PARAM_LENGTH = 6000;
const TAG_LENGTH = 5000;

/** Records a training as tracking and registry keep it. Each write is such that doing it again changes nothing. */
export function createTrainingRecorder(deps: PipelineDeps) {
  const { database, clock, files } = deps;
  const runs = createRunStore(database.reader);
  const models = createRegisteredModelStore(database.reader);
  const registrar = createVersionRegistrar({ database, clock, files });

  async function recordRun(
    input: RetrainInput,
    window: IngestedWindow,
    trained: TrainedModel,
    step: StepContext,
  ): Promise<void> {
    const { trackingRunId: runId, experimentId, startedAt, endedAt } = trained;
    if ((await runs.find(runId)) === undefined) {
      await database.execute(createRun, {
        runId,
        experimentId,
        runName: `${input.model}-${step.runId}`,
        userId: input.actor,
        startTime: startedAt,
        tags: toPairs(
          {
            'tidemill.code_version': deps.codeVersion,
            'tidemill.data_digest': window.digest,
            'tidemill.environment': `node ${process.version} ${process.platform}-${process.arch}`,
            'mlflow.source.name': 'tidemill retrain',
            'mlflow.source.type': 'JOB',
            'tidemill.job': step.runId,
            'tidemill.cause': input.reason,
          },
          TAG_LENGTH,
        ),
      });
    }
    const metrics = [
      ...trained.course,
      ...Object.entries(trained.metrics).map(([key, value]) => ({ key, value, step: 0 })),
    ].map((point) => ({ ...point, timestamp: endedAt }));
    await database.execute(logBatch, {
      runId,
      metrics,
      params: toPairs(trained.params, PARAM_LENGTH),
      tags: [],
    });
    const version = await createDatasetStore(database.reader).getVersion(window.dataset, window.version);
    await database.execute(logDatasetInputs, {
      runId,
      inputs: [
        {
          name: version.name,
          digest: version.digest,
          sourceType: 'tidemill',
          source: `${version.name}@${version.version}`,
          schema: JSON.stringify(version.schema),
          profile: JSON.stringify({ num_rows: version.rows }),
          tags: [{ key: 'mlflow.data.context', value: 'training' }],
        },
      ],
    });
  }

  async function ensureModel(name: string): Promise<void> {
    const known = await models.get(name).catch((error: unknown) => {
      if (error instanceof ApiError && error.code === 'RESOURCE_DOES_NOT_EXIST') return undefined;
      throw error;
    });
    if (known) return;
    await database
      .execute(createRegisteredModel, { name, description: '', tags: [], now: clock.now() })
      .catch((error: unknown) => {
        if (!(error instanceof ApiError && error.code === 'RESOURCE_ALREADY_EXISTS')) throw error;
      });
  }

  return {
    async record(
      input: RetrainInput,
      window: IngestedWindow,
      trained: TrainedModel,
      step: StepContext,
    ): Promise<{ version: number; runId: string }> {
      const { model } = input;
      const { trackingRunId: runId, experimentId } = trained;
      await recordRun(input, window, trained, step);
      await ensureModel(model);
      const experiment = await createExperimentStore(database.reader).get(experimentId);
      const version = await registrar.register({
        name: model,
        source: `${experiment.artifactLocation.replace(/\/$/, '')}/${runId}/artifacts/model`,
        runId,
        userId: input.actor,
        description: trained.description,
        tags: toPairs(
          {
            ...trained.tags,
            'tidemill.cause': input.reason,
            'tidemill.job': step.runId,
            'tidemill.training_digest': trainingDigest(input, window),
          },
          TAG_LENGTH,
        ),
        idempotencyKey: step.key,
      });
      await database.execute(updateRun, { runId, status: 'FINISHED', endTime: trained.endedAt });
      step.log(`version ${version} of ${model}, run ${runId}`);
      return { version, runId };
    },
  };
}

function toPairs(values: Record<string, unknown>, length: number): { key: string; value: string }[] {
  return Object.entries(values).map(([key, value]) => ({ key, value: String(value).slice(0, length) }));
}
