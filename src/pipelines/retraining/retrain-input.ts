import { z } from 'zod';
import { modelProjectSchema } from '../project/project-schema.ts';
import { TRIGGER_KINDS } from '../tables.ts';

/** What a run of the retraining pipeline is about: fixed when it starts, whatever the project says later. */
export const retrainInputSchema = z.object({
  model: z.string(),
  /** The platform's time when the retraining was decided on, ms since the epoch. */
  asOf: z.int(),
  config: modelProjectSchema,
  cause: z.object({
    kind: z.enum(TRIGGER_KINDS),
    detail: z.record(z.string(), z.unknown()),
  }),
  actor: z.string(),
  reason: z.string(),
});
export type RetrainInput = z.output<typeof retrainInputSchema>;

/** The name of the flow, and of its runs' keys. */
export const RETRAIN_FLOW = 'retrain';

/** The dataset whose rows a model is first trained on. */
export const datasetOf = (model: string, config: { data: { dataset?: string | undefined } }): string =>
  config.data.dataset ?? model;

/** The dataset whose versions are what each retraining learned from. */
export const trainingDatasetOf = (model: string): string => `${model}.training`;
