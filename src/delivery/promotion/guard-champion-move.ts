import { ApiError } from '../../platform/index.ts';
import { type PolicyOf, readPolicy } from '../delivery-policy.ts';

/** What of MLflow's routes moves what serves: an alias or a stage, another name, or the deletion of what serves. */
export type ChampionMove = 'alias or stage' | 'rename' | 'delete';

/** Refuses a move of what serves that goes past the gate of a project. */
export type GuardChampionMove = (name: string, version?: number, how?: ChampionMove) => Promise<void>;

/**
 * MLflow's routes move what serves without a question, as they always did, unless a project says how the model is judged
 * or who approves it: then there is one way. Its rules hold under the model's name, so that is not taken from it either.
 */
export function createChampionGuard(policyOf: PolicyOf | undefined): GuardChampionMove {
  return async (name, version, how = 'alias or stage') => {
    const { hasGate, approvers } = await readPolicy(policyOf, name);
    if (!hasGate && approvers === undefined) return;
    const by = hasGate ? 'the gate of its project' : "the project's approve";
    const which = version === undefined ? `${name}/VERSION` : `${name}/${version}`;
    const path = `/api/v1/models/${encodeURIComponent(name)}`;
    throw new ApiError(
      'RESOURCE_CONFLICT',
      {
        'alias or stage': `What serves of '${name}' is decided by ${by}, so it is not moved by an alias or a stage. Promote instead: tidemill promote ${which} (or POST ${path}/promote)${hasGate ? '; past the gate: --force --reason "…"' : ''}; back: tidemill rollback ${name}`,
        rename: `What serves of '${name}' is decided by ${by} under this name, so no model takes or leaves it. Change the name in the project file, or end what the project says first: DELETE ${path}/pipeline`,
        delete:
          version === undefined
            ? `A version of '${name}' serves, and what serves is decided by ${by}, so the model is not deleted. End what the project says first: DELETE ${path}/pipeline`
            : `Version ${version} of '${name}' serves, and what serves is decided by ${by}, so it is not deleted. Let another one serve first: tidemill promote ${name}/VERSION, or tidemill rollback ${name}`,
      }[how],
    );
  };
}
