import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Logger } from '../../platform/index.ts';
import type { DesiredState } from '../contract.ts';

/**
 * Asks the control plane what to serve. Given the revision that is known, it waits there (long poll) until another
 * one is and gives undefined when none came. Rejects when the control plane cannot be asked.
 */
export type ResolveDesiredState = (
  previousRevision: string | undefined,
  signal: AbortSignal,
) => Promise<DesiredState | undefined>;

/** Whether the control plane answers; `reason` says in one line why it does not. */
export type Contact = { isThere: true } | { isThere: false; reason: string };

export interface FollowOptions {
  resolve: ResolveDesiredState;
  /** Called with every state whose revision differs from the last one's. */
  onState: (state: DesiredState) => void;
  /** The revision that is known already, from the cache. */
  revision?: string | undefined;
  signal: AbortSignal;
  logger: Logger;
  /** Told once when the control plane goes and once when it is back, instead of the log. */
  onContact?: ((contact: Contact) => void) | undefined;
  /** From 0 to 1, for the jitter. */
  random?: () => number;
  sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
  now?: () => number;
}

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 10_000;
/** An unchanged answer that comes sooner than this was no long poll; asking again at once would spin. */
const SHORTEST_POLL_MS = 200;

/**
 * Follows the desired state until `signal` aborts. While the control plane is away it tries again after 0.25 s,
 * doubling up to 10 s, each delay half random so that replicas do not come back in step.
 */
export async function followDesiredState(options: FollowOptions): Promise<void> {
  const {
    resolve,
    onState,
    onContact,
    signal,
    logger,
    random = Math.random,
    now = () => performance.now(),
  } = options;
  const sleep = options.sleep ?? ((ms, aborted) => sleepFor(ms, undefined, { signal: aborted, ref: false }));
  let revision = options.revision;
  let failures = 0;

  while (!signal.aborted) {
    const asked = now();
    let delayMs = 0;
    try {
      const state = await resolve(revision, signal);
      if (signal.aborted) return;
      if (failures > 0 && onContact) onContact({ isThere: true });
      else if (failures > 0) logger.info({ failures }, 'the control plane answers again');
      failures = 0;
      if (state !== undefined && state.revision !== revision) {
        revision = state.revision;
        onState(state);
      } else if (now() - asked < SHORTEST_POLL_MS) delayMs = 1000;
    } catch (error) {
      if (signal.aborted) return;
      const whole = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures);
      delayMs = whole / 2 + (whole / 2) * random();
      failures += 1;
      if (failures === 1) onContact?.({ isThere: false, reason: reasonOf(error) });
      const level = failures === 1 && !onContact ? 'warn' : 'debug';
      logger[level](
        { err: error, retry_ms: Math.round(delayMs) },
        'the control plane does not answer; serving goes on with what is known',
      );
    }
    if (delayMs > 0) {
      try {
        await sleep(delayMs, signal);
      } catch {
        return;
      }
    }
  }
}

/** Some errors of connections have no message but a code. */
function reasonOf(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string };
  return (message || code || String(error)).split('\n')[0] as string;
}
