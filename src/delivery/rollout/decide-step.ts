import { rolloutTimes } from '../delivery-policy.ts';
import type { DecisionKind } from '../promotion/decision-store.ts';
import { nextStep } from './next-step.ts';
import type { Rollout } from './rollout-store.ts';
import type { Evidence, Gathered, Transition } from './rollout-types.ts';

/** Labels take a query of the log: they are looked at when a rollout is twice as old, or a part of a step has passed. */
const LABEL_LOOKS_IN_STEP = 6;
export const SHORTEST_LOOK_MS = 1000;
/** A step without an end of its own is paused after so many times its length. */
const CAP_FACTOR = 7;

export const kindOf = ({ state, resumeState }: Pick<Rollout, 'state' | 'resumeState'>): DecisionKind =>
  state === 'watching' ? 'watch' : (resumeState ?? state) === 'shadow' ? 'shadow' : 'canary';

export function isLabelLookDue(
  { looks, startedAt, stepStartedAt }: Rollout,
  now: number,
  lengthMs: number,
): boolean {
  const last = looks['asked']?.n ?? startedAt;
  const end = stepStartedAt + lengthMs;
  if (now >= end && last < end) return true;
  const pause = Math.min(last - startedAt, lengthMs / LABEL_LOOKS_IN_STEP);
  return now - last >= Math.max(SHORTEST_LOOK_MS, pause);
}

export function lengthOf(rollout: Rollout): { lengthMs: number; capMs: number } {
  const { shadowMs, stepMs, maxStepMs } = rolloutTimes(rollout.policy);
  const isShadow = (rollout.resumeState ?? rollout.state) === 'shadow';
  return isShadow
    ? { lengthMs: shadowMs, capMs: Math.max(maxStepMs, CAP_FACTOR * shadowMs) }
    : { lengthMs: stepMs, capMs: maxStepMs };
}

export interface StepTimes {
  now: number;
  isOver: boolean;
  isCapped: boolean;
  /** What the step cannot be passed without, in words; a step that has waited too long is paused with them. */
  lacks: string | undefined;
}

/** Bad evidence undoes, at any time; a step that is over passes, waits, or is paused when it has waited too long. */
export function decide(
  rollout: Rollout,
  { evidence, inStep }: Gathered,
  { now, isOver, isCapped, lacks }: StepTimes,
): Transition | undefined {
  const kinds = (['errors', 'latency', 'labels', 'disagreement'] as const).flatMap((kind) => {
    const found = evidence[kind];
    return found ? [{ kind, ...found }] : [];
  });
  const bad = kinds.filter(({ state }) => state === 'bad');
  const { candidate, champion, policy } = rollout;
  if (bad.length > 0) {
    const why = bad.map(({ kind, words }) => `${kind}: ${words}`).join('; ');
    return {
      change: { state: 'undone', resumeState: undefined, weight: 0, endedAt: now, note: why },
      effect: 'none',
      action: 'rollout.undo',
      verdict: 'worse',
      outcome: 'undone',
      summary: `version ${candidate} is undone, ${champion} answers everything: ${why}`,
      evidence,
    };
  }
  if (rollout.state === 'paused' || !(isOver || isCapped)) return undefined;
  const unclear = kinds.filter(({ state }) => state === 'unclear');
  if (isOver && lacks === undefined && inStep >= policy.minRequests && unclear.length === 0) {
    const next = nextStep(rollout, now);
    const before: Evidence = { ...evidence, before_step: (evidence.before_step ?? 0) + inStep };
    return {
      ...next,
      change: { ...next.change, evidence: before },
      action: next.effect === 'promote' ? 'champion.promote' : 'rollout.step',
      verdict: 'passed',
      summary: `${next.summary}: ${inStep} requests in the step and nothing against it`,
      evidence,
    };
  }
  if (!isCapped) return undefined;
  const missing =
    lacks ??
    (inStep < policy.minRequests
      ? `${inStep === 0 ? 'no requests reached it' : `only ${inStep} requests reached it`}, ${policy.minRequests} are needed`
      : unclear.map(({ kind, words }) => `${kind}: ${words}`).join('; ') ||
        'no model server has reported since the step was over');
  const why = `inconclusive: ${missing}`;
  return {
    change: { state: 'paused', resumeState: rollout.state, note: why },
    effect: 'none',
    action: 'rollout.pause',
    verdict: 'inconclusive',
    outcome: 'paused',
    summary: `${why}. Go on waiting: tidemill rollout resume ${rollout.model}; pass the step: --skip; end it: tidemill rollout abort ${rollout.model}`,
    evidence,
  };
}
