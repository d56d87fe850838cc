import type { Clock } from '../../src/platform/clock.ts';

/** A clock that stands still until it is told to advance. `startMs` defaults to 2026-01-01T00:00:00Z. */
export function fixedClock(startMs = Date.UTC(2026, 0, 1)): Clock & { advance(ms: number): void } {
  let nowMs = startMs;
  return {
    now: () => nowMs,
    advance(ms) {
      nowMs += ms;
    },
  };
}
