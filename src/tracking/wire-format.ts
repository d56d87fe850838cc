import { ApiError } from '../platform/index.ts';
import type { WireExperiment, WireMetric, WireRun } from './contract.ts';
import type { Experiment, Metric, Run, RunInfo } from './tables.ts';

/** MLflow's wire leaves out empty lists. */
export const unlessEmpty = <T>(list: T[]): T[] | undefined => (list.length > 0 ? list : undefined);

export function toWireExperiment(experiment: Experiment): WireExperiment {
  return {
    experiment_id: String(experiment.experimentId),
    name: experiment.name,
    artifact_location: experiment.artifactLocation,
    lifecycle_stage: experiment.lifecycleStage,
    last_update_time: experiment.lastUpdateTime,
    creation_time: experiment.creationTime,
    tags: unlessEmpty(experiment.tags),
  };
}

export function toWireMetric(metric: Metric): WireMetric {
  return { ...metric, value: Number.isNaN(metric.value) ? 'NaN' : metric.value };
}

export function toWireRunInfo(info: RunInfo): WireRun['info'] {
  return {
    run_uuid: info.runId,
    experiment_id: String(info.experimentId),
    run_name: info.runName,
    user_id: info.userId,
    status: info.status,
    start_time: info.startTime,
    end_time: info.endTime,
    artifact_uri: info.artifactUri,
    lifecycle_stage: info.lifecycleStage,
    run_id: info.runId,
  };
}

export function toWireRun(run: Run): WireRun {
  return {
    info: toWireRunInfo(run.info),
    data: {
      metrics: unlessEmpty(run.metrics.map(toWireMetric)),
      params: unlessEmpty(run.params),
      tags: unlessEmpty(run.tags),
    },
    inputs: {
      dataset_inputs: unlessEmpty(
        run.datasetInputs.map((input) => ({
          tags: unlessEmpty(input.tags),
          dataset: {
            name: input.name,
            digest: input.digest,
            source_type: input.sourceType,
            source: input.source,
            schema: input.schema,
            profile: input.profile,
          },
        })),
      ),
    },
  };
}

/** The run that a request names. */
export function readRunId(input: { run_id?: string | undefined; run_uuid?: string | undefined }): string {
  const runId = input.run_id || input.run_uuid;
  if (!runId) throw new ApiError('INVALID_PARAMETER_VALUE', `Missing value for required parameter 'run_id'.`);
  return runId;
}

/** Experiment ids are integers written as text. */
export function readExperimentId(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new ApiError(
    'RESOURCE_DOES_NOT_EXIST',
    `No Experiment with id=${text.slice(0, 60)} exists: ids are integers, "0" is Default`,
  );
}
