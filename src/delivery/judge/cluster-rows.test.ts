import { expect, it } from 'vitest';
import { clusterRows } from './cluster-rows.ts';

const DAY = 86_400_000;
const seed = 7;
const maxClusters = 100;
const timesOver = (rows: number, days: number) =>
  Float64Array.from({ length: rows }, (_, i) => 3 * DAY + Math.floor((i / rows) * days * DAY));

it('groups by day in UTC where the time is known, whatever else is', () => {
  const found = clusterRows({
    rows: 30,
    times: timesOver(30, 5),
    entities: Array(30).fill('a'),
    maxClusters,
    seed,
  });
  expect(found).toMatchObject({ by: 'day', count: 5, notes: [] });
  expect(Array.from(found.of.subarray(0, 7))).toEqual([0, 0, 0, 0, 0, 0, 1]);
});

it('counts the rest of a day with the day beside it, and says so', () => {
  const hours = (day: number, rows: number) => Array.from({ length: rows }, (_, i) => (day + i / rows) * DAY);
  const evening = [3.95, 3.97].map((day) => day * DAY);
  const times = [
    ...hours(4, 40),
    ...evening,
    ...hours(5, 30),
    ...hours(6, 7),
    ...hours(8, 35),
    ...hours(9, 8),
  ];
  const found = clusterRows({ rows: times.length, times: Float64Array.from(times), maxClusters, seed });
  expect(found).toMatchObject({
    by: 'day',
    count: 5,
    notes: [expect.stringContaining('1 of 6 days has so few')],
  });
  const sizes = Array.from({ length: 5 }, (_, cluster) => found.of.filter((each) => each === cluster).length);
  expect(sizes).toEqual([42, 30, 7, 35, 8]);
  const rest = clusterRows({
    rows: 93,
    times: Float64Array.from([...hours(4, 30), ...hours(5, 30), ...hours(6, 30), ...hours(7, 3)]),
    maxClusters,
    seed,
  });
  expect([rest.count, rest.of[92]]).toEqual([3, 2]);
});

it('keeps three days of which one is small, since two could not be compared', () => {
  const times = Float64Array.from(
    [...Array(40).fill(4), ...Array(40).fill(5), ...Array(3).fill(6)].map((day) => day * DAY),
  );
  const found = clusterRows({ rows: times.length, times, maxClusters, seed });
  expect(found).toMatchObject({ by: 'day', count: 3, notes: [] });
  expect(found.of.filter((each) => each === 2)).toHaveLength(3);
});

it('cuts rows of fewer than three days in blocks of as many rows each, and says so', () => {
  const { by, count, of, notes } = clusterRows({
    rows: 100,
    times: timesOver(100, 2).reverse(),
    maxClusters,
    seed,
  });
  expect([by, count]).toEqual(['block', 20]);
  for (let block = 0; block < 20; block++) expect(of.filter((each) => each === block)).toHaveLength(5);
  expect(of[99]).toBe(0);
  expect(notes).toEqual([expect.stringContaining('as if days did not differ')]);
});

it('groups by entity without times, and takes rows alone where nothing is known, both said', () => {
  const entities = ['x', 'y', 'x', 'z'];
  const byEntity = clusterRows({ rows: 4, entities, maxClusters, seed });
  expect([byEntity.by, byEntity.count, [...byEntity.of]]).toEqual(['entity', 3, [0, 1, 0, 2]]);
  const alone = clusterRows({ rows: 4, maxClusters, seed });
  expect([alone.by, alone.count, [...alone.of]]).toEqual(['row', 4, [0, 1, 2, 3]]);
  expect([byEntity.notes.length, alone.notes.length]).toEqual([1, 1]);
  expect(clusterRows({ rows: 4, times: timesOver(4, 4), wanted: 'row', maxClusters, seed }).by).toBe('row');
  expect(clusterRows({ rows: 4, wanted: 'day', maxClusters, seed }).notes).toEqual([
    expect.stringContaining('carry no time'),
  ]);
});

it('puts entities together at random where there are very many, each whole and the same way again', () => {
  const entities = Array.from({ length: 1000 }, (_, i) => Math.floor(i / 2));
  const one = clusterRows({ rows: 1000, entities, maxClusters, seed });
  expect(one.count).toBe(100);
  for (let i = 0; i < 1000; i += 2) expect(one.of[i]).toBe(one.of[i + 1]);
  expect(new Set(one.of).size).toBe(100);
  expect(clusterRows({ rows: 1000, entities, maxClusters, seed }).of).toEqual(one.of);
});

it('puts consecutive days together where there are very many', () => {
  const times = timesOver(3000, 300).reverse();
  const found = clusterRows({ rows: 3000, times, maxClusters, seed });
  expect(found).toMatchObject({ by: 'block', count: 100, notes: [expect.stringContaining('300 days')] });
  for (let block = 0; block < 100; block++) {
    const days = new Set(
      times.filter((_, row) => found.of[row] === block).map((time) => Math.floor(time / DAY)),
    );
    expect([...days].sort((a, b) => a - b)).toEqual([3 + 3 * block, 4 + 3 * block, 5 + 3 * block]);
  }
});

it('puts rows of unknown time last, in blocks of rows and of days', () => {
  const times = Float64Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? Number.NaN : 3 * DAY + 40 - i));
  const { of } = clusterRows({ rows: 40, times, blocks: 4, maxClusters, seed });
  expect(Array.from(of).filter((_, i) => i % 2 === 0)).toEqual([...Array(10).fill(2), ...Array(10).fill(3)]);
  expect(Array.from(of).filter((_, i) => i % 2 === 1)).toEqual([...Array(10).fill(1), ...Array(10).fill(0)]);
  const days = Float64Array.from([Number.NaN, 5 * DAY, 4 * DAY, 3 * DAY]);
  expect(Array.from(clusterRows({ rows: 4, times: days, maxClusters: 2, seed }).of)).toEqual([1, 1, 0, 0]);
});
