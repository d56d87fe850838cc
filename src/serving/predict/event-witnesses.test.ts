import { expect, it } from 'vitest';
import { createEventClock, MOST_AHEAD_MS } from '../../platform/index.ts';
import { eventWitnesses } from './event-witnesses.ts';

const START = Date.UTC(2001, 0, 1);
const FAR = Date.UTC(9999, 0, 1);

it('is the newest time of a request', () => {
  expect(eventWitnesses([START + 5, START, START + 9])).toEqual([START + 9]);
  expect(eventWitnesses([])).toEqual([]);
});

it('lets a request whose times are all far ahead move no clock, and one far time hide no other', () => {
  const clock = createEventClock({ startMs: START, mostAheadMs: MOST_AHEAD_MS });
  const hear = (times: number[]) => eventWitnesses(times).map((time) => clock.advance(time));
  expect(hear(Array.from({ length: 100 }, (_, i) => FAR + i))).toEqual([false]);
  expect(hear([FAR, START + 60_000, START])).toEqual([true, false]);
  expect(clock.now()).toBe(START + 60_000);
});
