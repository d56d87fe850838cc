import type { Clock, Database } from '../platform/index.ts';
import { rollBackChampion, type ServingSignal } from '../registry/index.ts';

export interface RollbackRequest {
  name: string;
  actor: string;
  reason?: string;
  /** Roll back only if this version serves: two people who see the same problem undo it once. */
  expectedVersion?: number;
}

/**
 * Goes back to the version that served before the current champion was put there, at once and without a question.
 * Repeated, it walks further back; what was rolled back comes back by promoting it.
 *
 * @throws ApiError RESOURCE_CONFLICT when no version that still exists and can be served served before.
 */
export async function rollBackModel(
  deps: { database: Database; clock: Clock; moved: ServingSignal },
  { name, actor, reason, expectedVersion }: RollbackRequest,
): Promise<{ name: string; from: number | undefined; to: number | undefined }> {
  const { from, to } = await deps.database.execute(rollBackChampion, {
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
  return { name, from, to };
}
