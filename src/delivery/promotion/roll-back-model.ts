import type { DeliveryDeps } from '../delivery-deps.ts';
import { rollBackDelivery } from '../rollout/rollout-commands.ts';

export interface RollbackRequest {
  name: string;
  actor: string;
  reason?: string | undefined;
  /** Roll back only if this version serves, or is being rolled out: two people who see the same problem undo it once. */
  expectedVersion?: number | undefined;
}

export interface Rollback {
  name: string;
  from: number | undefined;
  to: number | undefined;
  /** The rollout that was aborted; then the champion was and is `to`. */
  aborted?: string;
}

/**
 * Undoes the newest change, at once and without a question: a rollout that is under way is aborted, else the version
 * that served before the current champion was put there comes back. Repeated, it walks further back; what was rolled
 * back comes back by promoting it.
 *
 * @throws ApiError RESOURCE_CONFLICT when no version that still exists and can be served served before.
 */
export async function rollBackModel(
  deps: Pick<DeliveryDeps, 'database' | 'clock' | 'moved'>,
  { name, actor, reason, expectedVersion }: RollbackRequest,
): Promise<Rollback> {
  const undone = await deps.database.execute(rollBackDelivery, {
    name,
    ...(expectedVersion === undefined ? {} : { expectedVersion }),
    cause: {
      action: 'rollback',
      actor,
      ...(reason?.trim() ? { reason: reason.trim() } : {}),
      at: deps.clock.now(),
    },
  });
  deps.moved.notify();
  return { name, ...undone };
}
