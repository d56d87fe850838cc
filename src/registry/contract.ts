import { z } from 'zod';
import { emptyResponse, keyValueSchema, maxResults, requiredText, textList } from '../tracking/index.ts';

// MLflow's wire

/** No text of a client is longer than these, so that no check or search of it takes long. */
const shortText = z.string().max(1000);
const longText = z.string().max(100_000);
const sourceText = requiredText.max(4096);

const tagInput = z.object({ key: z.string(), value: z.string().default('') });

export const modelVersionSchema = z.strictObject({
  name: z.string(),
  version: z.string(),
  creation_timestamp: z.int(),
  last_updated_timestamp: z.int(),
  user_id: z.string().optional(),
  current_stage: z.string(),
  description: z.string(),
  source: z.string(),
  run_id: z.string(),
  status: z.literal('READY'),
  tags: z.array(keyValueSchema).optional(),
  run_link: z.string(),
  aliases: z.array(z.string()).optional(),
});
export type WireModelVersion = z.infer<typeof modelVersionSchema>;

export const registeredModelSchema = z.strictObject({
  name: z.string(),
  creation_timestamp: z.int(),
  last_updated_timestamp: z.int(),
  description: z.string().optional(),
  latest_versions: z.array(modelVersionSchema).optional(),
  tags: z.array(keyValueSchema).optional(),
  aliases: z.array(z.strictObject({ alias: z.string(), version: z.string() })).optional(),
});
export type WireRegisteredModel = z.infer<typeof registeredModelSchema>;

export const registeredModelResponse = z.strictObject({ registered_model: registeredModelSchema });
export const modelVersionResponse = z.strictObject({ model_version: modelVersionSchema });

/** Not of MLflow, whose clients do not send it: why what serves is changed. */
const reason = z
  .string()
  .max(10_000)
  .optional()
  .describe('Why; kept in the history when this changes what serves');

/** Versions are sent as text; some callers send a number. */
const versionText = z.preprocess(
  (value) => (typeof value === 'number' ? String(value) : value),
  requiredText,
);

export const createModelRequest = z.object({
  name: requiredText,
  description: longText.default(''),
  tags: z.array(tagInput).default([]),
});
export const modelNameRequest = z.object({ name: requiredText });
export const deleteModelRequest = z.object({ name: requiredText, reason });
export const renameModelRequest = z.object({ name: requiredText, new_name: requiredText, reason });
export const updateModelRequest = z.object({ name: requiredText, description: longText.default('') });
export const searchRequest = (limits: { standard: number; cap: number }) =>
  z.object({
    filter: z.string().default(''),
    max_results: maxResults(limits),
    order_by: textList.default([]),
    page_token: z.string().optional(),
  });
export const searchModelsResponse = z.strictObject({
  registered_models: z.array(registeredModelSchema).optional(),
  next_page_token: z.string().optional(),
});
export const searchVersionsResponse = z.strictObject({
  model_versions: z.array(modelVersionSchema).optional(),
  next_page_token: z.string().optional(),
});
export const latestVersionsRequest = z.object({ name: requiredText, stages: textList.default([]) });
export const latestVersionsResponse = z.strictObject({
  model_versions: z.array(modelVersionSchema).optional(),
});
export const modelTagRequest = z.object({
  name: requiredText,
  key: requiredText,
  value: z.string().default(''),
});
export const modelTagKeyRequest = z.object({ name: requiredText, key: requiredText });
export const aliasRequest = z.object({ name: requiredText, alias: requiredText });
export const deleteAliasRequest = z.object({ name: requiredText, alias: requiredText, reason });
export const setAliasRequest = z.object({
  name: requiredText,
  alias: requiredText,
  version: versionText,
  reason,
});

export const createVersionRequest = z.object({
  name: requiredText,
  source: sourceText,
  run_id: shortText.default(''),
  run_link: shortText.default(''),
  description: longText.default(''),
  user_id: shortText.default(''),
  tags: z.array(tagInput).default([]),
});
export const versionRequest = z.object({ name: requiredText, version: versionText });
export const deleteVersionRequest = z.object({ name: requiredText, version: versionText, reason });
export const updateVersionRequest = z.object({
  name: requiredText,
  version: versionText,
  description: longText.default(''),
});
export const transitionStageRequest = z.object({
  name: requiredText,
  version: versionText,
  stage: requiredText,
  archive_existing_versions: z
    .preprocess((value) => (value === 'true' ? true : value === 'false' ? false : value), z.boolean())
    .default(false),
  reason,
});
export const versionTagRequest = z.object({
  name: requiredText,
  version: versionText,
  key: requiredText,
  value: z.string().default(''),
});
export const versionTagKeyRequest = z.object({ name: requiredText, version: versionText, key: requiredText });
export const downloadUriResponse = z.strictObject({ artifact_uri: z.string() });

// Tidemill's own

export const championSchema = z
  .strictObject({
    version: z.string(),
    by: z.enum(['alias', 'stage']).describe('What makes it serve: the alias champion, or stage Production'),
    servable: z.boolean(),
    not_servable_reason: z.string().optional(),
    since: z.int().optional().describe('When it began to serve, in ms since the epoch'),
  })
  .meta({ id: 'Champion' });

const modelFields = {
  name: z.string(),
  description: z.string().optional(),
  created_at: z.int(),
  updated_at: z.int(),
  versions: z.int().describe('How many versions there are'),
  latest_version: z.string().optional(),
  aliases: z.record(z.string(), z.string()),
  champion: championSchema.optional(),
};
export const modelSummarySchema = z.strictObject(modelFields).meta({ id: 'ModelSummary' });
export type ModelSummary = z.infer<typeof modelSummarySchema>;

export const versionDetailSchema = z
  .strictObject({
    version: z.string(),
    created_at: z.int(),
    updated_at: z.int(),
    stage: z.string(),
    aliases: z.array(z.string()),
    run_id: z.string().optional(),
    source: z.string(),
    description: z.string().optional(),
    servable: z.boolean(),
    not_servable_reason: z.string().optional(),
    sha256: z.string().optional(),
    size_bytes: z.int().optional(),
    framework: z.string().optional(),
    task: z.string().optional(),
    held_out_sha256: z.string().optional().describe('Digest of the rows that promotions compare on'),
    tags: z.record(z.string(), z.string()),
    metrics: z
      .record(z.string(), z.number().nullable())
      .optional()
      .describe("The run's latest metrics; null is NaN"),
  })
  .meta({ id: 'ModelVersionDetail' });

export const moveSchema = z
  .strictObject({
    revision: z.int(),
    at: z.int(),
    action: z.string(),
    from: z.string().optional(),
    to: z.string().optional(),
    actor: z.string(),
    reason: z.string().optional(),
    evidence: z.unknown().optional(),
    audit_sequence: z.int(),
  })
  .meta({ id: 'ChampionMove' });

export const modelDetailSchema = z
  .strictObject({
    ...modelFields,
    tags: z.record(z.string(), z.string()),
    model_versions: z.array(versionDetailSchema).describe('The newest first'),
    history: z.array(moveSchema).describe('Every change of what served, the newest first'),
  })
  .meta({ id: 'ModelDetail' });

export const modelListSchema = z.strictObject({ models: z.array(modelSummarySchema) });
export const historySchema = z.strictObject({ history: z.array(moveSchema) });
export const modelParams = z.object({ name: z.string() });
export const versionParams = z.object({ name: z.string(), version: z.string() });

export const auditQuery = z.object({
  subject: z.string().optional().describe('For example models/churn'),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  before: z.coerce.number().int().optional().describe('Only entries with a smaller sequence'),
});
export const auditEntrySchema = z
  .strictObject({
    sequence: z.int(),
    at: z.int(),
    actor: z.string(),
    action: z.string(),
    subject: z.string(),
    reason: z.string().optional(),
    evidence: z.unknown().optional(),
    previous_hash: z.string(),
    hash: z.string(),
  })
  .meta({ id: 'AuditEntry' });
export const auditListSchema = z.strictObject({ entries: z.array(auditEntrySchema) });
export const auditVerifySchema = z.strictObject({
  ok: z.boolean(),
  entries: z.int(),
  first_broken: z.int().optional(),
});

export { emptyResponse };
