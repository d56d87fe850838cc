import { ApiError } from '../../platform/index.ts';
import type { Approvers } from '../delivery-policy.ts';

/**
 * Who lets a version in on their own word approves it: where a project names who may, others may not, and nobody approves what
 * they made or began themselves. Pausing and undoing need nobody's approval.
 *
 * @throws ApiError PERMISSION_DENIED
 */
export function checkApproval(
  approvers: Approvers,
  asked: {
    actor: string;
    /** What is done, as the refusal tells it. */
    what: string;
    /** Who made the version or began its rollout; undefined where nobody is known. */
    by: string | undefined;
    made: string;
  },
): void {
  if (approvers === undefined) return;
  const { actor, what, by, made } = asked;
  const others = approvers === true ? [] : approvers.filter((name) => name !== actor);
  if (approvers !== true && !approvers.includes(actor)) {
    throw new ApiError(
      'PERMISSION_DENIED',
      `${actor} may not ${what}: the project's approve names ${approvers.join(', ')}`,
    );
  }
  if (by !== undefined && by === actor) {
    const who = others.length > 0 ? others.join(' or ') : 'somebody else';
    throw new ApiError('PERMISSION_DENIED', `${actor} may not ${what}: ${actor} ${made}, so ${who} must`);
  }
}
