import type { EventClock, Logger } from './platform/index.ts';

/** An event that is too far ahead is told at once, those after it at most this often. */
const TELL_EVERY_MS = 60_000;

/** What a model server asks of a clock that follows the times of its requests and labels. */
export function followEvents(clock: EventClock, logger: Logger) {
  let ignored = 0;
  let toldAt = Number.NEGATIVE_INFINITY;
  return {
    onEventTime: (eventMs: number): void => {
      if (clock.advance(eventMs)) return;
      ignored++;
      if (performance.now() - toldAt < TELL_EVERY_MS) return;
      toldAt = performance.now();
      logger.warn(
        { event: new Date(eventMs), clock: new Date(clock.now()), ignored },
        'an event is so far ahead of all others that the clock does not follow it; its row is kept',
      );
    },
    capEventTime: clock.cap,
    ignoredEvents: () => ignored,
  };
}
