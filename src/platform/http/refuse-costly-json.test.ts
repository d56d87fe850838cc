import { describe, expect, it } from 'vitest';
import { MOST_NAMES, refuseManyNames } from './refuse-many-names.ts';

const named = (count: number, name = (i: number) => `u${i}`) =>
  `{${Array.from({ length: count }, (_, i) => `${JSON.stringify(name(i))} : 12345`).join(',')}}`;

describe('a JSON text of very many names', () => {
  it('is refused before it is parsed, in one object or in many', () => {
    expect(() => refuseManyNames(named(700_000))).toThrow(`more than ${MOST_NAMES} different names`);
    const rows = Array.from({ length: 40_000 }, (_, i) => named(4, (name) => `r${i}_${name}`));
    expect(() => refuseManyNames(`[${rows.join(',')}]`)).toThrow('send several requests');
  });

  it('is taken when rows share their names, when texts only look like names, and when it is short', () => {
    const row = named(20);
    expect(() => refuseManyNames(`[${Array.from({ length: 10_000 }, () => row).join(',')}]`)).not.toThrow();
    const texts = Array.from({ length: 100_000 }, (_, i) => JSON.stringify(`"${i}":\\`));
    expect(() => refuseManyNames(`[${texts.join(',')}]`)).not.toThrow();
    expect(() => refuseManyNames(named(MOST_NAMES - 1000))).not.toThrow();
  });

  it('is left to the parser when a string does not end', () => {
    expect(() => refuseManyNames(`{"a": "${'x\\"'.repeat(200_000)}`)).not.toThrow();
  });
});
