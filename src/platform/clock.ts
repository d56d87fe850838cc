/** The one source of time: everything that stores or compares times takes it by injection. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

/** The machine's own clock. */
export const systemClock: Clock = { now: () => Date.now() };

/** A clock that stands still between events and never goes back. */
export interface EventClock extends Clock {
  /** Moves the clock to an event's time, unless it is past it already. */
  advance(eventMs: number): void;
  /** Whether it has seen an event; until then it tells the machine's own time. */
  readonly hasBegun: boolean;
}

/**
 * Follows the newest event, so that a replay of last year behaves as last year did. Until the first event it tells
 * the machine's own time; `startMs` is the newest event that is known from before.
 */
export function createEventClock(startMs?: number, before: Clock = systemClock): EventClock {
  let newest = startMs;
  return {
    now: () => newest ?? before.now(),
    get hasBegun() {
      return newest !== undefined;
    },
    advance(eventMs) {
      if (Number.isFinite(eventMs) && (newest === undefined || eventMs > newest)) newest = eventMs;
    },
  };
}

/** How `up`, `server` and `serve` tell the time. */
export const CLOCK_KINDS = ['wall', 'events'] as const;
export type ClockKind = (typeof CLOCK_KINDS)[number];
