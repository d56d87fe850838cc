import { describe, expect, it } from 'vitest';
import { fc } from '../../tests/support/properties.ts';
import {
  buildReference,
  type ColumnValues,
  columnFrom,
  columnOf,
  createProfile,
  decodeProfile,
  decodeReference,
  decodeSpec,
  encodeProfile,
  encodeReference,
  encodeSpec,
  type Profile,
  type ProfileSpec,
  specOf,
  takeRows,
} from './index.ts';

const spec: ProfileSpec = {
  columns: [
    { name: 'age', kind: 'numeric', min: 0, max: 90, edges: [10, 20, 20.5, 70] },
    { name: 'plan', kind: 'categorical', categories: ['free', 'pro'], hasOther: false },
    { name: 'city', kind: 'categorical', categories: ['Rome'], hasOther: true },
  ],
};

const rowArbitrary = fc.record({
  age: fc.oneof(
    fc.double({ min: -20, max: 120 }),
    fc.constantFrom(0, 10, 20, 20.5, 70, 90, Number.NaN, Number.POSITIVE_INFINITY),
  ),
  plan: fc.constantFrom('free', 'pro', 'gold', 'trial', '?', null),
  city: fc.constantFrom('Rome', 'Oslo', null),
});
type Row = { age: number; plan: string | null; city: string | null };

function valuesOf(rows: Row[]): ColumnValues[] {
  return [
    columnOf(Float64Array.from(rows, ({ age }) => age)),
    { texts: rows.map(({ plan }) => plan), stride: 1, offset: 0, missing: '?' },
    columnOf(rows.map(({ city }) => city)),
  ];
}

function profileOf(rows: Row[]): Profile {
  const profile = createProfile(spec);
  profile.add(rows.length, valuesOf(rows));
  return profile;
}

/** Everything that is counted, without the moments, which are sums of doubles. */
function countsOf(profile: Profile) {
  return {
    rows: profile.rows,
    columns: profile.columns.map(({ bins, missing, nonFinite, unseen, unseenValues, count }) => ({
      bins: [...bins],
      missing,
      nonFinite,
      unseen,
      unseenValues: [...unseenValues],
      count,
    })),
  };
}

function momentsOf(profile: Profile) {
  return profile.columns.map(({ mean, m2 }) => [mean, m2]);
}

function merged(...profiles: Profile[]): Profile {
  const sum = createProfile(spec);
  for (const profile of profiles) sum.merge(profile);
  return sum;
}

describe('a profile', () => {
  it('counts under, over, missing and infinite numbers apart', () => {
    const profile = createProfile(spec);
    const ages = [-1, 0, 9.99, 10, 20, 20.4, 20.5, 70, 90, 91, Number.NaN, Number.NEGATIVE_INFINITY];
    profile.add(ages.length, [columnOf(Float64Array.from(ages)), undefined, undefined]);
    const [age] = profile.columns;
    expect([...age!.bins]).toEqual([1, 2, 1, 2, 1, 2, 1]);
    expect(age).toMatchObject({ missing: 1, nonFinite: 1, count: 10 });
    expect(profile.rows).toBe(12);
    expect(profile.columns[1]!.count).toBe(0);
  });

  it('counts a value that the reference never had as unseen, and as other where the dictionary is cut', () => {
    const profile = profileOf(
      ['free', 'gold', 'gold', null, '?'].map((plan) => ({ age: 1, plan, city: plan })),
    );
    const [, plan, city] = profile.columns;
    expect(plan).toMatchObject({ unseen: 2, missing: 2, count: 3 });
    expect([...plan!.bins]).toEqual([1, 0, 0]);
    expect([...plan!.unseenValues].filter((n) => n > 0)).toEqual([2]);
    expect([...city!.bins]).toEqual([0, 4]);
    expect(city).toMatchObject({ unseen: 0, missing: 1, count: 4 });
  });

  it('finds the bin that counting the edges below a value finds, whatever the edges', () => {
    const edgeValues = fc.oneof(fc.double({ noNaN: true }), fc.float({ noNaN: true }), fc.integer());
    fc.assert(
      fc.property(fc.uniqueArray(edgeValues, { maxLength: 63 }), fc.array(edgeValues), (drawn, values) => {
        const edges = [...new Set(drawn.filter(Number.isFinite).map((edge) => edge + 0))].sort(
          (a, b) => a - b,
        );
        const finite = [...values, ...edges].filter(Number.isFinite);
        const wide = createProfile({
          columns: [{ name: 'x', kind: 'numeric', min: -Number.MAX_VALUE, max: Number.MAX_VALUE, edges }],
        });
        wide.add(finite.length, [columnOf(Float64Array.from(finite))]);
        const expected = Array.from({ length: edges.length + 3 }, () => 0);
        for (const value of finite) {
          // A distance that is beyond the largest double is counted as not finite.
          const centre = edges[edges.length >> 1] ?? -Number.MAX_VALUE;
          if (Number.isFinite(value - centre)) expected[1 + edges.filter((edge) => edge <= value).length]!++;
        }
        expect([...wide.columns[0]!.bins]).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it('is the same however rows are split into batches', () => {
    fc.assert(
      fc.property(fc.array(rowArbitrary), fc.array(fc.nat(60)), (rows, cuts) => {
        const whole = profileOf(rows);
        const values = valuesOf(rows);
        const split = createProfile(spec);
        const places = [...cuts.filter((cut) => cut < rows.length), 0, rows.length].sort((a, b) => a - b);
        for (let i = 1; i < places.length; i++) {
          const from = places[i - 1]!;
          split.add(
            places[i]! - from,
            values.map((column) => columnFrom(column, from)),
          );
        }
        expect(countsOf(split)).toEqual(countsOf(whole));
        expect(momentsOf(split)).toEqual(momentsOf(whole));
      }),
    );
  });

  it('adds up: any order, any grouping, and the rows together give the same counts', () => {
    const rows = fc.array(rowArbitrary);
    fc.assert(
      fc.property(rows, rows, rows, (first, second, third) => {
        const [a, b, c] = [profileOf(first), profileOf(second), profileOf(third)];
        const whole = profileOf([...first, ...second, ...third]);
        for (const sum of [merged(merged(a, b), c), merged(a, merged(b, c)), merged(c, b, a)]) {
          expect(countsOf(sum)).toEqual(countsOf(whole));
          for (const [i, [mean, m2]] of momentsOf(sum).entries()) {
            const [wholeMean, wholeM2] = momentsOf(whole)[i]!;
            if (Number.isNaN(wholeMean)) expect(mean).toBeNaN();
            else expect(mean).toBeCloseTo(wholeMean!, 9);
            expect(m2).toBeCloseTo(wholeM2!, 6);
          }
        }
      }),
    );
  });

  it('has the mean and the variance of the finite numbers, also far from zero', () => {
    const numbers = Float64Array.from({ length: 1000 }, (_, i) => 1e9 + Math.sin(i));
    const far = specOf([{ name: 'x', values: columnOf(numbers) }], 1000);
    const profile = createProfile(far);
    profile.add(1000, [columnOf(numbers)]);
    const mean = numbers.reduce((sum, value) => sum + (value - 1e9), 0) / 1000;
    expect(profile.columns[0]!.mean - 1e9).toBeCloseTo(mean, 6);
    const m2 = numbers.reduce((sum, value) => sum + (value - 1e9 - mean) ** 2, 0);
    expect(profile.columns[0]!.m2).toBeCloseTo(m2, 3);
  });

  it('reads strided tensors and codes where they lie', () => {
    const tensor = Float32Array.from([0, 5, 15, 0, 25, 95]);
    const profile = createProfile(spec);
    const codes = Int32Array.from([0, 1, -1]);
    const labels = ['pro', 'gold'];
    profile.add(3, [
      { numbers: tensor, stride: 2, offset: 1 },
      { codes, labels, stride: 1, offset: 0 },
      undefined,
    ]);
    expect([...profile.columns[0]!.bins]).toEqual([0, 2, 0, 0, 0, 0, 1]);
    expect(profile.columns[1]).toMatchObject({ missing: 1, unseen: 1, count: 2 });
    const picked = createProfile(spec);
    picked.add(2, [takeRows({ numbers: tensor, stride: 2, offset: 1 }, [0, 2]), undefined, undefined]);
    expect([...picked.columns[0]!.bins]).toEqual([0, 1, 0, 0, 0, 0, 1]);
  });

  it('refuses to count texts as numbers and to merge what other bins counted', () => {
    const profile = createProfile(spec);
    expect(() => profile.add(1, [columnOf(['x'])])).toThrow(/age is counted by numbers/);
    const other = createProfile({ columns: spec.columns.slice(1) });
    expect(() => profile.merge(other)).toThrow(/different specs/);
  });
});

describe('the encoded profile', () => {
  it('reads back as it was', () => {
    fc.assert(
      fc.property(fc.array(rowArbitrary), (rows) => {
        const profile = profileOf(rows);
        const read = decodeProfile(decodeSpec(encodeSpec(spec)), encodeProfile(profile));
        expect(countsOf(read)).toEqual(countsOf(profile));
        expect(momentsOf(read)).toEqual(momentsOf(profile));
        expect(encodeProfile(read)).toBe(encodeProfile(profile));
      }),
    );
  });

  it('keeps counts of any size', () => {
    const profile = createProfile(spec);
    for (let i = 0; i < 40; i++) {
      profile.add(1, valuesOf([{ age: 50, plan: 'pro', city: null }]));
      profile.merge(decodeProfile(spec, encodeProfile(profile)));
    }
    expect(profile.rows).toBe(2 ** 41 - 2);
    expect(decodeProfile(spec, encodeProfile(profile)).columns[1]!.bins[1]).toBe(2 ** 41 - 2);
  });

  it('is refused in words when it is of another spec, cut, changed or longer', () => {
    const text = encodeProfile(profileOf([{ age: 5, plan: 'pro', city: 'Rome' }]));
    const other = { columns: [...spec.columns].reverse() };
    expect(() => decodeProfile(other, text)).toThrow(/counted by other columns or bins/);
    expect(() => decodeProfile(spec, text.slice(0, 12))).toThrow(/it ends after 9 bytes/);
    expect(() => decodeProfile(spec, 'AAAA')).toThrow(/its format is 0/);
    expect(() => decodeProfile(spec, '')).toThrow(/it ends after 0 bytes/);
    const longer = Buffer.concat([Buffer.from(text, 'base64'), Buffer.from([1])]).toString('base64');
    expect(() => decodeProfile(spec, longer)).toThrow(/1 bytes are left over/);
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        try {
          decodeProfile(spec, Buffer.concat([Buffer.from(text, 'base64'), bytes]).toString('base64'));
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID_PARAMETER_VALUE' });
        }
      }),
    );
  });

  it('takes about a byte a bin', () => {
    const numbers = Float32Array.from({ length: 500 }, (_, i) => Math.sin(i * 7.1));
    const columns = Array.from({ length: 20 }, (_, i) => ({ name: `x${i}`, values: columnOf(numbers) }));
    const profile = createProfile(specOf(columns, 500));
    profile.add(
      500,
      columns.map(({ values }) => values),
    );
    expect(encodeProfile(profile).length).toBeLessThan(20 * 66 * 2);
  });
});

describe('the spec', () => {
  it('has 64 bins of equal counts for a continuous column', () => {
    const numbers = Float64Array.from({ length: 6400 }, (_, i) => Math.exp(Math.sin(i) * 3));
    const built = specOf([{ name: 'x', values: columnOf(numbers) }], 6400);
    const profile = createProfile(built);
    profile.add(6400, [columnOf(numbers)]);
    const { bins } = profile.columns[0]!;
    expect(bins.length).toBe(66);
    expect([bins[0], bins[65]]).toEqual([0, 0]);
    for (const count of bins.subarray(1, 65)) expect(Math.abs(count - 100)).toBeLessThan(5);
  });

  it('gives each of few values a bin of its own, and float32 does not move it', () => {
    const numbers = Float64Array.from({ length: 100 }, (_, i) => (i % 10) / 10);
    const built = specOf([{ name: 'x', values: columnOf(numbers) }], 100);
    for (const values of [numbers, Float32Array.from(numbers)]) {
      const profile = createProfile(built);
      profile.add(100, [columnOf(values)]);
      expect([...profile.columns[0]!.bins]).toEqual([0, ...Array.from({ length: 10 }, () => 10), 0]);
    }
  });

  it('survives columns that are constant, empty or mostly one value', () => {
    const atom = Float64Array.from({ length: 1000 }, (_, i) => (i % 10 === 0 ? i : 0));
    const built = specOf(
      [
        { name: 'constant', values: columnOf(new Float32Array(1000).fill(7)) },
        { name: 'empty', values: columnOf(new Float32Array(1000).fill(Number.NaN)) },
        { name: 'atom', values: columnOf(atom) },
        { name: 'no texts', values: columnOf(Array.from({ length: 1000 }, () => null)) },
      ],
      1000,
    );
    expect(decodeSpec(encodeSpec(built))).toEqual(built);
    expect(built.columns.slice(0, 2)).toMatchObject([{ edges: [], min: 7, max: 7 }, { edges: [] }]);
    const profile = createProfile(built);
    profile.add(1000, [undefined, undefined, columnOf(atom), undefined]);
    expect(Math.max(...profile.columns[2]!.bins)).toBeGreaterThanOrEqual(901);
  });

  it('samples the quantiles of many rows and still takes the range from all', () => {
    const numbers = Float64Array.from({ length: 50_000 }, (_, i) => Math.sin(i) + (i === 777 ? 100 : 0));
    const [column] = specOf([{ name: 'x', values: columnOf(numbers) }], 50_000, { sampleRows: 2000 }).columns;
    expect(column).toMatchObject({ max: Math.max(numbers[777]!, Math.fround(numbers[777]!)) });
    if (column?.kind !== 'numeric') throw new Error('not numeric');
    expect(column.edges[31]).toBeCloseTo(0, 0);
    expect(column.edges.length).toBe(63);
  });

  it('keeps the 500 most frequent texts and says that there were more', () => {
    const texts = Array.from({ length: 2000 }, (_, i) => (i < 1000 ? 'common' : `rare ${i % 700}`));
    const [column] = specOf([{ name: 'x', values: columnOf(texts) }], texts.length).columns;
    if (column?.kind !== 'categorical') throw new Error('not categorical');
    expect(column.categories.length).toBe(500);
    expect(column.categories[0]).toBe('common');
    expect(column.hasOther).toBe(true);
  });

  it('is refused in words when it is damaged', () => {
    expect(() => decodeSpec('{')).toThrow(/no JSON/);
    const [age] = spec.columns;
    expect(() => decodeSpec(encodeSpec({ columns: [{ ...age!, edges: [2, 1] } as never] }))).toThrow(
      /edges do not ascend/,
    );
    expect(() => decodeSpec(encodeSpec({ columns: [age!, age!] }))).toThrow(/a column occurs twice/);
  });
});

describe('the reference', () => {
  const day = 86_400_000;

  it('is one window a UTC day when rows have times', () => {
    const times = Float64Array.from({ length: 100 }, (_, i) => (i % 4) * day + 5);
    times[99] = Number.NaN;
    const numbers = Float32Array.from({ length: 100 }, (_, i) => i);
    const reference = buildReference([
      { columns: [{ name: 'x', values: columnOf(numbers) }], rows: 100, times },
    ]);
    expect(reference.windows.map(({ from, to, rows }) => [from / day, to / day, rows])).toEqual([
      [0, 1, 25],
      [1, 2, 25],
      [2, 3, 25],
      [3, 4, 24],
    ]);
    expect(decodeReference(encodeReference(reference))).toEqual(reference);
    const read = decodeProfile(reference.spec, reference.windows[0]!.profile);
    expect(read.columns[0]!.mean).toBe(48);
  });

  it('is equal random chunks without times, and parts keep to their own columns', () => {
    const numbers = Float32Array.from({ length: 4000 }, (_, i) => i);
    const texts = Array.from({ length: 120 }, (_, i) => (i % 2 ? 'a' : 'b'));
    const reference = buildReference([
      { columns: [{ name: 'x', values: columnOf(numbers) }], rows: 4000 },
      { columns: [{ name: '@class', values: columnOf(texts) }], rows: 120 },
    ]);
    expect(reference.spec.columns.map(({ name }) => name)).toEqual(['x', '@class']);
    expect(reference.windows.map(({ rows }) => rows)).toEqual([
      ...Array.from({ length: 40 }, () => 100),
      60,
      60,
    ]);
    const sum = createProfile(reference.spec);
    for (const { profile } of reference.windows) sum.merge(decodeProfile(reference.spec, profile));
    expect(sum.columns.map(({ count }) => count)).toEqual([4000, 120]);
  });

  it('counts frequent values of columns apart, in every part of it', () => {
    const rows = 2000;
    const codes = Int32Array.from({ length: rows }, (_, i) =>
      i < 1200 ? 1 : i < 1600 ? 0 : i < 1700 ? 2 : -1,
    );
    const numbers = Float64Array.from(codes, (code, i) => (code === 1 ? 1000 + i : i));
    const labels = ['LAX', 'DEN', 'few'];
    const reference = buildReference([
      {
        columns: [{ name: 'x', values: columnOf(numbers) }],
        rows,
        segmentColumns: [{ name: 'city', codes, labels }],
      },
      {
        columns: [{ name: '@score', values: columnOf(Float64Array.of(0.1, 0.9, 0.5)) }],
        rows: 3,
        segmentColumns: [{ name: 'city', codes: [0, 0, 2], labels }],
      },
    ]);
    expect(reference.segments!.map(({ segment, share }) => [segment, share])).toEqual([
      ['city=DEN', 0.6],
      ['city=LAX', 0.2],
    ]);
    const counts = reference.segments!.map(({ profile }) => decodeProfile(reference.spec, profile).columns);
    expect(counts.map((columns) => columns.map(({ count }) => count))).toEqual([
      [1200, 0],
      [400, 2],
    ]);
    expect(counts.map(([x]) => x!.mean)).toEqual([1599.5, 1399.5]);
    expect(decodeReference(encodeReference(reference))).toEqual(reference);
  });

  it('keeps years in blocks of days', () => {
    const rows = 3650;
    const times = Float64Array.from({ length: rows }, (_, i) => i * day);
    const numbers = Float32Array.from(times);
    const { windows } = buildReference([
      { columns: [{ name: 'x', values: columnOf(numbers) }], rows, times },
    ]);
    expect(windows.length).toBeLessThanOrEqual(400);
    expect(windows.reduce((sum, window) => sum + window.rows, 0)).toBe(rows);
  });
});

describe('codes of a dictionary', () => {
  it('are known where they do not occur, and other, not missing, where they lie behind it', () => {
    const values: ColumnValues = {
      codes: Int32Array.of(0, 0, 3, -1),
      labels: ['a', 'b', 'never'],
      isDictionary: true,
      stride: 1,
      offset: 0,
    };
    const spec = specOf([{ name: 'kind', values }], 4);
    expect(spec.columns).toEqual([
      { name: 'kind', kind: 'categorical', categories: ['a', 'b', 'never'], hasOther: true },
    ]);
    const profile = createProfile(spec);
    profile.add(4, [values]);
    expect(profile.columns[0]).toMatchObject({ missing: 1, unseen: 0 });
    expect([...profile.columns[0]!.bins]).toEqual([2, 0, 0, 1]);
  });
});
