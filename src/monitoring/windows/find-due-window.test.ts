import { expect, it } from 'vitest';
import { findNextWindow, GRACE_MS } from './find-due-window.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const rule = { after: undefined, everyMs: DAY, rows: 500 };

it('closes a day with enough rows an hour after its end', () => {
  const byHour = new Map([
    [10 * DAY + 5 * HOUR, 300],
    [10 * DAY + 9 * HOUR, 400],
    [11 * DAY, 50],
  ]);
  expect(findNextWindow(byHour, rule)).toEqual({
    from: 10 * DAY,
    to: 11 * DAY,
    rows: 700,
    closesAt: 11 * DAY + GRACE_MS,
  });
});

it('goes on for as many days as it takes to have enough rows, 31 at most', () => {
  const byHour = new Map(Array.from({ length: 9 }, (_, day) => [day * DAY + HOUR, 150]));
  expect(findNextWindow(byHour, rule)).toMatchObject({ from: 0, to: 4 * DAY, rows: 600 });
  const few = new Map(Array.from({ length: 40 }, (_, day) => [day * DAY + HOUR, 10]));
  expect(findNextWindow(few, rule)).toMatchObject({ from: 0, to: 31 * DAY, rows: 310 });
});

it('begins after the window before, and leaves time without rows to no window', () => {
  const byHour = new Map([
    [2 * DAY, 600],
    [40 * DAY + HOUR, 600],
  ]);
  expect(findNextWindow(byHour, { ...rule, after: 3 * DAY })).toMatchObject({ from: 40 * DAY, to: 41 * DAY });
  expect(findNextWindow(byHour, { ...rule, after: 50 * DAY })).toBeUndefined();
  // The window before ended within a day, since another length was in force.
  expect(findNextWindow(byHour, { ...rule, after: 40 * DAY + HOUR })).toMatchObject({
    from: 40 * DAY + HOUR,
    to: 41 * DAY,
  });
});
