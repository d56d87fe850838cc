import { expect, it } from 'vitest';
import { fc } from '../../../tests/support/properties.ts';
import { decomposeChange } from './decompose-change.ts';

const means = fc.uniqueArray(
  fc.record({
    segment: fc.constantFrom('a', 'b', 'c', 'd'),
    rows: fc.integer({ min: 1, max: 1000 }),
    mean: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  { selector: ({ segment }) => segment, minLength: 1 },
);

it('adds up to the whole change', () => {
  fc.assert(
    fc.property(means, means, (before, now) => {
      const change = decomposeChange(before, now)!;
      expect(change.mix + change.behaviour).toBeCloseTo(change.now - change.before, 9);
    }),
  );
});

it('tells another mix from other behaviour', () => {
  const before = [
    { segment: 'easy', rows: 500, mean: 0.1 },
    { segment: 'hard', rows: 500, mean: 0.5 },
  ];
  const mixed = decomposeChange(before, [
    { segment: 'easy', rows: 100, mean: 0.1 },
    { segment: 'hard', rows: 900, mean: 0.5 },
  ])!;
  expect(mixed.mix).toBeCloseTo(0.16, 12);
  expect(mixed.behaviour).toBe(0);
  const worse = decomposeChange(before, [
    { segment: 'easy', rows: 500, mean: 0.4 },
    { segment: 'hard', rows: 500, mean: 0.5 },
  ])!;
  expect(worse.mix).toBe(0);
  expect(worse.behaviour).toBeCloseTo(0.15, 12);
  expect(worse.segments[0]).toMatchObject({ segment: 'easy', behaviour: worse.behaviour });
});

it('says nothing where a side has no rows', () => {
  expect(decomposeChange([], [{ segment: 'a', rows: 1, mean: 1 }])).toBeUndefined();
});
