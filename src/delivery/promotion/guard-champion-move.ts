import { ApiError } from '../../platform/index.ts';
import { type PolicyOf, readPolicy } from '../delivery-policy.ts';

/** Refuses a move of what serves that goes past the gate of a project. */
export type GuardChampionMove = (name: string, version?: number) => Promise<void>;

/**
 * MLflow's alias and stage routes move what serves without a question, as they always did, unless a project says how
 * the model is judged: then there is one way.
 */
export function createChampionGuard(policyOf: PolicyOf | undefined): GuardChampionMove {
  return async (name, version) => {
    const { hasGate } = await readPolicy(policyOf, name);
    if (!hasGate) return;
    const which = version === undefined ? `${name}/VERSION` : `${name}/${version}`;
    throw new ApiError(
      'RESOURCE_CONFLICT',
      `What serves of '${name}' is decided by the gate of its project, so it is not moved by an alias or a stage. Promote instead: tidemill promote ${which} (or POST /api/v1/models/${encodeURIComponent(name)}/promote); past the gate: --force --reason "…"; back: tidemill rollback ${name}`,
    );
  };
}
