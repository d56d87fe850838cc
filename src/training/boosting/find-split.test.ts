import { describe, expect, it } from 'vitest';
import { fc } from '../../../tests/support/properties.ts';
import { createRandom } from '../../platform/index.ts';
import { binTable, planThresholds, type TreeFeature } from './bin-table.ts';
import { createSplitFinder } from './find-split.ts';
import { fillHistogram, layOutHistogram, packHessians, planPacking, subtractHistogram } from './histogram.ts';

describe('thresholds', () => {
  it('divide float32 numbers as the bins do', () => {
    const number = fc.oneof(fc.float({ noNaN: true }), fc.integer({ min: -3, max: 3 }));
    fc.assert(
      fc.property(
        fc.array(number, { minLength: 2, maxLength: 80 }),
        fc.integer({ min: 2, max: 20 }),
        (given, bins) => {
          const values = Float32Array.from(given);
          const thresholds = planThresholds(values, bins, createRandom(1));
          const distinct = new Set(Array.from(values, (value) => value + 0)).size;
          expect(thresholds.length).toBeLessThan(Math.min(bins, distinct) + (distinct > bins ? 0 : 1));
          const feature: TreeFeature = {
            column: 0,
            kind: 'numeric',
            thresholds,
            binCount: thresholds.length + 2,
          };
          const table = {
            rows: values.length,
            target: new Float64Array(values.length),
            targetName: 'y',
          } as const;
          const { packed } = binTable(
            {
              ...table,
              task: 'regression',
              columns: [{ name: 'x', type: 'numeric', source: 'double', values }],
            },
            [feature],
          );
          values.forEach((value, i) => {
            const bin = packed[0]![i]! & 255;
            expect(bin).toBe(thresholds.filter((threshold) => threshold < value).length);
          });
        },
      ),
    );
  });

  it('put about as many rows into each bin', () => {
    const random = createRandom(1);
    const values = Float32Array.from({ length: 10_000 }, () => random() ** 3);
    const thresholds = planThresholds(values, 10, random);
    const counts = Array.from({ length: 10 }, () => 0);
    for (const value of values) counts[thresholds.filter((threshold) => threshold < value).length]!++;
    expect(Math.min(...counts)).toBeGreaterThan(900);
    expect(Math.max(...counts)).toBeLessThan(1100);
  });
});

describe('histograms', () => {
  it('hold exact counts, and hessians that the rounding does not shift', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 0.25, noNaN: true }), { minLength: 1, maxLength: 300 }),
        (given) => {
          const packing = planPacking(3_000_000, 0.25);
          const hessians = Float64Array.from(given);
          packHessians(hessians, packing);
          const sum = hessians.reduce((total, value) => total + value, 0);
          const rows = Math.floor(sum / packing.unit);
          expect(rows).toBe(given.length);
          const exact = given.reduce((total, value) => total + value, 0);
          expect(Math.abs((sum - rows * packing.unit) / packing.scale - exact)).toBeLessThanOrEqual(
            1 / packing.scale,
          );
        },
      ),
    );
  });
});

/** Rows of five features in bins, and a search over them. */
function prepare(rows: number, seed: number, kinds: TreeFeature['kind'][], minLeaf: number) {
  const random = createRandom(seed);
  const features = kinds.map(
    (kind, column): TreeFeature => ({ column, kind, thresholds: new Float32Array(4), binCount: 6 }),
  );
  const bins = features.map(() => Uint8Array.from({ length: rows }, () => Math.floor(random() * 6)));
  const packed = [0, 1].map((group) =>
    Int32Array.from({ length: rows }, (_, i) =>
      bins.slice(group * 4, group * 4 + 4).reduce((word, own, k) => word | (own[i]! << (8 * k)), 0),
    ),
  );
  const table = { rows, features, packed };
  const gradients = Float64Array.from({ length: rows }, () => random() - 0.5);
  const plain = Float64Array.from({ length: rows }, () => 0.1 + random());
  const packing = planPacking(rows, 1.1);
  const hessians = plain.slice();
  packHessians(hessians, packing);
  const layout = layOutHistogram(table);
  const all = Int32Array.from({ length: rows }, (_, i) => i);
  const fill = (members: Int32Array) => {
    const histogram = new Float64Array(layout.length);
    const pick = (values: Float64Array) => Float64Array.from(members, (row) => values[row]!);
    fillHistogram(histogram, layout, table, members, 0, members.length, pick(gradients), pick(hessians));
    return histogram;
  };
  const findSplit = createSplitFinder(features, layout, packing, { minLeaf, l2: 1 });
  const total = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0);
  const found = findSplit(fill(all), { gradient: total(gradients), packed: total(hessians) });
  /** The gain of sending the given bins of a feature to the left. */
  const gainOf = (feature: number, isLeft: (bin: number) => boolean) => {
    const sums = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < rows; i++) {
      const at = isLeft(bins[feature]![i]!) ? 0 : 3;
      sums[at]! += gradients[i]!;
      sums[at + 1]! += plain[i]!;
      sums[at + 2]!++;
    }
    const [gl, hl, nl, gr, hr, nr] = sums as [number, number, number, number, number, number];
    if (nl < minLeaf || nr < minLeaf) return 0;
    return gl ** 2 / (hl + 1) + gr ** 2 / (hr + 1) - (gl + gr) ** 2 / (hl + hr + 1);
  };
  return { found, gainOf, fill, all, bins };
}

describe('the search for a split', () => {
  it('finds the largest gain that any threshold and side of the missing has', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 10, max: 200 }),
        fc.nat(),
        fc.constantFrom(1, 5),
        (rows, seed, minLeaf) => {
          const { found, gainOf } = prepare(rows, seed, Array(5).fill('numeric'), minLeaf);
          const gains = [0, 1, 2, 3, 4].flatMap((feature) =>
            [0, 1, 2, 3, 4].flatMap((last) =>
              [true, false].map((left) => gainOf(feature, (bin) => (bin === 5 ? left : bin <= last))),
            ),
          );
          expect(found?.gain ?? 0).toBeCloseTo(Math.max(0, ...gains), 3);
          const own = found
            ? gainOf(found.feature, (bin) => (bin === 5 ? found.missingLeft : bin <= found.bin))
            : 0;
          expect(own).toBeCloseTo(found?.gain ?? 0, 3);
        },
      ),
    );
  });

  it('sends sets of levels to the left that gain what it says, nearly as much as the best of all sets', () => {
    fc.assert(
      fc.property(fc.integer({ min: 60, max: 300 }), fc.nat(), (rows, seed) => {
        const { found, gainOf } = prepare(rows, seed, Array(5).fill('category'), 1);
        const best = Math.max(
          ...[0, 1, 2, 3, 4].flatMap((feature) =>
            Array.from({ length: 64 }, (_, set) => gainOf(feature, (bin) => ((set >> bin) & 1) === 1)),
          ),
        );
        expect(gainOf(found!.feature, (bin) => found!.leftBins![bin] === 1)).toBeCloseTo(found!.gain, 3);
        expect(found!.gain).toBeGreaterThan(0.6 * best);
      }),
    );
  });

  it('gets a sibling by subtraction', () => {
    const { fill, all, bins } = prepare(500, 3, Array(5).fill('numeric'), 1);
    const left = all.filter((row) => bins[0]![row]! < 2);
    const rest = fill(all);
    subtractHistogram(rest, fill(left));
    const direct = fill(all.filter((row) => bins[0]![row]! >= 2));
    rest.forEach((value, i) => {
      expect(value).toBeCloseTo(direct[i]!, 9);
    });
  });
});
