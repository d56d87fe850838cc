import { expect, it } from 'vitest';
import { compareModels, compareSlices, type ScoredPair } from './compare-models.ts';

const DAY = 86_400_000;
const ROWS = 20_000;
const COLUMNS = ['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7'];
// Prime to 50, so that each column has every value.
const STEPS = [1, 3, 7, 9, 11, 13, 17, 19];

/** Two regressions over 60 days, cut by eight columns of 50 values; the challenger fails where `c0` is 7. */
function pairOf(): ScoredPair {
  const noise = (i: number) => ((i * 7919) % 1009) / 1009 - 0.5;
  const rows = Array.from({ length: ROWS }, (_, i) =>
    Object.fromEntries(COLUMNS.map((column, place) => [column, (i * (STEPS[place] ?? 1)) % 50])),
  );
  const scored = (answers: Float32Array) => ({
    answers,
    labels: new Float64Array(ROWS),
    rows: ROWS,
    metrics: { mae: 0.25 },
    report: {},
  });
  return {
    champion: scored(Float32Array.from(rows, (_, i) => noise(i))),
    challenger: scored(Float32Array.from(rows, ({ c0 }, i) => noise(i * 31 + 7) + (c0 === 7 ? 3 : 0))),
    classes: undefined,
    rows,
    times: Float64Array.from(rows, (_, i) => Math.floor((i / ROWS) * 60) * DAY),
    entities: undefined,
    seed: 5,
  };
}

it('judges hundreds of slices at a late look in seconds', { timeout: 120_000 }, () => {
  const pair = pairOf();
  // The tenth look: Holm's first step has an alpha under 10⁻⁶, which would take 10⁸ resamples of each slice.
  const question = { metric: 'mae' as const, alpha: 0.0003, slices: COLUMNS };
  const begun = performance.now();
  const { comparison } = compareModels(pair, question);
  const { slices } = compareSlices(pair, question, comparison);
  expect(performance.now() - begun).toBeLessThan(60_000);
  expect(slices).toHaveLength(400);
  const worse = slices.filter(({ result }) => result === 'worse');
  expect(worse.some(({ column, value }) => column === 'c0' && value === '7')).toBe(true);
  expect(worse.length).toBeLessThan(slices.length / 2);
  const found = slices.find(({ column, value }) => column === 'c0' && value === '7');
  expect(found?.alpha).toBeLessThan(0.0003 / 100);
});
