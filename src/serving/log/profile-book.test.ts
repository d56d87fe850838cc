import { describe, expect, it } from 'vitest';
import { columnOf, decodeProfile, specOf } from '../../profiles/index.ts';
import { LATENCY_EDGES_MS } from '../contract.ts';
import { createProfileBook, HOUR_MS, latencyPlace } from './profile-book.ts';

const spec = specOf([{ name: 'x', values: columnOf(Float64Array.from({ length: 100 }, (_, i) => i)) }], 100);
const key = (hour: number) => ({
  model: 'm',
  version: '1',
  variant: 'champion' as const,
  hour: hour * HOUR_MS,
});

function count(book: ReturnType<typeof createProfileBook>, hour: number, values: number[]) {
  const page = book.open(key(hour), spec);
  page.profile?.add(values.length, [columnOf(Float64Array.from(values))]);
  page.answered += values.length;
  page.isChanged = true;
  return page;
}

describe('the book of profiles', () => {
  it('tells whole counts of what has changed, until that is acknowledged', () => {
    const book = createProfileBook();
    count(book, 0, [1, 2]);
    const lost = book.capture();
    book.takeBack(lost);
    count(book, 0, [3]);
    const told = book.capture();
    expect(told.changed).toMatchObject([{ answered: 3, part: 0, hour: 0 }]);
    expect(decodeProfile(spec, told.changed[0]?.profile ?? '').rows).toBe(3);
    book.acknowledge();
    expect(book.isChanged).toBe(false);
    const later = book.capture();
    expect(later.changed).toEqual([]);
    expect(later.all).toEqual(told.changed);
  });

  it('counts hours without their columns when open pages take too much memory, until some are put away', () => {
    const book = createProfileBook({ mostCounters: 300 });
    const profiled = Array.from({ length: 50 }, (_, hour) => count(book, hour, [1]).profile !== undefined);
    expect(profiled.slice(0, 2)).toEqual([true, true]);
    expect(profiled.at(-1)).toBe(false);
    const { all } = book.capture();
    expect(all).toHaveLength(50);
    expect(all.every(({ answered }) => answered === 1)).toBe(true);
    book.acknowledge();
    count(book, 60, [1]);
    book.capture();
    book.acknowledge();
    expect(count(book, 61, [1]).profile).toBeDefined();
  });

  it('keeps what comes between a capture and its acknowledgement for the next one', () => {
    const book = createProfileBook();
    count(book, 0, [1]);
    book.capture();
    count(book, 0, [2]);
    book.acknowledge();
    expect(book.capture().changed).toMatchObject([{ answered: 2 }]);
  });

  it('puts old hours away once they are acknowledged, and goes on with one under another part', () => {
    const book = createProfileBook();
    const first = count(book, 0, [1, 2]);
    count(book, 1, [1]);
    count(book, 2, [1]);
    book.capture();
    book.acknowledge();
    expect(first.isPutAway).toBe(false);
    count(book, 2, [1]);
    book.capture();
    book.acknowledge();
    expect(first.isPutAway).toBe(true);
    expect(book.size).toBe(2);
    count(book, 0, [5]);
    const { changed } = book.capture();
    expect(changed).toMatchObject([{ hour: 0, part: 1, answered: 1 }]);
    book.acknowledge();
    count(book, 2, [1]);
    book.capture();
    book.acknowledge();
    count(book, 0, [5, 6]);
    expect(book.capture().changed).toMatchObject([{ hour: 0, part: 2, answered: 2 }]);
  });

  it('keeps the present hour on one page although an event of a far future came', () => {
    const book = createProfileBook();
    count(book, 1_000_000, [1]);
    const page = count(book, 0, [1]);
    for (let round = 0; round < 3; round++) {
      book.capture();
      book.acknowledge();
      count(book, 0, [1]);
    }
    expect(page).toMatchObject({ isPutAway: false, answered: 4, part: 0 });
  });

  it('does not put away what has not been acknowledged', () => {
    const book = createProfileBook();
    book.capture();
    count(book, 0, [1]);
    count(book, 5, [1]);
    book.acknowledge();
    expect(book.size).toBe(2);
  });
});

describe('the time of a run', () => {
  it('belongs to the first edge that is not below it', () => {
    expect(latencyPlace(0)).toBe(0);
    expect(latencyPlace(0.05)).toBe(0);
    expect(latencyPlace(0.051)).toBe(1);
    expect(latencyPlace(5000)).toBe(LATENCY_EDGES_MS.length - 1);
    expect(latencyPlace(5001)).toBe(LATENCY_EDGES_MS.length);
  });
});
