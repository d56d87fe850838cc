import { describe, expect, it } from 'vitest';
import { fc } from '../../../tests/support/properties.ts';
import { ApiError } from '../../platform/index.ts';
import { encodeMessage } from './encode-message.ts';
import { decodeMessage, defineMessage, many, one } from './protobuf-message.ts';

const inner = defineMessage('Inner', { text: one(1, 'string'), number: one(2, 'int64') });
const outer = defineMessage('Outer', {
  int: one(1, 'int64'),
  float: one(2, 'float'),
  double: one(3, 'double'),
  text: one(4, 'string'),
  bytes: one(5, 'bytes'),
  small: one(6, 'int32'),
  nested: one(7, inner),
  ints: many(8, 'int64'),
  floats: many(9, 'float'),
  doubles: many(10, 'double'),
  texts: many(11, 'string'),
  blobs: many(12, 'bytes'),
  items: many(300, inner),
});

const integer = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer(),
  fc.constantFrom(0, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32, -1),
  fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n),
);
const float = fc.float({ noNaN: true });
const text = fc.string({ unit: 'grapheme' });
const innerMessage = fc.record({ text, number: integer });
const message = fc.record({
  int: integer,
  float,
  double: fc.double(),
  text,
  bytes: fc.uint8Array(),
  small: fc.integer(),
  nested: innerMessage,
  ints: fc.array(integer),
  floats: fc.array(float),
  doubles: fc.array(fc.double()),
  texts: fc.array(text),
  blobs: fc.array(fc.uint8Array()),
  items: fc.array(innerMessage),
});

describe('a message', () => {
  it('comes back as it was written', () => {
    fc.assert(
      fc.property(message, (value) => {
        expect(decodeMessage(outer, encodeMessage(outer, value))).toEqual(value);
      }),
    );
  });

  it('takes typed arrays as lists', () => {
    const bytes = encodeMessage(outer, {
      ints: Int32Array.of(1, -2, 300),
      floats: Float32Array.of(0.1),
      doubles: Float64Array.of(0.1),
    });
    const { ints, floats, doubles } = decodeMessage(outer, bytes);
    expect({ ints, floats, doubles }).toEqual({
      ints: [1, -2, 300],
      floats: [Math.fround(0.1)],
      doubles: [0.1],
    });
  });

  it('reads lists that are not packed, as Python writes them', () => {
    const single = defineMessage('Single', { int: one(8, 'int64'), float: one(9, 'float') });
    const parts = [1, 2, -3].map((int) => encodeMessage(single, { int, float: int / 2 }));
    const { ints, floats } = decodeMessage(outer, Buffer.concat(parts));
    expect({ ints, floats }).toEqual({ ints: [1, 2, -3], floats: [0.5, 1, -1.5] });
  });

  it('skips fields that the schema does not know', () => {
    const wider = defineMessage('Wider', { unknown: one(99, 'string'), text: one(4, 'string') });
    const bytes = encodeMessage(wider, { unknown: 'x'.repeat(1000), text: 'kept' });
    expect(decodeMessage(outer, bytes).text).toBe('kept');
  });

  it('leaves absent fields undefined and absent lists empty', () => {
    expect(decodeMessage(outer, new Uint8Array())).toMatchObject({
      int: undefined,
      nested: undefined,
      ints: [],
    });
  });
});

describe('hostile bytes', () => {
  it('end in a message or an ApiError, never in anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeMessage(outer, bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(ApiError);
        }
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['a length beyond the end', [0x22, 0xff, 0xff, 0xff, 0x7f]],
    ['a length of 2^64', [0x22, ...Array(9).fill(0xff), 0x01]],
    ['a number that does not end', [0x08, ...Array(11).fill(0xff)]],
    ['a group inside a group without end', Array(5000).fill(0x0b)],
    ['a list of floats that breaks off', [0x4a, 0x03, 0, 0, 0]],
    ['a wrong wire type', [0x0d, 0, 0, 0, 0]],
  ])('%s is refused', (_, bytes) => {
    expect(() => decodeMessage(outer, Uint8Array.from(bytes))).toThrow(ApiError);
  });
});
