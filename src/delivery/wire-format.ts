import type { z } from 'zod';
import type * as contract from './contract.ts';
import { canaryWeights, rolloutTimes } from './delivery-policy.ts';
import { describeGain, type Gain } from './gain/gain.ts';
import type { DecisionRecord } from './promotion/decision-store.ts';
import type { Promotion } from './promotion/promote-model.ts';
import type { Rollout } from './rollout/rollout-store.ts';

export const toText = (version: number | undefined) => (version === undefined ? undefined : String(version));

export function toWirePromotion(
  promotion: Promotion & { outcome: Exclude<Promotion['outcome'], 'refused'> },
): z.infer<typeof contract.promotionSchema> {
  return { ...promotion, from: toText(promotion.from), to: String(promotion.to) };
}

export function toWireGain(gain: Gain | undefined): z.infer<typeof contract.gainSchema> | undefined {
  if (gain === undefined) return undefined;
  const { rolloutId, version, predecessor, from, until, metric, difference, lo, hi, alpha, rows } = gain;
  return {
    rollout: rolloutId,
    version: String(version),
    predecessor: String(predecessor),
    from,
    until,
    metric,
    difference,
    lo,
    hi,
    alpha,
    rows,
    measured_at: gain.measuredAt,
    settles_at: gain.settleAt,
    is_final: gain.isFinal,
    summary: describeGain(gain),
  };
}

/** A gain belongs to the decision that made the version the champion, and to that of the gate which let it begin. */
export function toWireDecision(
  decision: DecisionRecord,
  gain?: Gain,
): z.infer<typeof contract.recordedDecisionSchema> {
  const { id, at, kind, action, verdict, outcome, summary, actor, reason, evidence, key } = decision;
  return {
    id,
    at,
    kind,
    action,
    version: String(decision.version),
    champion: toText(decision.champion),
    verdict,
    outcome,
    summary,
    actor,
    reason,
    rollout: decision.rolloutId,
    key,
    evidence,
    gain: outcome === 'promoted' || outcome === 'rollout' ? toWireGain(gain) : undefined,
  };
}

export function toWireRollout(rollout: Rollout, gain?: Gain): z.infer<typeof contract.rolloutSchema> {
  const { state, resumeState, stepStartedAt, promotedAt, policy } = rollout;
  const { shadowMs, stepMs, watchMs } = rolloutTimes(policy);
  const isUnderWay = state === 'shadow' || state === 'canary';
  return {
    id: rollout.id,
    model: rollout.model,
    version: String(rollout.candidate),
    champion: String(rollout.champion),
    state,
    goes_on_in: resumeState,
    weight: rollout.weight,
    steps: [...canaryWeights(policy), 100],
    step: rollout.step,
    started_at: rollout.startedAt,
    step_started_at: stepStartedAt,
    step_ends_at: isUnderWay ? stepStartedAt + (state === 'shadow' ? shadowMs : stepMs) : undefined,
    promoted_at: promotedAt,
    watched_until: promotedAt === undefined || watchMs === 0 ? undefined : promotedAt + watchMs,
    ended_at: rollout.endedAt,
    actor: rollout.actor,
    reason: rollout.reason,
    note: rollout.note,
    evidence: rollout.evidence,
    gain: toWireGain(gain),
  };
}
