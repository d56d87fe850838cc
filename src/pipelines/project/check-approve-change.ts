import { ApiError, canonicalJson } from '../../platform/index.ts';

/**
 * Who may promote is not decided by who may not: what a project says of `approve` is taken away or changed by one whom it names,
 * or, where it names nobody, by another than the one who applied it last.
 *
 * @throws ApiError PERMISSION_DENIED
 */
export function checkApproveChange(
  name: string,
  { was, is, actor, appliedBy }: { was: unknown; is: unknown; actor: string; appliedBy: string | undefined },
): void {
  const [before, after] = [approveOf(was), approveOf(is)];
  if (before === undefined || canonicalJson(before) === canonicalJson(after ?? null)) return;
  const denied = (why: string) =>
    new ApiError('PERMISSION_DENIED', `${actor} may not change who approves '${name}': ${why}`);
  if (Array.isArray(before)) {
    if (!before.includes(actor)) throw denied(`the project's approve names ${before.join(', ')}`);
  } else if (actor === appliedBy) throw denied(`${actor} applied it last, so somebody else must`);
}

/** Undefined where nobody is asked. */
function approveOf(config: unknown): unknown {
  const { approve } = (config ?? {}) as { approve?: unknown };
  return approve === false || approve === null ? undefined : approve;
}
