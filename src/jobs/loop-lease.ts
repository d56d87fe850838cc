import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Database, Logger } from '../platform/index.ts';
import { dropLease, takeLease } from './store/lease-commands.ts';

export interface LoopLeaseOptions {
  database: Database;
  logger: Logger;
  /** Default `loop`. */
  name?: string;
  /** How long a replica that died keeps the lease. Default 10 000. */
  leaseMs?: number;
}

export interface LoopLease {
  /**
   * Whether this process is the one that may run the loop now. Takes the lease when it is free; answers without a
   * question to the database while the lease is fresh. A database that is away is a no.
   */
  check(): Promise<boolean>;
  /** Lets another replica have it at once. */
  release(): Promise<void>;
}

/**
 * Of several replicas on one PostgreSQL, one runs the loop: whoever holds this lease. On SQLite there is one process,
 * and it always may. The lease is lengthened in the background, so that a long turn of the loop keeps it.
 */
export function acquireLoopLease({
  database,
  logger,
  name = 'loop',
  leaseMs = 10_000,
}: LoopLeaseOptions): LoopLease {
  if (database.dialect === 'sqlite') return { check: async () => true, release: async () => {} };
  const holder = `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`;
  /** Until then it is ours for certain: counted from before the question, by a clock that nobody sets. */
  let heldUntil = Number.NEGATIVE_INFINITY;
  let asking: Promise<boolean> | undefined;
  let isReleased = false;

  async function ask(): Promise<boolean> {
    const askedAt = performance.now();
    try {
      const epoch = await database.execute(takeLease, { name, holder, leaseMs, dialect: database.dialect });
      heldUntil = epoch === undefined ? Number.NEGATIVE_INFINITY : askedAt + leaseMs;
    } catch (error) {
      logger.warn({ err: error, lease: name }, 'the lease could not be lengthened; trying again');
    }
    return isHeld();
  }

  const isHeld = () => !isReleased && performance.now() < heldUntil;

  function renew(): Promise<boolean> {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  }

  const timer = setInterval(() => {
    if (isHeld()) void renew();
  }, leaseMs / 3);
  timer.unref();

  return {
    async check() {
      if (isReleased) return false;
      return performance.now() < heldUntil - leaseMs / 2 || renew();
    },
    async release() {
      if (isReleased) return;
      isReleased = true;
      clearInterval(timer);
      await asking;
      if (performance.now() >= heldUntil) return;
      await database.execute(dropLease, { name, holder }).catch(() => {}); // It ends by itself.
    },
  };
}
