import { describe, expect, it } from 'vitest';
import { MOST_CONTAINERS, MOST_DEPTH, MOST_NAMES, refuseCostlyJson } from './refuse-costly-json.ts';

const named = (count: number, name = (i: number) => `u${i}`) =>
  `{${Array.from({ length: count }, (_, i) => `${JSON.stringify(name(i))} : 12345`).join(',')}}`;

describe('a JSON text that is costly to parse is refused before', () => {
  it.each([60_000, 300_000])('for %i names, in one object or in many', (names) => {
    expect(() => refuseCostlyJson(named(names))).toThrow(`more than ${MOST_NAMES} different names`);
    const rows = Array.from({ length: names / 4 }, (_, i) => named(4, (name) => `r${i}_${name}`));
    expect(() => refuseCostlyJson(`[${rows.join(',')}]`)).toThrow('send several requests');
  });

  it.each(['[', '{"a":', '[ "]" ,'])('for depth, by %s', (open) => {
    for (const times of [150_000, 1_500_000]) {
      expect(() => refuseCostlyJson(open.repeat(times))).toThrow(`nested more than ${MOST_DEPTH} deep`);
    }
  });

  it('for millions of empty lists', () => {
    expect(() => refuseCostlyJson(`[${'[],'.repeat(MOST_CONTAINERS * 1.2)}0]`)).toThrow(
      `more than ${MOST_CONTAINERS} lists and objects`,
    );
  });
});

describe('a JSON text is taken', () => {
  it('when rows share their names, and when texts only look like names or lists', () => {
    const row = named(20);
    expect(() => refuseCostlyJson(`[${Array.from({ length: 10_000 }, () => row).join(',')}]`)).not.toThrow();
    const texts = Array.from({ length: 60_000 }, (_, i) => JSON.stringify(`"${i}":[{\\`));
    expect(() => refuseCostlyJson(`[${texts.join(',')}]`)).not.toThrow();
    expect(() => refuseCostlyJson(`[${[...texts, ...texts, ...texts].join(',')}]`)).not.toThrow();
    expect(() => refuseCostlyJson(named(MOST_NAMES - 1000))).not.toThrow();
  });

  it('when it is short, or its last string does not end', () => {
    expect(() => refuseCostlyJson('['.repeat(120_000))).not.toThrow();
    expect(() => refuseCostlyJson(`{"a": "${'x\\"['.repeat(50_000)}`)).not.toThrow();
  });
});
