import type { Database, Logger } from '../../platform/index.ts';
import { settleMessage } from '../drift-commands.ts';
import { createOutboxStore, type OutboxMessage } from './outbox-store.ts';

export interface DeliveryOptions {
  database: Database;
  logger: Logger;
  /** The machine's own clock: retries have nothing to do with event time. */
  nowMs?: () => number;
  timeoutMs?: number;
  /** Before the second try; each further one waits twice as long, up to an hour. */
  firstRetryMs?: number;
}

const AT_ONCE = 100;
const LONGEST_WAIT_MS = 3_600_000;
/** With waits of 1 s doubling to an hour, the last try is some 18 hours after the first. */
const MOST_ATTEMPTS = 30;

/**
 * Posts what waits in the outbox, beside everything else: a receiver that is slow or away holds up nobody. A message
 * is delivered at least once; its `id` tells repeats apart.
 */
export function createMessenger(options: DeliveryOptions) {
  const { database, logger, nowMs = Date.now, timeoutMs = 10_000, firstRetryMs = 1000 } = options;
  const outbox = createOutboxStore(database.reader);
  const stopped = new AbortController();
  const busy = new Map<string, Promise<void>>();
  let looking: Promise<void> | undefined;
  let isPoked = false;

  async function post({ id, url, body }: OutboxMessage): Promise<string | undefined> {
    try {
      const response = await fetch(url, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json', 'idempotency-key': id, 'user-agent': 'tidemill' },
        redirect: 'manual',
        signal: AbortSignal.any([stopped.signal, AbortSignal.timeout(timeoutMs)]),
      });
      await response.body?.cancel();
      return response.ok ? undefined : `it answered ${response.status}`;
    } catch (error) {
      const { cause, message } = error as Error & { cause?: { code?: string } };
      return cause?.code ?? message;
    }
  }

  async function deliver(message: OutboxMessage): Promise<void> {
    const problem = await post(message);
    // Being stopped is no failure of the receiver.
    if (stopped.signal.aborted && problem !== undefined) return;
    const attempts = message.attempts + 1;
    const base = { id: message.id, attempts };
    if (problem === undefined) {
      await database.execute(settleMessage, { ...base, state: 'delivered', nextAt: 0 });
      return;
    }
    const isLast = attempts >= MOST_ATTEMPTS;
    logger.warn({ url: originOf(message.url), attempts, problem, isLast }, 'a webhook was not delivered');
    await database.execute(settleMessage, {
      ...base,
      state: isLast ? 'given up' : 'waiting',
      nextAt: nowMs() + Math.min(LONGEST_WAIT_MS, firstRetryMs * 2 ** Math.min(attempts - 1, 20)),
      error: problem,
    });
  }

  /** Starts the next message of each receiver that is free: one that is slow holds up only its own. */
  async function look(): Promise<void> {
    const messages = await outbox.due(nowMs(), AT_ONCE, [...busy.keys()]);
    for (const message of messages) {
      if (stopped.signal.aborted) return;
      if (busy.has(message.url)) continue;
      busy.set(
        message.url,
        deliver(message)
          .catch(tell)
          .finally(() => {
            busy.delete(message.url);
            poke();
          }),
      );
    }
  }

  function tell(error: unknown): void {
    if (!stopped.signal.aborted) logger.error({ err: error }, 'webhooks cannot be delivered');
  }

  function poke(): void {
    if (stopped.signal.aborted) return;
    if (looking !== undefined) {
      isPoked = true;
      return;
    }
    isPoked = false;
    looking = look()
      .catch(tell)
      .finally(() => {
        looking = undefined;
        if (isPoked) poke();
      });
  }

  async function idle(): Promise<void> {
    while (looking !== undefined || busy.size > 0) await Promise.all([looking, ...busy.values()]);
  }

  return {
    /** Looks for messages that are due; returns at once. */
    poke,
    /** Settles when nothing is under way. */
    idle,
    async stop(): Promise<void> {
      stopped.abort(new Error('stopped'));
      await idle();
    },
  };
}

/** A webhook's path may be its secret. */
function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : 'an invalid URL';
}
