import type { Logger } from '../../platform/index.ts';
import type { DesiredVersion } from '../contract.ts';
import { LoadHangsError } from './run-in-worker.ts';

interface Failure {
  reason: string;
  attempts: number;
  retryAt: number;
}

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;
const RETRY_HANGING_MS = 3_600_000;

/** Which versions failed to load, or were lost while they served, and when each is tried again. */
export function createLoadFailures({
  countFailure,
  logger,
}: {
  countFailure: (name: string, version: string) => void;
  logger: Logger;
}) {
  const failures = new Map<string, Failure>();
  /** Outlive a load that succeeds: a version that is lost again and again is loaded ever more seldom. */
  const losses = new Map<string, number>();

  function note(
    key: string,
    name: string,
    { version }: DesiredVersion,
    reason: string,
    delay: number | undefined,
    error?: unknown,
  ): void {
    const attempts = (failures.get(key)?.attempts ?? 0) + 1;
    const delayMs = delay ?? doubled(attempts - 1);
    failures.set(key, { reason, attempts, retryAt: performance.now() + delayMs });
    countFailure(name, version);
    const level = attempts === 1 ? 'error' : 'warn';
    logger[level](
      { err: error, model: name, version, attempts, retry_ms: delayMs },
      `model version not loaded: ${reason}`,
    );
  }

  return {
    noteFailure(key: string, name: string, version: DesiredVersion, error: Error): void {
      const delay = error instanceof LoadHangsError ? RETRY_HANGING_MS : undefined;
      note(key, name, version, error.message, delay, error);
    },

    /** A version that was warm is not any more. The first time it is loaded again at once. */
    noteLoss(key: string, name: string, version: DesiredVersion, reason: string): void {
      const before = losses.get(key) ?? 0;
      losses.set(key, before + 1);
      note(key, name, version, reason, before === 0 ? 0 : doubled(before - 1));
    },

    /** It is warm. */
    forgive(key: string): void {
      failures.delete(key);
    },

    /** By performance.now(); 0 for what has not failed. */
    retryAt: (key: string): number => failures.get(key)?.retryAt ?? 0,

    reasonOf: (key: string): string | undefined => failures.get(key)?.reason,

    /** Forgets the versions that nobody wants any more. */
    keepOnly(keys: ReadonlySet<string>): void {
      for (const known of [failures, losses])
        for (const key of known.keys()) if (!keys.has(key)) known.delete(key);
    },
  };
}

function doubled(times: number): number {
  return Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** times);
}
