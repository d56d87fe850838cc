/** The one source of time: everything that stores or compares times takes it by injection. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

/** The machine's own clock. */
export const systemClock: Clock = { now: () => Date.now() };

/** A clock that stands still between events and never goes back. */
export interface EventClock extends Clock {
  /** Moves the clock to an event's time, unless it is past it already. Answers false when the event is too far ahead. */
  advance(eventMs: number): boolean;
  /** The time itself; where the event is too far ahead the clock's, null before it has begun. */
  readonly cap: (eventMs: number) => number | null;
  /** Whether it has seen an event; until then it tells the machine's own time. */
  readonly hasBegun: boolean;
}

export interface EventClockOptions {
  /** The newest event that is known from before. */
  startMs?: number | undefined;
  /** An event further ahead than this, the first one of the machine's own time, is taken for a mistake. */
  mostAheadMs?: number;
  before?: Clock;
  /** Milliseconds of real time, from any beginning. */
  elapsedMs?: () => number;
}

/** A timestamp of the year 9999 must not move the clock for good; a replay without data for a month is rare. */
export const MOST_AHEAD_MS = 31 * 86_400_000;
/** So many events in a row, all too far ahead, are no mistakes: there is a gap in what is replayed. */
const EVENTS_AFTER_GAP = 20;
/** Real time from the first to the last of them: one client's mistaken batch comes at once. */
const GAP_LASTS_MS = 60_000;

/**
 * Follows the newest event, so that a replay of last year behaves as last year did. Until the first event it tells
 * the machine's own time.
 */
export function createEventClock({
  startMs,
  mostAheadMs = Number.POSITIVE_INFINITY,
  before = systemClock,
  elapsedMs = () => performance.now(),
}: EventClockOptions = {}): EventClock {
  let newest = startMs;
  /** The events in a row that are too far ahead: how many, the oldest, and when the first came. */
  let ahead = { count: 0, oldest: Number.POSITIVE_INFINITY, sinceMs: 0 };
  const now = () => newest ?? before.now();
  const isTooFar = (eventMs: number) => eventMs - now() > mostAheadMs;
  return {
    now,
    get hasBegun() {
      return newest !== undefined;
    },
    advance(eventMs) {
      if (!Number.isFinite(eventMs)) return true;
      if (!isTooFar(eventMs)) {
        ahead.count = 0;
        newest = Math.max(eventMs, newest ?? eventMs);
        return true;
      }
      const elapsed = elapsedMs();
      if (ahead.count === 0) ahead = { count: 0, oldest: eventMs, sinceMs: elapsed };
      ahead.count += 1;
      ahead.oldest = Math.min(ahead.oldest, eventMs);
      if (ahead.count < EVENTS_AFTER_GAP || elapsed - ahead.sinceMs < GAP_LASTS_MS) return false;
      newest = ahead.oldest;
      ahead.count = 0;
      return true;
    },
    cap: (eventMs) => (isTooFar(eventMs) ? (newest ?? null) : eventMs),
  };
}

/** How `up`, `server` and `serve` tell the time. */
export const CLOCK_KINDS = ['wall', 'events'] as const;
export type ClockKind = (typeof CLOCK_KINDS)[number];
