import { describe, expect, it } from 'vitest';
import { createEventClock, MOST_AHEAD_MS } from './clock.ts';

const START = Date.UTC(2001, 0, 1);
const DAY_MS = 86_400_000;

describe('a clock that follows events', () => {
  it("tells the machine's time until the first event, and never goes back", () => {
    const clock = createEventClock({ before: { now: () => 7 } });
    expect([clock.now(), clock.hasBegun]).toEqual([7, false]);
    clock.advance(START);
    clock.advance(START - DAY_MS);
    clock.advance(Number.NaN);
    expect([clock.now(), clock.hasBegun]).toEqual([START, true]);
  });

  it('does not follow single events that are too far ahead', () => {
    const clock = createEventClock({ mostAheadMs: MOST_AHEAD_MS });
    const far = Date.UTC(9999, 0, 1);
    expect(clock.advance(START)).toBe(true);
    for (let hour = 1; hour <= 100; hour++) {
      expect(clock.advance(far)).toBe(false);
      expect(clock.cap(far)).toBe(clock.now());
      expect(clock.advance(START + (hour * DAY_MS) / 24)).toBe(true);
    }
    expect(clock.now()).toBe(START + (100 * DAY_MS) / 24);
    expect(clock.advance(clock.now() + MOST_AHEAD_MS)).toBe(true);
  });

  it("does not begin with an event that is far ahead of the machine's own time, unless they all are", () => {
    const far = Date.UTC(9999, 0, 1);
    const clock = createEventClock({ mostAheadMs: MOST_AHEAD_MS, before: { now: () => START } });
    expect(clock.cap(far)).toBeNull();
    expect(clock.advance(far)).toBe(false);
    expect(clock.hasBegun).toBe(false);
    expect(clock.advance(START - 365 * DAY_MS)).toBe(true);
    expect(clock.now()).toBe(START - 365 * DAY_MS);
    const elapsedMs = everySeconds(5);
    const before = { now: () => START };
    const ofTheFuture = createEventClock({ mostAheadMs: MOST_AHEAD_MS, before, elapsedMs });
    const moved = Array.from({ length: 20 }, () => ofTheFuture.advance(START + 60 * DAY_MS));
    expect([moved.lastIndexOf(false), ofTheFuture.now()]).toEqual([18, START + 60 * DAY_MS]);
  });

  it('goes on after a gap when all events are beyond it', () => {
    const clock = createEventClock({
      startMs: START,
      mostAheadMs: MOST_AHEAD_MS,
      elapsedMs: everySeconds(5),
    });
    const after = START + 60 * DAY_MS;
    const moved = Array.from({ length: 30 }, (_, hour) => clock.advance(after + (hour * DAY_MS) / 24));
    expect(moved.indexOf(true)).toBe(19);
    expect(clock.now()).toBe(after + (29 * DAY_MS) / 24);
  });

  it('follows no burst of events that are far ahead, however many', () => {
    let elapsed = 0;
    const clock = createEventClock({
      startMs: START,
      mostAheadMs: MOST_AHEAD_MS,
      elapsedMs: () => elapsed,
    });
    const far = Date.UTC(9999, 0, 1);
    for (let i = 0; i < 1000; i++) expect(clock.advance(far)).toBe(false);
    elapsed = 59_000;
    expect(clock.advance(far)).toBe(false);
    expect(clock.advance(START + 1)).toBe(true);
    elapsed = 3_600_000;
    for (let i = 0; i < 1000; i++) expect(clock.advance(far)).toBe(false);
    expect(clock.now()).toBe(START + 1);
    elapsed += 60_000;
    expect([clock.advance(far), clock.now()]).toEqual([true, far]);
  });
});

/** Real time of which each event takes so much. */
function everySeconds(seconds: number): () => number {
  let elapsed = 0;
  return () => (elapsed += seconds * 1000);
}
