import { z } from 'zod';
import { DECISION_KINDS, OUTCOMES, VERDICTS } from './promotion/decision-store.ts';
import { ROLLOUT_STATES } from './tables.ts';

export const modelParams = z.object({ name: z.string() });

/** Versions are text on the wire; a number is taken too. */
const versionText = z.preprocess(
  (value) => (typeof value === 'number' ? String(value) : value),
  z.string().min(1),
);

const reason = z.string().optional().describe('Why; kept in the history and the audit');

export const promoteRequest = z.object({
  version: versionText,
  reason,
  force: z.boolean().default(false).describe('Promote without, or against, the comparison; needs a reason'),
  now: z.boolean().default(false).describe("Move all requests at once, whatever the policy's steps are"),
  key: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('Promoting again under the same key gives the same answer and does nothing'),
});

export const decisionSchema = z
  .strictObject({
    id: z.int().optional().describe('Its number in the audit'),
    verdict: z.enum(VERDICTS),
    summary: z.string(),
    evidence: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'PromotionDecision' });

export const promotionSchema = z
  .strictObject({
    name: z.string(),
    from: z.string().optional().describe('What served before'),
    to: z.string(),
    changed: z.boolean().describe('true when it serves now and did not before'),
    outcome: z
      .enum(['promoted', 'rollout', 'unchanged'])
      .describe('promoted: it serves; rollout: it begins to, step by step; unchanged: it served already'),
    rollout: z.string().optional().describe('The rollout that began, or that watches what was promoted'),
    decision: decisionSchema,
  })
  .meta({ id: 'Promotion' });

export const rollbackRequest = z
  .object({
    reason,
    from: versionText.optional().describe('Roll back only if this version serves, or is being rolled out'),
  })
  .nullish();

export const rollbackSchema = z
  .strictObject({
    name: z.string(),
    from: z.string().optional(),
    to: z.string(),
    changed: z.literal(true),
    aborted: z
      .string()
      .optional()
      .describe('The rollout that was under way; `to` answers everything again, not only its share'),
  })
  .meta({ id: 'Rollback' });

export const handRequest = z.object({ reason }).nullish();
export const resumeRequest = z
  .object({ reason, skip: z.boolean().default(false).describe('Pass the step without waiting for evidence') })
  .nullish();

export const gainSchema = z
  .strictObject({
    rollout: z.string(),
    version: z.string(),
    predecessor: z.string().describe('What it took the place of'),
    from: z.int().describe('Since then the version serves'),
    until: z.int().optional().describe('The end of the rows that were compared'),
    metric: z.string().optional(),
    difference: z.number().optional().describe('Positive when the version is better; left out: not measured'),
    lo: z.number().optional(),
    hi: z.number().optional(),
    alpha: z.number().optional().describe('One-sided, at each end of the interval'),
    rows: z.int().describe('Labelled rows that both versions were scored on'),
    measured_at: z.int().optional(),
    settles_at: z.int().describe('Labels that come later change nothing any more'),
    is_final: z.boolean(),
    summary: z.string(),
  })
  .meta({ id: 'Gain' });

export const recordedDecisionSchema = z
  .strictObject({
    id: z.int().describe('Its number in the audit'),
    at: z.int(),
    kind: z
      .enum(DECISION_KINDS)
      .describe("What asked: the gate, a rollout's evidence, labels after it, or a person"),
    action: z.string(),
    version: z.string(),
    champion: z.string().optional(),
    verdict: z.enum(VERDICTS),
    outcome: z.enum(OUTCOMES),
    summary: z.string(),
    actor: z.string(),
    reason: z.string().optional(),
    rollout: z.string().optional(),
    key: z.string().optional(),
    evidence: z.record(z.string(), z.unknown()),
    gain: gainSchema.optional().describe('What the promotion brought, by the labels that came after it'),
  })
  .meta({ id: 'Decision' });

const rolloutFields = {
  id: z.string(),
  model: z.string(),
  version: z.string().describe('What is rolled out'),
  champion: z.string().describe('What served when it began: the champion, afterwards the predecessor'),
  state: z.enum(ROLLOUT_STATES),
  goes_on_in: z.enum(ROLLOUT_STATES).optional().describe('The state that a paused rollout goes on in'),
  weight: z.number().describe('Percent of the requests that the version sees (shadow) or answers'),
  steps: z.array(z.number()).describe('Percent, step by step'),
  step: z.int().describe('Index into steps'),
  started_at: z.int(),
  step_started_at: z.int(),
  step_ends_at: z.int().optional().describe('The earliest end of the step, ms'),
  promoted_at: z.int().optional(),
  watched_until: z.int().optional().describe('So long late labels may give the predecessor its place back'),
  ended_at: z.int().optional(),
  actor: z.string(),
  reason: z.string().optional(),
  note: z.string().optional().describe('Why it is paused or ended'),
  evidence: z.record(z.string(), z.unknown()).optional().describe('What is known by now'),
  gain: gainSchema.optional().describe('What the promotion brought, by the labels that came after it'),
};
export const rolloutSchema = z.strictObject(rolloutFields).meta({ id: 'Rollout' });
export const rolloutDetailSchema = z
  .strictObject({
    ...rolloutFields,
    policy: z.record(z.string(), z.unknown()),
    gate: z.record(z.string(), z.unknown()),
    decisions: z.array(recordedDecisionSchema).describe('The newest first'),
  })
  .meta({ id: 'RolloutDetail' });
export const rolloutListSchema = z.strictObject({ rollouts: z.array(rolloutSchema) });
export const rolloutParams = z.object({
  name: z.string(),
  id: z.string().describe('The id of a rollout, or `current`: the one that is under way, else the newest'),
});

export const decisionListSchema = z.strictObject({ decisions: z.array(recordedDecisionSchema) });
export const decisionQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  before: z.coerce.number().int().optional().describe('Only decisions with a smaller id'),
});

export const judgementListSchema = z.strictObject({
  judgements: z
    .array(
      z.strictObject({
        what: z
          .enum(['promotion', 'labels'])
          .describe('A version before it may serve, or the labels of a rollout; neither waits for the other'),
        model: z.string(),
        version: z.string(),
        by_hand: z.boolean().describe('Somebody waits for it: it goes before what the platform asks for'),
        state: z.enum(['running', 'waiting']),
        for_ms: z.int().describe('So long it has been in that state'),
      }),
    )
    .describe('What runs first, then what waits'),
});

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
