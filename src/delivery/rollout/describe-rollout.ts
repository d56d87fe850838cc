import type { Rollout } from './rollout-store.ts';

/** A rollout in a few words: which version, where it stands, who began it. */
export function describeRollout({
  id,
  candidate,
  champion,
  state,
  weight,
  resumeState,
  actor,
}: Rollout): string {
  const from = `rollout ${id} of version ${candidate} (begun by ${actor})`;
  switch (state) {
    case 'shadow':
      return `${from} sees copies of the requests; version ${champion} answers`;
    case 'canary':
      return `${from} answers ${weight} % of the requests`;
    case 'paused':
      return `${from} is paused ${resumeState === 'shadow' ? 'in shadow' : `at ${weight} %`}`;
    case 'watching':
      return `${from} serves, and version ${champion} is still warm`;
    case 'done':
    case 'undone':
    case 'aborted':
      return `${from} is ${state}`;
  }
}
