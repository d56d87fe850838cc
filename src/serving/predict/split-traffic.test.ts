import { describe, expect, it } from 'vitest';
import { fc } from '../../../tests/support/properties.ts';
import type { DesiredRollout } from '../contract.ts';
import { drawSides, placeOfKey } from './split-traffic.ts';

const rollout: DesiredRollout = {
  id: 'rollout-1',
  candidate: { version: '2', sha256: 'x', size_bytes: 1 },
  mode: 'canary',
  weight: 0.25,
};
const KEYS = Array.from({ length: 20_000 }, (_, i) => `customer-${i}`);
const share = (keys: string[], salt: string, weight: number) =>
  keys.filter((key) => placeOfKey(salt, key) < weight).length / keys.length;

describe('the split of traffic', () => {
  it.each([0.01, 0.05, 0.25, 0.5, 0.9])('gives the weight %d its share of the keys', (weight) => {
    // Five standard deviations of a binomial share.
    const tolerance = 5 * Math.sqrt((weight * (1 - weight)) / KEYS.length);
    for (const salt of ['a', 'b', '0195f5a0-0000-7000-8000-000000000000'])
      expect(Math.abs(share(KEYS, salt, weight) - weight)).toBeLessThan(tolerance);
  });

  it('keeps whoever is in when the weight grows', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (key, a, b) => {
          const place = placeOfKey('salt', key);
          if (place < Math.min(a, b)) expect(place).toBeLessThan(Math.max(a, b));
          expect(place).toBeLessThan(1);
        },
      ),
    );
  });

  it('draws the callers anew for another rollout, independently of the one before', () => {
    const inFirst = KEYS.filter((key) => placeOfKey('first', key) < 0.5);
    expect(Math.abs(share(inFirst, 'second', 0.5) - 0.5)).toBeLessThan(0.03);
  });

  it('takes the key from the header, else from the column, else draws at random', () => {
    const draws: number[] = [];
    const random = () => {
      draws.push(1);
      return 0.1;
    };
    const rows = [{ customer: 7 }, { customer: null }, [1, 'x']];
    const sticky = { ...rollout, sticky_header: 'X-Customer', sticky_column: 'customer' };
    const byHeader = drawSides(sticky, rows, { 'x-customer': 'c1' }, ['a', 'customer'], random);
    expect(byHeader).toEqual({ isInside: [placeOfKey('rollout-1', 'c1') < 0.25], keys: ['c1'] });
    expect(draws).toHaveLength(0);
    const byColumn = drawSides(sticky, rows, {}, ['a', 'customer'], random);
    expect(byColumn.keys).toEqual(['7', undefined, 'x']);
    expect(byColumn.isInside[1]).toBe(true);
    expect(draws).toHaveLength(1);
    expect(drawSides(rollout, rows, {}, [], random)).toEqual({ isInside: [true], keys: undefined });
  });

  it('gives nobody at weight 0 and everybody at weight 1', () => {
    expect(share(KEYS, 's', 0)).toBe(0);
    expect(share(KEYS, 's', 1)).toBe(1);
  });
});
