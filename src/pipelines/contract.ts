import { z } from 'zod';
import { TRIGGER_KINDS } from './tables.ts';

export const modelParams = z.object({ name: z.string() });

const configSchema = z
  .record(z.string(), z.unknown())
  .describe(
    'the model as the project file has it: data, features, train, gate, rollout, monitor, retrain, approve',
  );

export const projectResponse = z.strictObject({
  models: z.array(
    z.strictObject({
      name: z.string(),
      config: configSchema,
      folder: z.string().describe("where the project file lies; '' for one that came by the API"),
      applied_at: z.int(),
    }),
  ),
});

export const decisionSchema = z
  .strictObject({
    at: z.int().describe("the platform's time, ms since the epoch"),
    cause: z.enum(TRIGGER_KINDS),
    why: z.string().describe('the cause in words'),
    detail: z.record(z.string(), z.unknown()),
    outcome: z.enum(['started', 'skipped']),
    reason: z.string().optional().describe('why it was skipped'),
    expected_gain: z
      .string()
      .optional()
      .describe('what was expected of it in words; its numbers are in detail.expected_gain'),
    run_id: z.string().optional(),
    actor: z.string(),
  })
  .meta({ id: 'RetrainDecision' });

const gainedSchema = z
  .strictObject({
    metric: z.string().optional().describe('left out while nothing is measured'),
    difference: z
      .number()
      .optional()
      .describe('positive when the new version is better than its predecessor'),
    low: z.number().optional(),
    high: z.number().optional(),
    rows: z.int().describe('labelled rows that both versions were scored on'),
    is_final: z.boolean(),
    summary: z.string(),
  })
  .describe('what its promotion brought, by the labels that came after it');

export const pipelineResponse = z.strictObject({
  name: z.string(),
  config: configSchema,
  folder: z.string(),
  active: z.boolean().describe('false when the project does not name the model any more'),
  steps: z.array(z.strictObject({ name: z.string(), meaning: z.string() })),
  next_scheduled_at: z.int().optional().describe('the next time of its schedule'),
  cooldown_until: z.int().optional().describe('left out when nothing keeps a retraining away'),
  decisions: z.array(decisionSchema).describe('newest first'),
  runs: z
    .array(
      z.strictObject({
        run_id: z.string(),
        status: z.string(),
        created_at: z.int(),
        finished_at: z.int().optional(),
        outcome: z.string().optional(),
        version: z.string().optional(),
        summary: z.string().optional(),
        error: z.string().optional(),
        gained: gainedSchema.optional(),
      }),
    )
    .describe('newest first'),
});

export const putPipelineResponse = z.strictObject({
  name: z.string(),
  changed: z.boolean().describe('false when it said the same before'),
});

export const retrainRequest = z
  .object({
    reason: z.string().max(2000).optional().describe('why; kept with the run and the version'),
    trigger: z
      .enum(['webhook', 'hand'])
      .default('webhook')
      .describe('hand: a person asks, so no cooldown keeps it away'),
    idempotency_key: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .describe('the same key again is the same retraining'),
  })
  .prefault({});

export const retrainResponse = z.strictObject({
  name: z.string(),
  run_id: z.string(),
  why: z.string(),
});

export const explanationSchema = z
  .strictObject({
    what: z.string(),
    value: z.string(),
    is_default: z.boolean().describe('no project says otherwise'),
    formula: z.string(),
    source: z.string().describe('the key of the project file, or `built in`'),
  })
  .meta({ id: 'Explanation' });

export const explainResponse = z.strictObject({
  name: z.string(),
  entries: z.array(explanationSchema),
});
