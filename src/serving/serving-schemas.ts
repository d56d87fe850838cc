import { z } from 'zod';

const label = z.union([z.string(), z.number(), z.boolean()]);

export const predictionSchema = z
  .object({
    prediction_id: z.string().describe('UUIDv7, unique to this prediction'),
    prediction: label.nullable().describe('The predicted class, or the number of a regression'),
    confidence: z.number().nullable().optional().describe('Probability of the predicted class'),
    probabilities: z
      .record(z.string(), z.number().nullable())
      .optional()
      .describe('Probability of every class'),
    model_version: z.string(),
    variant: z.enum(['champion', 'canary', 'previous']),
    inference_time_ms: z.number().describe('Time of the run that this row was part of'),
  })
  .meta({ id: 'Prediction' });

export const answerSchema = z.union([predictionSchema, z.object({ predictions: z.array(predictionSchema) })]);

const row = z.union([z.record(z.string(), z.unknown()), z.array(z.unknown())]);

export const predictBodySchema = z
  .object({
    features: row.optional().describe("One row: values by column name, or a list in the signature's order"),
    instances: z
      .array(row)
      .min(1)
      .optional()
      .describe('Many rows; the answer has `predictions` in their order'),
    timestamp: z
      .union([z.string(), z.number()])
      .optional()
      .describe('When the event happened: ISO 8601, or milliseconds since 1970'),
  })
  .meta({ id: 'PredictionRequest' });

export const healthSchema = z.object({ status: z.literal('healthy') });

const modelStatusSchema = z.object({
  name: z.string(),
  version: z.string().optional().describe('The version that answers'),
  previous: z.string().optional().describe('The version that an undo would bring back, when it is warm'),
  desired_version: z.string(),
  problem: z.string().optional().describe('Why the desired version does not answer'),
  rollout: z
    .object({
      version: z.string(),
      mode: z.enum(['shadow', 'canary']),
      weight: z.number(),
      is_warm: z
        .boolean()
        .describe('Whether the candidate takes part; until then the champion answers everybody'),
      problem: z.string().optional().describe('Why it does not'),
    })
    .optional()
    .describe('The rollout under way'),
});

export const readySchema = z.object({
  status: z.enum(['ready', 'starting', 'loading', 'draining']),
  model_loaded: z.boolean(),
  reason: z.string().optional(),
  ignored_event_times: z
    .int()
    .optional()
    .describe('With --clock events: events so far ahead of all others that the clock did not follow them'),
  models: z.array(modelStatusSchema),
});

const columnSchema = z.object({
  name: z.string(),
  type: z.string(),
  nullable: z.boolean(),
  categories: z.array(z.string()).optional(),
});

export const modelInfoSchema = z.object({
  name: z.string(),
  version: z.string(),
  previous: z.string().optional(),
  run_id: z.string().optional(),
  framework: z.string(),
  task: z.string(),
  target: z.string(),
  features: z.array(z.string()),
  classes: z.array(label).optional(),
  signature: z.object({ columns: z.array(columnSchema) }),
  example: z.record(z.string(), z.unknown()),
  sha256: z.string(),
  size_bytes: z.int(),
  loaded_at: z.string(),
  runs_in: z.enum(['main-thread', 'worker-thread']),
  measured: z.object({
    load_ms: z.number(),
    create_ms: z.number(),
    row_micros: z.number(),
    batch_row_micros: z.number(),
    memory_bytes: z.number(),
  }),
});

export const modelListSchema = z.object({ models: z.array(modelStatusSchema) });

export const welcomeSchema = z.object({
  name: z.string(),
  version: z.string(),
  models: z.array(z.string()),
  endpoints: z.record(z.string(), z.string()),
});

const feedbackSchema = z
  .object({
    prediction_id: z.string().min(1).max(200).describe('Of the answer that this is the truth of'),
    label: label.describe('The true class, or the true value of a regression'),
    timestamp: z
      .union([z.string(), z.number()])
      .optional()
      .describe('When the truth was known: ISO 8601, or milliseconds since 1970; left out: now'),
  })
  .meta({ id: 'Feedback' });

export const feedbackBodySchema = z.union([feedbackSchema, z.array(feedbackSchema).min(1)]);

export const feedbackAnswerSchema = z.object({
  accepted: z.int().describe('Labels that were kept; a repeat replaces the label of its prediction'),
});
