import { describe, expect, it } from 'vitest';
import { fc } from '../../../tests/support/properties.ts';
import { ApiError } from '../../platform/index.ts';
import { MISSING_DATETIME, MISSING_TEXT, type Signature, signatureSchema } from '../signature/signature.ts';
import { parseMoment } from './code-column.ts';
import { createRowCoder } from './code-rows.ts';

const signature: Signature = signatureSchema.parse({
  columns: [
    { name: 'colour', type: 'string', nullable: true, categories: ['red', 'blue'] },
    { name: 'price', type: 'double', nullable: true },
    { name: 'when', type: 'datetime', nullable: true },
    { name: 'count', type: 'long', nullable: false },
    { name: 'member', type: 'boolean', nullable: true },
    { name: 'constructor', type: 'double', nullable: false },
    { name: '__proto__', type: 'string', nullable: false },
  ],
  inputs: [
    { name: 'numeric', elementType: 'float32', columns: ['price', 'count', 'member', 'constructor'] },
    { name: 'datetime', elementType: 'int64', columns: ['when'] },
    { name: 'text', elementType: 'string', columns: ['colour', '__proto__'] },
  ],
  output: { task: 'regression', target: 'y', value: 'value' },
  missingText: MISSING_TEXT,
});
const coder = createRowCoder(signature);
const names = signature.columns.map(({ name }) => name);

const good = (changes: Record<string, unknown> = {}): Record<string, unknown> =>
  JSON.parse(
    JSON.stringify({
      colour: 'red',
      price: 1.5,
      when: '2024-01-02T03:04:05Z',
      count: 3,
      member: true,
      constructor: 4,
      ...changes,
    }).replace('{', '{"__proto__":"own",'),
  ) as Record<string, unknown>;

function without(name: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(good()).filter(([key]) => key !== name));
}

function refusal(encode: () => unknown): ApiError {
  try {
    encode();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('a row coder', () => {
  it('packs columns by input, whatever order and form the rows have', () => {
    const list = ['blue', null, 1_704_164_645_000, 2, 0, -1, 'text'];
    const batch = coder.encode([good(), list]);
    expect(batch.rows).toBe(2);
    expect([...(batch.tensors['numeric'] as Float32Array)]).toEqual([1.5, 3, 1, 4, Number.NaN, 2, 0, -1]);
    expect([...(batch.tensors['datetime'] as BigInt64Array)]).toEqual([
      1_704_164_645_000n,
      1_704_164_645_000n,
    ]);
    expect(batch.tensors['text']).toEqual(['red', 'own', 'blue', 'text']);
    expect(coder.widths).toEqual({ numeric: 4, datetime: 1, text: 2 });
  });

  it('gives the same batch for every order of the keys, and merges batches into what one would be', () => {
    const value = fc.record({
      colour: fc.oneof(fc.constantFrom('red', 'blue', null), fc.string()),
      price: fc.oneof(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.constant(null)),
      when: fc.oneof(fc.integer(), fc.constant(null)),
      count: fc.integer(),
      member: fc.constantFrom(true, false, null, 0, 1),
      constructor: fc.integer(),
    });
    const row = fc.tuple(value, fc.string(), fc.array(fc.nat())).map(([record, text, order]) => {
      const entries = Object.entries({ ...record, extra: 1 });
      for (const [at, swap] of order.entries()) {
        const [a, b] = [at % entries.length, swap % entries.length];
        [entries[a], entries[b]] = [entries[b]!, entries[a]!];
      }
      const shuffled = Object.fromEntries(entries);
      Object.defineProperty(shuffled, '__proto__', { value: text, enumerable: true });
      const list = names.map((name) => (name === '__proto__' ? text : record[name as keyof typeof record]));
      return { list, shuffled };
    });
    fc.assert(
      fc.property(
        fc.array(fc.array(row, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }),
        (groups) => {
          const whole = coder.encode(groups.flat().map(({ list }) => list));
          const merged = coder.concat(
            groups.map((group) => coder.encode(group.map(({ shuffled }) => shuffled))),
          );
          expect(merged).toEqual(whole);
        },
      ),
    );
  });

  it('feeds missing values as the signature says', () => {
    const { tensors } = coder.encode([good({ colour: null, price: null, when: null, member: null })]);
    expect(tensors['text']).toEqual([MISSING_TEXT, 'own']);
    expect([...(tensors['datetime'] as BigInt64Array)]).toEqual([MISSING_DATETIME]);
    expect([...(tensors['numeric'] as Float32Array)]).toEqual([Number.NaN, 3, Number.NaN, 4]);
  });

  it('counts categories that the model has not seen, and accepts them', () => {
    expect(coder.encode([good()]).unseen).toBeUndefined();
    const batch = coder.encode([good({ colour: 'green' }), good(), good({ colour: 'grey' })]);
    expect(batch.unseen).toEqual({ colour: 2 });
    expect(coder.concat([batch, coder.encode([good()]), batch]).unseen).toEqual({ colour: 4 });
  });

  it('takes numbers and dates of databases: bigint and Date', () => {
    const byName = { ...good(), count: 5n, when: new Date(86_400_000) };
    Object.defineProperty(byName, '__proto__', { value: 'own', enumerable: true });
    const { tensors } = coder.encode([byName]);
    expect((tensors['numeric'] as Float32Array)[1]).toBe(5);
    expect((tensors['datetime'] as BigInt64Array)[0]).toBe(86_400_000n);
  });

  it('codes no rows as empty tensors', () => {
    expect(coder.encode([])).toMatchObject({ rows: 0, tensors: { text: [] } });
  });
});

describe('a refused row', () => {
  it('names the missing feature', () => {
    const error = refusal(() => coder.encode([good(), without('price')]));
    expect(error.code).toBe('INVALID_PARAMETER_VALUE');
    expect(error.message).toBe('Row 1 lacks the feature "price"');
    expect(error.details).toEqual({ row: 1, missing: ['price'] });
  });

  it('names the unknown column that may be meant, when one is missing', () => {
    const error = refusal(() =>
      coder.encode([{ ...without('price'), Prise: 1, other: 2, ['__proto__']: 'own' }]),
    );
    expect(error.message).toContain('unknown: "Prise", "other"');
    expect(error.message).toContain('"Prise" may mean "price"');
    expect(() => coder.encode([{ ...good(), other: 2, ['__proto__']: 'own' }])).not.toThrow();
  });

  it('does not take what every object inherits for a feature', () => {
    expect(refusal(() => coder.encode([without('constructor')])).message).toContain('"constructor"');
    expect(refusal(() => coder.encode([without('__proto__')])).message).toContain('"__proto__"');
  });

  it.each([
    [{ price: '1.5' }, 'Row 0, column "price": "1.5" is not a number'],
    [{ price: true }, undefined],
    [{ price: [1] }, 'Row 0, column "price": [1] is not a number'],
    [{ price: 1e39 }, 'Row 0, column "price": 1e+39 is beyond what the model\'s float32 input can hold'],
    [{ count: 1.5 }, 'Row 0, column "count": 1.5 is not a whole number'],
    [{ count: 2 ** 53 }, 'Row 0, column "count": 9007199254740992 is not a whole number'],
    [{ count: true }, 'Row 0, column "count": true is not a whole number'],
    [
      { count: null },
      'Row 0, column "count": null is missing, and the model was trained without missing values',
    ],
    [{ member: 2 }, 'Row 0, column "member": 2 is not true or false'],
    [{ member: 'true' }, 'Row 0, column "member": "true" is not true or false'],
    [{ colour: 7 }, 'Row 0, column "colour": 7 is not text'],
    [{ when: 'yesterday' }, 'Row 0, column "when": "yesterday" is not an ISO 8601 time'],
    [{ when: 1.5 }, 'Row 0, column "when": 1.5 is not an ISO 8601 time'],
    [{ when: '2024-02-30' }, 'Row 0, column "when": "2024-02-30" is not an ISO 8601 time'],
    [{ when: true }, 'Row 0, column "when": true is not an ISO 8601 time'],
  ])('%j', (changes, message) => {
    if (message === undefined) expect(() => coder.encode([good(changes)])).not.toThrow();
    else expect(refusal(() => coder.encode([good(changes)])).message).toContain(message);
  });

  it('is named when it is no row, or a list of another length', () => {
    expect(refusal(() => coder.encode([null as never])).message).toContain(
      'Row 0 is null: expected an object',
    );
    expect(refusal(() => coder.encode([good(), 5 as never])).message).toContain('Row 1 is a number');
    expect(refusal(() => coder.encode([[1, 2]])).message).toContain('Row 0 has 2 values, the model takes 7');
    const list = ['blue', undefined, 0, 2, 0, -1, 'text'];
    expect(refusal(() => coder.encode([list])).message).toBe(
      'Row 0 has no value at position 1, feature "price"',
    );
  });

  it('shortens what it quotes', () => {
    expect(refusal(() => coder.encode([good({ price: 'x'.repeat(500) })])).message.length).toBeLessThan(150);
  });
});

describe('rows of text', () => {
  const text = (changes: Record<string, unknown>) => coder.encode([good(changes)], { text: true }).tensors;

  it('are read as the columns say', () => {
    const tensors = text({
      price: ' 1e3',
      count: '-7',
      member: 'False',
      when: '1704164645000',
      constructor: '.5',
    });
    expect([...(tensors['numeric'] as Float32Array)]).toEqual([1000, -7, 0, 0.5]);
    expect((tensors['datetime'] as BigInt64Array)[0]).toBe(1_704_164_645_000n);
  });

  it('hold missing values as nothing', () => {
    const tensors = text({ price: '', member: 'NA', when: '', colour: '' });
    expect([...(tensors['numeric'] as Float32Array)]).toEqual([Number.NaN, 3, Number.NaN, 4]);
    expect(tensors['text']).toEqual([MISSING_TEXT, 'own']);
    expect((tensors['datetime'] as BigInt64Array)[0]).toBe(MISSING_DATETIME);
  });

  it.each([
    [{ price: '1,5' }, '"1,5" is not a number'],
    [{ price: '0x10' }, '"0x10" is not a number'],
    [{ count: '1.5' }, '1.5 is not a whole number'],
    [{ count: '' }, '"" is missing'],
    [{ member: 'maybe' }, '"maybe" is not true or false'],
    [{ when: 'noon' }, '"noon" is not an ISO 8601 time'],
  ])('are refused: %j', (changes, message) => {
    expect(refusal(() => text(changes)).message).toContain(message);
  });
});

describe('element types of foreign models', () => {
  const single = (type: 'long' | 'double' | 'boolean' | 'datetime', elementType: string, nullable = false) =>
    createRowCoder(
      signatureSchema.parse({
        columns: [{ name: 'a', type, nullable }],
        inputs: [{ name: 'a', elementType, columns: ['a'] }],
        output: { task: 'regression', target: 'y', value: 'value' },
      }),
    );

  it('hold whole numbers exactly', () => {
    expect(single('long', 'int64').encode([[2 ** 53 - 1]]).tensors['a']).toEqual(
      BigInt64Array.of(2n ** 53n - 1n),
    );
    expect(single('long', 'int32').encode([[-5]]).tensors['a']).toEqual(Int32Array.of(-5));
    expect(single('boolean', 'bool').encode([[true], [0]]).tensors['a']).toEqual(Uint8Array.of(1, 0));
    expect(single('datetime', 'float64', true).encode([[null], [5]]).tensors['a']).toEqual(
      Float64Array.of(Number.NaN, 5),
    );
    expect(single('double', 'float64').encode([[1e300]]).tensors['a']).toEqual(Float64Array.of(1e300));
  });

  it('refuse what they cannot hold', () => {
    expect(refusal(() => single('long', 'int32').encode([[2 ** 31]])).message).toContain(
      'int32 input can hold',
    );
    expect(refusal(() => single('long', 'int64', true).encode([[null]])).message).toContain(
      'null is missing',
    );
    expect(refusal(() => single('double', 'float64').encode([[Number.POSITIVE_INFINITY]])).message).toContain(
      'beyond',
    );
    expect(refusal(() => single('double', 'float64').encode([[Number.NaN]])).message).toContain(
      'NaN is missing',
    );
  });
});

describe('parseMoment', () => {
  it.each([
    ['2024-01-02', '2024-01-02T00:00:00.000Z'],
    ['2024-01-02 03:04', '2024-01-02T03:04:00.000Z'],
    ['2024-01-02T03:04:05', '2024-01-02T03:04:05.000Z'],
    ['2024-01-02T03:04:05.6789Z', '2024-01-02T03:04:05.678Z'],
    ['2024-01-02 03:04:05,5+02:00', '2024-01-02T01:04:05.500Z'],
    ['2024-01-02T03:04:05-0330', '2024-01-02T06:34:05.000Z'],
    ['2024-01-02t03:04:05z', '2024-01-02T03:04:05.000Z'],
    ['1969-12-31T23:59:59.999Z', '1969-12-31T23:59:59.999Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
  ])('reads %s', (text, expected) => {
    expect(new Date(parseMoment(text)).toISOString()).toBe(expected);
  });

  it.each([
    '2023-02-29',
    '2024-13-01',
    '2024-00-10',
    '2024-1-2',
    '2024-01-02Z',
    '2024-01-02T25:00',
    '2024',
    '',
  ])('refuses %s', (text) => {
    expect(parseMoment(text)).toBeNaN();
  });
});
