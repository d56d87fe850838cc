import { expect, it } from 'vitest';
import { createRandom } from '../../platform/index.ts';
import { isPartial as isPartialOf } from './find-partial.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const isPartial = (own: Map<number, number>, of: Map<number, number>) => isPartialOf(own, of, DAY_MS);
const HOURS = Array.from({ length: 24 }, (_, hour) => hour);
const rowsBy = (rowsOf: (hour: number) => number) =>
  new Map(HOURS.map((hour) => [hour * HOUR_MS, rowsOf(hour)]));
const all = rowsBy((hour) => (hour < 6 ? 10 : 100));

it('a version that answered all, or the same share of every hour, was there all the time', () => {
  expect(isPartial(all, all)).toBe(false);
  expect(
    isPartial(
      rowsBy((hour) => all.get(hour * HOUR_MS)! / 4),
      all,
    ),
  ).toBe(false);
  expect(isPartial(new Map(), all)).toBe(false);
});

it('a version that came or went at noon, or at half of the rows, was not', () => {
  expect(
    isPartial(
      rowsBy((hour) => (hour < 12 ? 0 : all.get(hour * HOUR_MS)!)),
      all,
    ),
  ).toBe(true);
  expect(
    isPartial(
      rowsBy((hour) => (hour < 12 ? all.get(hour * HOUR_MS)! : 0)),
      all,
    ),
  ).toBe(true);
  expect(
    isPartial(
      rowsBy((hour) => all.get(hour * HOUR_MS)! / (hour < 12 ? 1 : 2)),
      all,
    ),
  ).toBe(true);
  // A quarter that goes to a canary from noon on moves so little that no window of it alone raises an alarm.
  expect(
    isPartial(
      rowsBy((hour) => all.get(hour * HOUR_MS)! * (hour < 12 ? 1 : 0.75)),
      all,
    ),
  ).toBe(false);
});

it('a share that is drawn at random is even, however small', () => {
  const random = createRandom(7);
  for (const share of [0.1, 0.25, 0.5, 0.9]) {
    for (let round = 0; round < 500; round++) {
      const drawn = rowsBy((hour) => {
        let rows = 0;
        for (let row = 0; row < all.get(hour * HOUR_MS)!; row++) if (random() < share) rows++;
        return rows;
      });
      expect(isPartial(drawn, all)).toBe(false);
    }
  }
});

it('a version whose share grew from day to day has seen every hour of the day alike', () => {
  const days = (shareOf: (day: number) => number) =>
    new Map(
      [0, 1, 2].flatMap((day) =>
        HOURS.map((hour) => [(day * 24 + hour) * HOUR_MS, all.get(hour * HOUR_MS)! * shareOf(day)]),
      ),
    );
  expect(
    isPartial(
      days((day) => (day < 2 ? 0.25 : 1)),
      days(() => 1),
    ),
  ).toBe(false);
});

it('a version that came on Thursday has not seen the week, nor one that goes on into a second week', () => {
  const week = (shareOf: (day: number) => number, days = 7) =>
    new Map(
      Array.from({ length: days * 24 }, (_, hour) => [
        hour * HOUR_MS,
        all.get((hour % 24) * HOUR_MS)! * shareOf(Math.floor(hour / 24)),
      ]),
    );
  const whole = week(() => 1);
  expect(
    isPartialOf(
      week((day) => (day < 3 ? 0 : 1)),
      whole,
      7 * DAY_MS,
    ),
  ).toBe(true);
  expect(
    isPartialOf(
      week(() => 0.5),
      whole,
      7 * DAY_MS,
    ),
  ).toBe(false);
  expect(isPartialOf(whole, whole, 7 * DAY_MS)).toBe(false);
  // Windows of a week that have too few rows go on for another: the days of the two are added up.
  expect(
    isPartialOf(
      week((day) => (day < 7 ? 0.25 : 1), 14),
      week(() => 1, 14),
      7 * DAY_MS,
    ),
  ).toBe(false);
});
