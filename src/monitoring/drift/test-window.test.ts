import { describe, expect, it } from 'vitest';
import { createRandom } from '../../platform/index.ts';
import {
  buildReference,
  type ColumnValues,
  columnOf,
  createProfile,
  type Profile,
  type ProfileSpec,
} from '../../profiles/index.ts';
import { type PreparedReference, prepareReference } from './prepare-reference.ts';
import { type ColumnTest, testWindow } from './test-window.ts';
import { advanceWatch, FRESH_WATCH, type WatchState } from './watch-tests.ts';

const DAY_MS = 86_400_000;
const CITIES = ['LAX', 'SFO', 'DEN', 'ORD', 'JFK'];

interface Rows {
  amount: number[];
  city: (string | null)[];
}

function draw(
  rows: number,
  seed: number,
  { shift = 0, missing = 0, dayEffect = 0 }: { shift?: number; missing?: number; dayEffect?: number } = {},
): Rows {
  const random = createRandom(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const day = dayEffect * normal();
  return {
    amount: Array.from({ length: rows }, () => (random() < missing ? Number.NaN : normal() + shift + day)),
    city: Array.from({ length: rows }, () => CITIES[Math.floor(random() ** 2 * CITIES.length)]!),
  };
}

const valuesOf = ({ amount, city }: Rows): ColumnValues[] => [
  columnOf(Float64Array.from(amount)),
  columnOf(city),
];

/** Forty days of 500 rows. */
function referenceOf(dayEffect = 0): { spec: ProfileSpec; prepared: PreparedReference } {
  const days = Array.from({ length: 40 }, (_, day) => draw(500, 1000 + day, { dayEffect }));
  const all: Rows = { amount: days.flatMap((day) => day.amount), city: days.flatMap((day) => day.city) };
  const [amount, city] = valuesOf(all) as [ColumnValues, ColumnValues];
  const reference = buildReference([
    {
      columns: [
        { name: 'amount', values: amount },
        { name: 'city', values: city },
      ],
      rows: all.amount.length,
      times: all.amount.map((_, row) => Math.floor(row / 500) * DAY_MS),
    },
  ]);
  return { spec: reference.spec, prepared: prepareReference(reference) };
}

function windowOf(spec: ProfileSpec, rows: Rows): Profile {
  const profile = createProfile(spec);
  profile.add(rows.amount.length, valuesOf(rows));
  return profile;
}

const pick = (tests: ColumnTest[], column: string, aspect: string) =>
  tests.find((test) => test.column === column && test.aspect === aspect)!;

/** In how many windows the first alarm is raised; undefined when none is in `most`. */
function windowsToAlarm(
  { spec, prepared }: ReturnType<typeof referenceOf>,
  most: number,
  drawWindow: (index: number) => Rows,
): number | undefined {
  const states = new Map<string, WatchState>();
  for (let index = 1; index <= most; index++) {
    for (const test of testWindow(spec, prepared, windowOf(spec, drawWindow(index)))) {
      const key = `${test.column} ${test.aspect}`;
      const step = advanceWatch(states.get(key) ?? FRESH_WATCH, test.p, prepared.tests);
      states.set(key, step.state);
      if (step.event === 'opened') return index;
    }
  }
  return undefined;
}

describe('testWindow', () => {
  const steady = referenceOf();

  it('runs a test of the values, of missing and of unseen ones for each column', () => {
    const tests = testWindow(steady.spec, steady.prepared, windowOf(steady.spec, draw(500, 1)));
    expect(tests.map(({ column, aspect }) => `${column} ${aspect}`)).toEqual([
      'amount values',
      'amount missing',
      'amount unseen',
      'city values',
      'city missing',
      'city unseen',
    ]);
    expect(steady.prepared.tests).toBe(6);
    expect(pick(tests, 'amount', 'values')).toMatchObject({ rows: 500, referenceRows: 20_000, df: 9 });
    expect(pick(tests, 'amount', 'values').ks).toBeLessThan(0.1);
  });

  it('finds nothing in windows like the reference', () => {
    expect(windowsToAlarm(steady, 300, (index) => draw(500, 50_000 + index))).toBeUndefined();
  });

  it('allows for days that differ as those of the reference do', () => {
    const lively = referenceOf(0.2);
    const drawDay = (index: number) => draw(2000, 70_000 + index, { dayEffect: 0.2 });
    expect(windowsToAlarm(lively, 200, drawDay)).toBeUndefined();
    // The same days against a reference that has no such days are another matter.
    expect(windowsToAlarm(steady, 200, drawDay)).toBeDefined();
  });

  it('finds half a standard deviation within two windows, and 0.3 within five', () => {
    expect(windowsToAlarm(steady, 2, (index) => draw(500, 90_000 + index, { shift: 0.5 }))).toBeDefined();
    expect(windowsToAlarm(steady, 5, (index) => draw(500, 91_000 + index, { shift: 0.3 }))).toBeDefined();
  });

  it('alarms at once when 90 % are missing', () => {
    const window = () => draw(500, 3, { missing: 0.9 });
    const tests = testWindow(steady.spec, steady.prepared, windowOf(steady.spec, window()));
    expect(pick(tests, 'amount', 'missing')).toMatchObject({ p: 1e-12 });
    expect(pick(tests, 'amount', 'missing').rate).toBeGreaterThan(0.85);
    expect(windowsToAlarm(steady, 1, window)).toBe(1);
  });

  it('does not alarm on one unseen row, nor on one row out of range', () => {
    const odd = draw(500, 4);
    odd.city[17] = 'XXX';
    odd.amount[18] = 1e9;
    const tests = testWindow(steady.spec, steady.prepared, windowOf(steady.spec, odd));
    expect(pick(tests, 'city', 'unseen').p).toBeGreaterThan(0.01);
    expect(pick(tests, 'amount', 'unseen').p).toBeGreaterThan(0.01);
    expect(windowsToAlarm(steady, 1, () => odd)).toBeUndefined();
  });

  it('alarms on a new category that a tenth of the rows have, and on a unit that changed', () => {
    const renamed = draw(500, 5);
    renamed.city = renamed.city.map((city, row) => (row % 10 === 0 ? 'L.A.' : city));
    expect(windowsToAlarm(steady, 1, () => renamed)).toBe(1);
    const scaled = draw(500, 6);
    scaled.amount = scaled.amount.map((value, row) => (row % 10 === 0 ? value * 1000 : value));
    const tests = testWindow(steady.spec, steady.prepared, windowOf(steady.spec, scaled));
    expect(pick(tests, 'amount', 'unseen').p).toBe(1e-12);
  });

  it('takes a column for what it is that always grows: no day of the reference is like another', () => {
    const rows = 40 * 500;
    const grow = Float64Array.from({ length: rows }, (_, row) => row);
    const reference = buildReference([
      {
        columns: [{ name: 'clock', values: columnOf(grow) }],
        rows,
        times: grow.map((_, row) => Math.floor(row / 500) * DAY_MS),
      },
    ]);
    const prepared = prepareReference(reference);
    const states = new Map<string, WatchState>();
    for (let day = 40; day < 100; day++) {
      const window = createProfile(reference.spec);
      window.add(500, [columnOf(Float64Array.from({ length: 500 }, (_, row) => day * 500 + row))]);
      for (const test of testWindow(reference.spec, prepared, window)) {
        const step = advanceWatch(states.get(test.aspect) ?? FRESH_WATCH, test.p, prepared.tests);
        states.set(test.aspect, step.state);
        expect(step.event, `day ${day}, ${test.aspect}, p ${test.p}`).toBeUndefined();
      }
    }
  });
});

it('watches no column of which the reference has fewer than ten windows', () => {
  const rows = 7 * 500;
  const random = createRandom(1);
  const reference = buildReference([
    {
      columns: [{ name: '@score', values: columnOf(Float64Array.from({ length: rows }, () => random())) }],
      rows,
      times: Float64Array.from({ length: rows }, (_, row) => Math.floor(row / 500) * DAY_MS),
    },
  ]);
  const prepared = prepareReference(reference);
  expect(prepared.tests).toBe(0);
  const window = createProfile(reference.spec);
  window.add(500, [columnOf(Float64Array.from({ length: 500 }, () => random() / 2))]);
  expect(testWindow(reference.spec, prepared, window)).toMatchObject([{ p: 1e-12, isWatched: false }]);
});

describe('advanceWatch', () => {
  it('restarts after an alarm, keeps it open while there is news, and closes it after five quiet windows', () => {
    let step = advanceWatch(FRESH_WATCH, 1e-12, 60);
    expect(step.event).toBe('opened');
    expect(step.state).toMatchObject({ isOpen: true, quiet: 0, logM: Number.NEGATIVE_INFINITY });
    step = advanceWatch(step.state, 1e-12, 60);
    expect(step.event).toBe('again');
    for (const p of [0.5, 0.5, 0.5, 0.5, 0.01, 0.5, 0.5, 0.5, 0.5]) {
      step = advanceWatch(step.state, p, 60);
      expect(step).toMatchObject({ state: { isOpen: true } });
      expect(step.event).toBeUndefined();
    }
    step = advanceWatch(step.state, 0.5, 60);
    expect(step).toMatchObject({ event: 'closed', state: { isOpen: false, quiet: 0 } });
  });

  it('needs more evidence the more tests run', () => {
    const windows = (tests: number) => {
      let state = FRESH_WATCH;
      for (let count = 1; count < 100; count++) {
        const step = advanceWatch(state, 0.001, tests);
        if (step.event) return count;
        state = step.state;
      }
      return Number.POSITIVE_INFINITY;
    };
    expect(windows(1)).toBeLessThan(windows(1000));
  });
});
