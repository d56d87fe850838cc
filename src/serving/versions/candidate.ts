import type { DesiredRollout } from '../contract.ts';
import type { ServedVersion } from './served-version.ts';

/** The warm candidate of a rollout. */
export interface Candidate {
  served: ServedVersion;
  rollout: DesiredRollout;
}
