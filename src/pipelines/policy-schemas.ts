import { z } from 'zod';
import { monitorPolicySchema } from '../monitoring/index.ts';
import { DURATION_RIGHT, parseDuration } from '../platform/index.ts';

export const gatePolicySchema = z.looseObject({ evaluate: z.string().default('7d') });
export const rolloutPolicySchema = z.looseObject({});
export { monitorPolicySchema };

/** A duration as it is written: `'10m'`, `'12h'`, `'7d'`. */
export const durationText = z
  .string()
  .refine((text) => parseDuration(text) !== undefined)
  .describe(DURATION_RIGHT);

/** The milliseconds of a text that `durationText` has passed. */
export function durationMs(text: string): number {
  return parseDuration(text) ?? Number.NaN;
}
