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
  /** When a model server reported last; undefined where nobody tells. */
  reportedAt: number | undefined;
  /** What the step cannot be passed without, in words; a step that has waited too long is paused with them. */
  lacks: string | undefined;
}

/** Bad evidence undoes, at any time; a step that is over passes, waits, or is paused when it has waited too long. */
export function decide(
  rollout: Rollout,
  { evidence, inStep }: Gathered,
  { now, isOver, isCapped, reportedAt, lacks }: StepTimes,
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
  if (rollout.state === 'paused') return goOn(rollout, { evidence, inStep }, { now, reportedAt });
  if (!(isOver || isCapped)) return undefined;
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
  const { why, waitsFor, until } = findMissing();
  const note = `inconclusive: ${why}${until === undefined ? '' : `; it goes on by itself when ${until}`}`;
  const resume = `tidemill rollout resume ${rollout.model}`;
  const goOnNow = until === undefined ? `Go on waiting: ${resume}; p` : 'P';
  return {
    change: {
      state: 'paused',
      resumeState: rollout.state,
      note,
      evidence: { ...evidence, waits_for: waitsFor && { what: waitsFor, since: now } },
    },
    effect: 'none',
    action: 'rollout.pause',
    verdict: 'inconclusive',
    outcome: 'paused',
    summary: `${note}. ${goOnNow}ass the step: ${resume} --skip; end it: tidemill rollout abort ${rollout.model}`,
    evidence,
  };

  function findMissing(): { why: string; waitsFor?: 'requests' | 'reports'; until?: string } {
    if (lacks !== undefined) return { why: lacks };
    if (inStep < policy.minRequests) {
      const came = inStep === 0 ? 'no requests reached it' : `only ${inStep} requests reached it`;
      const why = `${came}, ${policy.minRequests} are needed`;
      return { why, waitsFor: 'requests', until: 'they have come' };
    }
    if (unclear.length > 0) return { why: unclear.map(({ kind, words }) => `${kind}: ${words}`).join('; ') };
    const why = 'no model server has reported since the step was over';
    return { why, waitsFor: 'reports', until: 'one has' };
  }
}

/** A rollout that paused only for want of requests or reports begins its step anew when they have come. */
function goOn(
  rollout: Rollout,
  { evidence, inStep }: Pick<Gathered, 'evidence' | 'inStep'>,
  { now, reportedAt }: Pick<StepTimes, 'now' | 'reportedAt'>,
): Transition | undefined {
  const { waits_for: waitsFor } = evidence;
  if (waitsFor === undefined) return undefined;
  const { resumeState = 'canary', policy, weight } = rollout;
  const hasCome =
    waitsFor.what === 'requests'
      ? inStep >= policy.minRequests
      : reportedAt !== undefined && reportedAt >= waitsFor.since;
  if (!hasCome) return undefined;
  const came = waitsFor.what === 'requests' ? `${inStep} requests have reached it` : 'reports came';
  const where = resumeState === 'shadow' ? 'in shadow' : `at ${weight} %`;
  return {
    change: {
      state: resumeState,
      resumeState: undefined,
      stepStartedAt: now,
      note: undefined,
      evidence: { ...evidence, waits_for: undefined },
    },
    effect: 'none',
    action: 'rollout.resume',
    verdict: 'inconclusive',
    outcome: 'resumed',
    summary: `goes on ${where} by itself, since ${came}: the step begins anew`,
    evidence,
  };
}
