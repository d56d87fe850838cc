import { ApiError } from '../../platform/index.ts';
import { createChampionStore, createModelVersionStore } from '../../registry/index.ts';
import type { DecisionKind, Outcome, Verdict } from '../decision-store.ts';
import type { DeliveryDeps } from '../delivery-deps.ts';
import { rolloutTimes } from '../delivery-policy.ts';
import type { JudgeInput, Judgement } from '../judge/judge-input.ts';
import type { NewDecision } from '../record-decision.ts';
import type { Assessment } from './assess-evidence.ts';
import { countsOfEarlier, type Evidence, type Gathered, gatherEvidence } from './gather-evidence.ts';
import { createLabelledJudge } from './judge-labelled.ts';
import { nextStep } from './next-step.ts';
import {
  changeRollout,
  endLostRollout,
  noteRolloutEvidence,
  type RolloutEffect,
} from './rollout-commands.ts';
import { createRolloutStore, type Rollout, type RolloutChange } from './rollout-store.ts';
import { watchChampion } from './watch-champion.ts';

export interface AdvancerDeps extends Omit<DeliveryDeps, 'judge'> {
  judge: (input: JudgeInput) => Promise<Judgement>;
}

/** Who decides when nobody does. */
export const PLATFORM_ACTOR = 'tidemill';

/** Labels take a query of the log: they are looked at when a rollout is twice as old, or a part of a step has passed. */
const LABEL_LOOKS_IN_STEP = 6;
const SHORTEST_LOOK_MS = 1000;
/** A step without an end of its own is paused after so many times its length. */
const CAP_FACTOR = 7;

/** What a decision about a rollout consists of, before it is written down. */
export interface Transition {
  change: RolloutChange;
  effect: RolloutEffect;
  action: string;
  verdict: Verdict;
  outcome: Outcome;
  summary: string;
  evidence: Record<string, unknown>;
}

/**
 * Moves rollouts on: each by at most one transition, which is one command that finds the rollout as it was when the
 * transition was decided. Killed at any moment and called again, it does what was left to do, once.
 */
export function createRolloutAdvancer(deps: AdvancerDeps) {
  const { database, clock, moved, logger } = deps;
  const rollouts = createRolloutStore(database.reader);
  const champions = createChampionStore(database.reader);
  const versions = createModelVersionStore(database.reader);
  const judgeLabelled = createLabelledJudge(deps);
  let underWay: Promise<{ didSomething: boolean }> | undefined;

  async function advanceAll(): Promise<{ didSomething: boolean }> {
    let didSomething = false;
    for (const rollout of await rollouts.inStates(['shadow', 'canary', 'paused', 'watching'])) {
      try {
        if (await advanceOne(rollout)) didSomething = true;
      } catch (error) {
        // Somebody else moved it on: the next call sees where it is.
        if (error instanceof ApiError && error.code === 'RESOURCE_CONFLICT') continue;
        logger?.warn({ err: error, rollout: rollout.id, model: rollout.model }, 'rollout not advanced');
      }
    }
    return { didSomething };
  }

  async function advanceOne(rollout: Rollout): Promise<boolean> {
    const lost = await findLoss(rollout);
    if (lost !== undefined) {
      await database.execute(endLostRollout, {
        id: rollout.id,
        epoch: rollout.epoch,
        why: lost,
        at: clock.now(),
      });
      moved.notify();
      return true;
    }
    if (rollout.state === 'watching') {
      const found = await watchChampion({ clock, judgeLabelled }, rollout);
      if (found === undefined) return false;
      return 'transition' in found ? apply(rollout, found.transition) : note(rollout, found.noted);
    }
    return advanceStep(rollout);
  }

  /** Why a rollout has nothing left to roll out: what serves, or its candidate, was changed from elsewhere. */
  async function findLoss(rollout: Rollout): Promise<string | undefined> {
    const { model, candidate, champion, state, championRevision } = rollout;
    const serving = (await champions.find(model))?.version;
    const expected = state === 'watching' ? candidate : champion;
    const last = await champions.lastMove(model);
    if (serving !== expected || (last?.revision ?? undefined) !== championRevision) {
      const by = last ? ` (${last.action} by ${last.actor})` : '';
      return `what serves was changed: ${serving === undefined ? 'nothing serves' : `version ${serving} serves`}${by}`;
    }
    if (state === 'watching') return undefined;
    const found = await versions.find(model, candidate);
    return found?.servable ? undefined : `version ${candidate} is gone or cannot be served`;
  }

  async function advanceStep(rollout: Rollout): Promise<boolean> {
    const now = clock.now();
    const { lengthMs, capMs } = lengthOf(rollout);
    const elapsed = now - rollout.stepStartedAt;
    const end = rollout.stepStartedAt + lengthMs;
    const isOver = elapsed >= lengthMs && (await isReportedSince(end));
    if (now - (rollout.lookedAt ?? rollout.stepStartedAt) < SHORTEST_LOOK_MS && !isOver) return false;
    const earlier =
      rollout.evidence === undefined
        ? countsOfEarlier(rollout, await rollouts.list(rollout.model, 20))
        : undefined;
    const asksLabels = isLabelLookDue(rollout, now, lengthMs);
    const gathered = await gatherEvidence({ ...deps, judgeLabelled }, rollout, now, {
      isOver,
      asksLabels,
      earlier,
    });
    const { looks, evidence } = gathered;
    const seen = { looks, evidence: evidence as Record<string, unknown>, lookedAt: now };
    const transition = decide(rollout, gathered, { now, isOver, isCapped: elapsed >= capMs });
    if (!transition) {
      // Counts without a look at them are read again, not written down.
      const isNew = JSON.stringify(looks) !== JSON.stringify(rollout.looks);
      return isNew ? note(rollout, seen) : false;
    }
    return apply(rollout, { ...transition, change: { ...seen, ...transition.change } });
  }

  const isReportedSince = async (ms: number): Promise<boolean> =>
    deps.reportedAt === undefined || ((await deps.reportedAt()) ?? Number.NEGATIVE_INFINITY) >= ms;

  async function note(
    { id, epoch }: Rollout,
    seen: Pick<Rollout, 'looks' | 'evidence' | 'lookedAt'>,
  ): Promise<boolean> {
    await database.execute(noteRolloutEvidence, { id, epoch, ...seen });
    return false;
  }

  async function apply(rollout: Rollout, transition: Transition): Promise<boolean> {
    const { change, effect, ...said } = transition;
    const decision: NewDecision = {
      ...said,
      model: rollout.model,
      at: clock.now(),
      kind: kindOf(rollout),
      version: rollout.candidate,
      champion: rollout.champion,
      actor: PLATFORM_ACTOR,
      reason: undefined,
      evidence: { rollout: rollout.id, from_state: rollout.state, weight: rollout.weight, ...said.evidence },
      key: undefined,
    };
    const { id, epoch } = rollout;
    await database.execute(changeRollout, { id, epoch, change, decision, effect });
    moved.notify();
    return true;
  }

  return {
    /** Does what is due by the clock; a call while another is at work waits for that one. */
    advance: (): Promise<{ didSomething: boolean }> => {
      underWay ??= advanceAll().finally(() => {
        underWay = undefined;
      });
      return underWay;
    },
  };
}

export const kindOf = ({ state, resumeState }: Pick<Rollout, 'state' | 'resumeState'>): DecisionKind =>
  state === 'watching' ? 'watch' : (resumeState ?? state) === 'shadow' ? 'shadow' : 'canary';

function isLabelLookDue(
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

function lengthOf(rollout: Rollout): { lengthMs: number; capMs: number } {
  const { shadowMs, stepMs, maxStepMs } = rolloutTimes(rollout.policy);
  const isShadow = (rollout.resumeState ?? rollout.state) === 'shadow';
  return isShadow
    ? { lengthMs: shadowMs, capMs: Math.max(maxStepMs, CAP_FACTOR * shadowMs) }
    : { lengthMs: stepMs, capMs: maxStepMs };
}

/** Bad evidence undoes, at any time; a step that is over passes, waits, or is paused when it has waited too long. */
export function decide(
  rollout: Rollout,
  { evidence, inStep }: Gathered,
  { now, isOver, isCapped }: { now: number; isOver: boolean; isCapped: boolean },
): Transition | undefined {
  const kinds = (['errors', 'latency', 'labels', 'disagreement'] as const).flatMap((kind) => {
    const found = evidence[kind] as Assessment | undefined;
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
  if (isOver && inStep >= policy.minRequests && unclear.length === 0) {
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
    inStep < policy.minRequests
      ? `${inStep === 0 ? 'no requests reached it' : `only ${inStep} requests reached it`}, ${policy.minRequests} are needed`
      : unclear.map(({ kind, words }) => `${kind}: ${words}`).join('; ') ||
        'no model server has reported since the step was over';
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
