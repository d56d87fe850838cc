import { z } from 'zod';

export const modelParams = z.object({ name: z.string() });

/** Versions are text on the wire; a number is taken too. */
const versionText = z.preprocess(
  (value) => (typeof value === 'number' ? String(value) : value),
  z.string().min(1),
);

export const promoteRequest = z.object({
  version: versionText,
  reason: z.string().optional().describe('Why; kept in the history and the audit'),
  force: z.boolean().default(false).describe('Promote without, or against, the comparison; needs a reason'),
});

export const decisionSchema = z
  .strictObject({
    verdict: z.enum(['already serving', 'first', 'not worse', 'forced']),
    summary: z.string(),
    evidence: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'PromotionDecision' });

export const promotionSchema = z
  .strictObject({
    name: z.string(),
    from: z.string().optional().describe('What served before'),
    to: z.string(),
    changed: z.boolean().describe('false when the version served already'),
    decision: decisionSchema,
  })
  .meta({ id: 'Promotion' });

export const rollbackRequest = z
  .object({
    reason: z.string().optional().describe('Why; kept in the history and the audit'),
    from: versionText.optional().describe('Roll back only if this version serves'),
  })
  .nullish();

export const rollbackSchema = z
  .strictObject({
    name: z.string(),
    from: z.string().optional(),
    to: z.string(),
    changed: z.literal(true),
  })
  .meta({ id: 'Rollback' });

/** The longest that a question for changes is held. */
export const MAX_WAIT_MS = 30_000;

export const desiredStateQuery = z.object({
  wait_ms: z.coerce
    .number()
    .int()
    .min(0)
    .max(MAX_WAIT_MS)
    .default(0)
    .describe('With If-None-Match: wait so long for a change before 304 is answered'),
});
