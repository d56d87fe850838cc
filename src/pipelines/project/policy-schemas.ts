import { z } from 'zod';
import { gatePolicySchema, rolloutPolicySchema } from '../../delivery/index.ts';
import { monitorPolicySchema } from '../../monitoring/index.ts';
import { DURATION_RIGHT, parseDuration } from '../../platform/index.ts';

export { gatePolicySchema, monitorPolicySchema, rolloutPolicySchema };

/** A duration as it is written: `'10m'`, `'12h'`, `'7d'`. */
export const durationText = z
  .string()
  .refine((text) => parseDuration(text) !== undefined)
  .describe(DURATION_RIGHT);

/** The milliseconds of a text that `durationText` has passed. */
export function durationMs(text: string): number {
  return parseDuration(text) ?? Number.NaN;
}
