import { expect, it } from 'vitest';
import { parseDuration, writeDuration } from './durations.ts';

it('reads a number and its unit as milliseconds', () => {
  expect(['250ms', '30s', '10m', '12h', '7d', '4w', ' 1.5h '].map(parseDuration)).toEqual([
    250, 30_000, 600_000, 43_200_000, 604_800_000, 2_419_200_000, 5_400_000,
  ]);
});

it('takes nothing else for a duration', () => {
  for (const wrong of ['', '10', 'm', '-1d', '1 month', '7 d', '1y', '1e3s', 10, undefined, null]) {
    expect(parseDuration(wrong), String(wrong)).toBeUndefined();
  }
});

it('writes what it reads, in the largest unit that is whole', () => {
  expect([0, 1500, 60_000, 5_400_000, 604_800_000].map(writeDuration)).toEqual([
    '0ms',
    '1500ms',
    '1m',
    '90m',
    '7d',
  ]);
});
