import { describe, expect, it } from 'vitest';
import { columnOf, decodeProfile, specOf } from '../../../profiles/index.ts';
import { LATENCY_EDGES_MS } from '../../contract.ts';
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
  if (page === undefined) throw new Error('too many pages are open');
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

  it('has so many pages and no more, until some are put away', () => {
    const book = createProfileBook({ mostPages: 3 });
    for (let hour = 0; hour < 3; hour++) count(book, hour, [1]);
    expect(book.open(key(3), spec)).toBeUndefined();
    expect(count(book, 2, [1]).answered).toBe(2);
    book.capture();
    book.acknowledge();
    count(book, 2, [1]);
    book.capture();
    book.acknowledge();
    expect(book.open(key(3), spec)).toBeDefined();
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

describe('segments in the book', () => {
  function countSegment(book: ReturnType<typeof createProfileBook>, hour: number, value: string) {
    const page = count(book, hour, [1]);
    const segment = book.openSegment(page, 'plan', value);
    segment?.profile?.add(1, [columnOf(Float64Array.of(1))]);
    if (segment) {
      segment.answered += 1;
      segment.isChanged = true;
    }
    return segment;
  }

  it('are told beside all rows, when they have changed', () => {
    const book = createProfileBook();
    countSegment(book, 0, 'free');
    countSegment(book, 0, 'paid');
    expect(book.capture().changed).toMatchObject([
      { segment: '', answered: 2 },
      { segment: 'plan=free', answered: 1 },
      { segment: 'plan=paid', answered: 1 },
    ]);
    book.acknowledge();
    countSegment(book, 0, 'paid');
    const { changed, all } = book.capture();
    expect(changed.map(({ segment, answered }) => [segment, answered])).toEqual([
      ['', 3],
      ['plan=paid', 2],
    ]);
    expect(all).toHaveLength(3);
  });

  it('are put away with the page of all rows, and go on with it under its next part', () => {
    const book = createProfileBook();
    const first = countSegment(book, 0, 'free');
    const settle = (hour: number) => {
      countSegment(book, hour, 'paid');
      book.capture();
      book.acknowledge();
    };
    settle(5);
    // Late rows of another value keep the hour open.
    settle(0);
    settle(5);
    settle(5);
    expect(book.capture().all.map(({ hour }) => hour / HOUR_MS)).toEqual([5, 5]);
    expect(countSegment(book, 0, 'free')).not.toBe(first);
    expect(book.capture().changed).toMatchObject([
      { segment: '', answered: 1, part: 1 },
      { segment: 'plan=free', answered: 1, part: 1 },
    ]);
  });

  it('are twenty of a column and hour, those that come first', () => {
    const book = createProfileBook();
    const opened = Array.from({ length: 25 }, (_, i) => countSegment(book, 0, `v${i}`) !== undefined);
    expect(opened.indexOf(false)).toBe(20);
    expect(countSegment(book, 0, 'v3')).toMatchObject({ answered: 2 });
    expect(countSegment(book, 1, 'v24')).toBeDefined();
  });

  it('leave half of the memory to the pages of all rows', () => {
    const book = createProfileBook({ mostCounters: 2000 });
    let segments = 0;
    for (let i = 0; i < 20; i++) if (countSegment(book, 0, `v${i}`)) segments += 1;
    expect(segments).toBeGreaterThan(2);
    expect(segments).toBeLessThan(20);
    expect(count(book, 1, [1]).profile).toBeDefined();
    // What is put away makes room.
    const settle = (hour: number) => {
      count(book, hour, [1]);
      book.capture();
      book.acknowledge();
    };
    settle(9);
    settle(9);
    let later = 0;
    for (let i = 0; i < 20; i++) if (countSegment(book, 9, `v${i}`)) later += 1;
    expect(later).toBe(segments);
  });

  it.each(['x'.repeat(101), 'a\u0000b', 'a\nb', '\ud800'])('have no place for the value %j', (value) => {
    expect(countSegment(createProfileBook(), 0, value)).toBeUndefined();
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
