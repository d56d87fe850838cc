import { ApiError } from '../../platform/index.ts';
import type { DeliveryDeps } from '../delivery-deps.ts';
import type { Outcome } from '../promotion/decision-store.ts';
import type { NewDecision } from '../promotion/record-decision.ts';
import { nextStep } from './next-step.ts';
import { changeRollout, type RolloutEffect } from './rollout-commands.ts';
import type { Rollout, RolloutChange } from './rollout-store.ts';

export interface HandRequest {
  rollout: Rollout;
  /** `skip` passes the step on a human's word. */
  what: 'pause' | 'resume' | 'skip' | 'abort';
  actor: string;
  reason?: string | undefined;
}

interface Planned {
  change: RolloutChange;
  outcome: Outcome;
  summary: string;
  effect: RolloutEffect;
}

/** Pauses, resumes, passes or ends a rollout on somebody's word, with the reason on record. */
export async function changeByHand(
  { database, clock, moved }: Pick<DeliveryDeps, 'database' | 'clock' | 'moved'>,
  { rollout, what, actor, reason }: HandRequest,
): Promise<Rollout> {
  const at = clock.now();
  const planned = plan(rollout, what, at);
  const decision: NewDecision = {
    model: rollout.model,
    at,
    kind: 'hand',
    action: planned.effect === 'promote' ? 'champion.promote' : `rollout.${what}`,
    version: rollout.candidate,
    champion: rollout.champion,
    verdict: 'by hand',
    outcome: planned.outcome,
    summary: planned.summary,
    actor,
    reason: reason?.trim() || undefined,
    evidence: {
      rollout: rollout.id,
      from_state: rollout.state,
      weight: rollout.weight,
      ...(rollout.evidence ? { seen: rollout.evidence } : {}),
    },
    key: undefined,
  };
  const { change, effect } = planned;
  const changed = await database.execute(changeRollout, {
    id: rollout.id,
    epoch: rollout.epoch,
    change,
    decision,
    effect,
  });
  moved.notify();
  return changed.rollout;
}

function plan(rollout: Rollout, what: HandRequest['what'], at: number): Planned {
  const { candidate, champion, state, resumeState, weight, model } = rollout;
  const isPaused = state === 'paused';
  /** What a person decided is not undone by what comes. */
  const evidence = { ...rollout.evidence, waits_for: undefined };
  const running = (isPaused ? resumeState : state) ?? 'canary';
  switch (what) {
    case 'pause':
      if (isPaused && rollout.evidence?.['waits_for'] === undefined)
        throw new ApiError(
          'RESOURCE_CONFLICT',
          `The rollout of '${model}' is paused already: ${rollout.note}`,
        );
      return {
        change: { state: 'paused', resumeState: running, note: 'paused by hand', evidence },
        outcome: 'paused',
        summary: `paused by hand ${running === 'shadow' ? 'in shadow' : `at ${weight} %`}`,
        effect: 'none',
      };
    case 'resume':
      if (!isPaused)
        throw new ApiError(
          'RESOURCE_CONFLICT',
          `The rollout of '${model}' is not paused; to pass its step on your word: tidemill rollout resume ${model} --skip --reason "…"`,
        );
      return {
        change: { state: running, resumeState: undefined, stepStartedAt: at, note: undefined, evidence },
        outcome: 'resumed',
        summary: `goes on ${running === 'shadow' ? 'in shadow' : `at ${weight} %`}: the step begins anew`,
        effect: 'none',
      };
    case 'skip': {
      const next = nextStep({ ...rollout, state: running }, at);
      return { ...next, change: { ...next.change, resumeState: undefined, note: undefined, evidence } };
    }
    case 'abort':
      return {
        change: { state: 'aborted', resumeState: undefined, weight: 0, endedAt: at, note: 'aborted by hand' },
        outcome: 'aborted',
        summary: `aborted: version ${champion} answers everything, not version ${candidate}`,
        effect: 'none',
      };
  }
}
