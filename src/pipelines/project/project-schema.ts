import { z } from 'zod';
import { parseParameters } from '../../training/index.ts';
import {
  durationText,
  gatePolicySchema,
  monitorPolicySchema,
  rolloutPolicySchema,
} from './policy-schemas.ts';

const columnName = z.string().min(1).describe('the name of a column');
const columnNames = z.array(columnName).describe('a list of column names');

export const dataSchema = z
  .object({
    format: z
      .enum(['csv', 'parquet', 'jsonl'])
      .optional()
      .describe("'csv', 'parquet' or 'jsonl'; told from the file's name when left out"),
    path: z.string().min(1).optional().describe('the path of a file, relative to the project file'),
    dataset: z
      .string()
      .regex(/^[\p{L}\p{N}][\p{L}\p{N}._-]{0,127}$/u)
      .optional()
      .describe('the name of a dataset of the platform, instead of a file'),
    target: z
      .string()
      .min(1)
      .describe("what to predict: a column, or an expression over columns such as 'delay > 15'"),
    id: columnName.optional(),
    time: columnName.optional(),
    ignore: columnNames.optional(),
    text: columnNames.optional(),
  })
  .superRefine(({ path, dataset, format, text }, context) => {
    const issue = (key: string, message: string) =>
      context.addIssue({ code: 'custom', path: key === '' ? [] : [key], message });
    if ((path === undefined) === (dataset === undefined)) {
      issue('', 'it must name either a file (path) or a dataset of the platform (dataset)');
    }
    if (dataset === undefined) return;
    if (format !== undefined) issue('format', 'a dataset has been read already: leave it out');
    if (text !== undefined) issue('text', 'a dataset has its types already: leave it out');
  })
  .describe("where the rows come from, such as csv('data/churn.csv', { target: 'churned' })");

const parameter = z.union([z.number(), z.string()]).describe('a number or a text');
const seed = z.int().min(0).max(999_999_999).optional().describe('a whole number from 0 to 999999999');
const shared = { seed, classWeight: parameter.optional(), l2: parameter.optional() };

const boostingSchema = z.object({
  algorithm: z.literal('gradient-boosting'),
  ...shared,
  trees: parameter.optional(),
  learningRate: parameter.optional(),
  maxDepth: parameter.optional(),
  maxLeaves: parameter.optional(),
  minLeaf: parameter.optional(),
  subsample: parameter.optional(),
  columnSample: parameter.optional(),
  bins: parameter.optional(),
  earlyStoppingRounds: parameter.optional(),
  validationShare: parameter.optional(),
});

const linearSchema = z.object({
  algorithm: z.literal('linear'),
  ...shared,
  maxIterations: parameter.optional(),
  tolerance: parameter.optional(),
  impute: parameter.optional(),
});

export const trainSchema = z
  .discriminatedUnion('algorithm', [boostingSchema, linearSchema])
  .superRefine((train, context) => {
    try {
      parseParameters(train.algorithm, trainingParameters(train));
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
    }
  })
  .describe('how to learn: gradientBoosting({ … }) or linear({ … })');

/** The causes that may start a retraining by themselves. */
export const RETRAIN_CAUSES = ['drift', 'performance', 'newData'] as const;

export const retrainSchema = z.object({
  schedule: z
    .string()
    .min(1)
    .optional()
    .describe("a cron expression of five fields, such as '0 3 * * 1': Mondays at 03:00"),
  timeZone: z
    .string()
    .refine(isTimeZone)
    .default('UTC')
    .describe("a time zone by its IANA name, such as 'Europe/Berlin'"),
  on: z
    .array(z.enum(RETRAIN_CAUSES))
    .default([])
    .describe(`a list of ${RETRAIN_CAUSES.map((cause) => `'${cause}'`).join(', ')}`),
  newRows: z
    .int()
    .min(1)
    .default(1000)
    .describe('how many newly labelled rows count as new data: a whole number from 1'),
  cooldown: durationText.default('6h'),
  minimumGain: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe(
      "what the version that serves must fall short of its own baseline by, before drift, performance or new data retrain: AUC or accuracy, for losses the share of a guesser's loss; from 0 to 1",
    ),
  window: durationText.optional(),
});

const APPROVE_RIGHT =
  "true (anybody but the system may approve), or the names of those who may: ['ann', 'bob']";

export const modelProjectSchema = z.object({
  data: dataSchema,
  features: z
    .record(z.string().min(1), z.string().min(1))
    .optional()
    .describe('derived columns by name, each an expression over columns, such as { hour: "hour(date)" }'),
  train: trainSchema.default({ algorithm: 'gradient-boosting' }),
  gate: gatePolicySchema.optional(),
  rollout: rolloutPolicySchema.optional(),
  monitor: monitorPolicySchema.optional(),
  retrain: retrainSchema.optional(),
  approve: z
    .union([z.boolean(), z.array(z.string().min(1)).min(1)])
    .optional()
    .describe(APPROVE_RIGHT),
});

/** The longest name leaves room for the dataset of its training rows. */
export const MODEL_NAME = /^[\p{L}\p{N}][\p{L}\p{N}._-]{0,109}$/u;
export const MODEL_NAME_RIGHT =
  'up to 110 letters, digits, dots, dashes and underscores, beginning with a letter or a digit';

export const projectSchema = z.object({
  models: z
    .record(z.string(), modelProjectSchema)
    .refine((models) => Object.keys(models).length > 0)
    .describe('an object with at least one model: { models: { churn: { data: …, train: … } } }'),
});

/** A project as people write it, and as it is kept. */
export type ProjectInput = z.input<typeof projectSchema>;
export type ModelInput = z.input<typeof modelProjectSchema>;
/** A model of a project with every default filled in. */
export type ModelProject = z.output<typeof modelProjectSchema>;
export type Project = z.output<typeof projectSchema>;
export type RetrainPolicy = z.output<typeof retrainSchema>;

/** What is known of the shape but cannot be done yet, by its path. */
export const NOT_BUILT: Record<string, string> = {
  'models.*.tune': 'tuning',
  'models.*.train.command': 'training by a command of your own',
  'models.*.train.image': 'training in a container',
  'models.*.pipeline': 'a pipeline of your own steps',
};

/** The trainer's own parameters, by the names that `--set` takes. */
export function trainingParameters(train: { algorithm: string }): Record<string, string | number> {
  const { algorithm: _algorithm, seed: _seed, ...given } = train as Record<string, string | number>;
  const parameters: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined)
      parameters[name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)] = value;
  }
  return parameters;
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
