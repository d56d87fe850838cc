import { z } from 'zod';
import {
  emptyResponse,
  int64,
  keyValueSchema,
  maxResults,
  requiredText,
  textList,
} from './mlflow-protocol.ts';
import { RUN_STATUSES } from './tables.ts';

/** No text of a client is longer than these, so that no check, search or answer of it takes long. */
const shortText = z.string().max(1000);
const longText = z.string().max(100_000);
const pageToken = shortText.optional();

const lifecycleStage = z.enum(['active', 'deleted']);
const viewType = z.enum(['ACTIVE_ONLY', 'DELETED_ONLY', 'ALL']).default('ACTIVE_ONLY');

// Experiments

export const experimentSchema = z.strictObject({
  experiment_id: z.string(),
  name: z.string(),
  artifact_location: z.string(),
  lifecycle_stage: lifecycleStage,
  last_update_time: z.int(),
  creation_time: z.int(),
  tags: z.array(keyValueSchema).optional(),
});
export type WireExperiment = z.infer<typeof experimentSchema>;

const tagInput = z.object({ key: requiredText, value: longText.default('') });

export const createExperimentRequest = z.object({
  name: requiredText,
  artifact_location: z.string().max(4096).optional(),
  tags: z.array(tagInput).default([]),
});
export const createExperimentResponse = z.strictObject({ experiment_id: z.string() });
export const experimentIdRequest = z.object({ experiment_id: requiredText });
export const experimentNameRequest = z.object({ experiment_name: requiredText });
export const experimentResponse = z.strictObject({ experiment: experimentSchema });
export const updateExperimentRequest = z.object({ experiment_id: requiredText, new_name: requiredText });
export const experimentTagRequest = z.object({
  experiment_id: requiredText,
  key: requiredText,
  value: longText.default(''),
});
export const experimentTagKeyRequest = z.object({ experiment_id: requiredText, key: requiredText });
export const searchExperimentsRequest = z.object({
  max_results: maxResults({ standard: 1000, cap: 50_000 }),
  page_token: pageToken,
  filter: longText.default(''),
  order_by: textList.default([]),
  view_type: viewType,
});
export const searchExperimentsResponse = z.strictObject({
  experiments: z.array(experimentSchema).optional(),
  next_page_token: z.string().optional(),
});

// Runs

export const runInfoSchema = z.strictObject({
  run_uuid: z.string(),
  experiment_id: z.string(),
  run_name: z.string(),
  user_id: z.string(),
  status: z.enum(RUN_STATUSES),
  start_time: z.int(),
  end_time: z.int().optional(),
  artifact_uri: z.string(),
  lifecycle_stage: lifecycleStage,
  run_id: z.string(),
});

export const metricSchema = z.strictObject({
  key: z.string(),
  value: z.union([z.number(), z.literal('NaN')]),
  timestamp: z.int(),
  step: z.int(),
});
export type WireMetric = z.infer<typeof metricSchema>;

const datasetInputSchema = z.object({
  tags: z.array(z.object({ key: requiredText, value: longText.default('') })).optional(),
  dataset: z.object({
    name: requiredText,
    digest: requiredText,
    source_type: shortText.default(''),
    source: longText.default(''),
    // MLflow's own limits.
    schema: z.string().max(1_048_575).optional(),
    profile: z.string().max(16_777_215).optional(),
  }),
});

export const runSchema = z.strictObject({
  info: runInfoSchema,
  data: z.strictObject({
    metrics: z.array(metricSchema).optional(),
    params: z.array(keyValueSchema).optional(),
    tags: z.array(keyValueSchema).optional(),
  }),
  inputs: z.strictObject({ dataset_inputs: z.array(datasetInputSchema).optional() }),
});
export type WireRun = z.infer<typeof runSchema>;
export const runResponse = z.strictObject({ run: runSchema });

export const createRunRequest = z.object({
  experiment_id: shortText.default('0'),
  user_id: shortText.default(''),
  run_name: shortText.default(''),
  start_time: int64.optional(),
  tags: z.array(tagInput).default([]),
});

/** Clients of all ages name the run by `run_id`, by `run_uuid`, or by both. */
const runId = { run_id: shortText.optional(), run_uuid: shortText.optional() };

export const runIdRequest = z.object(runId);
export const updateRunRequest = z.object({
  ...runId,
  status: z.enum(RUN_STATUSES).optional(),
  end_time: int64.optional(),
  run_name: shortText.optional(),
});
export const updateRunResponse = z.strictObject({ run_info: runInfoSchema });

const metricValue = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number)]);
const metricInput = {
  key: requiredText,
  value: metricValue,
  timestamp: int64,
  step: int64.default(0),
};
export const logMetricRequest = z.object({ ...runId, ...metricInput });
const paramInput = { key: requiredText, value: z.string().default('') };
export const logParamRequest = z.object({ ...runId, ...paramInput });
export const setTagRequest = z.object({ ...runId, ...paramInput });
export const deleteTagRequest = z.object({ ...runId, key: requiredText });
export const logBatchRequest = z.object({
  ...runId,
  metrics: z.array(z.object(metricInput)).default([]),
  params: z.array(z.object(paramInput)).default([]),
  tags: z.array(z.object(paramInput)).default([]),
});
export const logInputsRequest = z.object({ ...runId, datasets: z.array(datasetInputSchema).default([]) });

export const searchRunsRequest = z.object({
  experiment_ids: z.array(shortText).max(10_000).default([]),
  filter: longText.default(''),
  run_view_type: viewType,
  max_results: maxResults({ standard: 1000, cap: 50_000 }),
  order_by: textList.default([]),
  page_token: pageToken,
});
export const searchRunsResponse = z.strictObject({
  runs: z.array(runSchema).optional(),
  next_page_token: z.string().optional(),
});

export const metricHistoryRequest = z.object({
  ...runId,
  metric_key: requiredText,
  max_results: maxResults({ standard: 25_000, cap: 25_000 }),
  page_token: pageToken,
});
export const metricHistoryResponse = z.strictObject({
  metrics: z.array(metricSchema).optional(),
  next_page_token: z.string().optional(),
});

// Artifacts

export const artifactFileSchema = z.strictObject({
  path: z.string(),
  is_dir: z.boolean(),
  file_size: z.int().optional(),
});
export type WireArtifact = z.infer<typeof artifactFileSchema>;
export const listRunArtifactsRequest = z.object({ ...runId, path: z.string().default('') });
export const listRunArtifactsResponse = z.strictObject({
  root_uri: z.string(),
  files: z.array(artifactFileSchema).optional(),
});
export const listArtifactsResponse = z.strictObject({ files: z.array(artifactFileSchema).optional() });

export { emptyResponse };
