import { canaryWeights, rolloutTimes } from '../delivery-policy.ts';
import type { Outcome } from '../promotion/decision-store.ts';
import type { RolloutEffect } from './rollout-commands.ts';
import type { Rollout, RolloutChange } from './rollout-store.ts';

/** Where a rollout goes when its step is passed: shadow -> the first weight -> … -> champion, which is watched. */
export function nextStep(
  { state, step, policy, candidate, champion }: Rollout,
  at: number,
): { change: RolloutChange; outcome: Outcome; summary: string; effect: RolloutEffect } {
  const weights = canaryWeights(policy);
  const next = state === 'shadow' ? 0 : step + 1;
  const weight = weights[next];
  if (weight !== undefined) {
    return {
      change: { state: 'canary', step: next, weight, stepStartedAt: at },
      outcome: 'next step',
      summary: `version ${candidate} answers ${weight} % of the requests`,
      effect: 'none',
    };
  }
  const isWatched = rolloutTimes(policy).watchMs > 0;
  return {
    change: {
      state: isWatched ? 'watching' : 'done',
      step: next,
      weight: 100,
      stepStartedAt: at,
      promotedAt: at,
      lookedAt: undefined,
      ...(isWatched ? {} : { endedAt: at }),
    },
    outcome: 'promoted',
    summary: `version ${candidate} serves, instead of ${champion}`,
    effect: 'promote',
  };
}
