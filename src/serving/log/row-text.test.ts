import { describe, expect, it } from 'vitest';
import { fc } from '../../../tests/support/properties.ts';
import type { Signature } from '../../models/index.ts';
import { createRowText, rowTextOf } from './row-text.ts';

const row = fc.dictionary(
  fc.string({ unit: 'binary' }).filter((key) => key !== '__proto__'),
  fc.oneof(fc.double(), fc.string({ unit: 'binary' }), fc.boolean(), fc.constant(null), fc.jsonValue()),
);
const timestamp = fc.oneof(fc.constant(undefined), fc.integer(), fc.constant('2001-04-01T00:00:00Z'));
const indent = fc.constantFrom(undefined, 1, '\t');

describe('the row of a body as its caller wrote it', () => {
  it('is the row that parsing finds, on one line, or is not copied', () => {
    let copied = 0;
    fc.assert(
      fc.property(row, timestamp, indent, (features, time, space) => {
        const text = JSON.stringify({ features, timestamp: time }, undefined, space);
        const parsed = JSON.parse(text) as { features: Record<string, unknown> };
        const found = rowTextOf(text, parsed.features);
        if (found === undefined) return;
        copied += 1;
        expect(found).not.toContain('\n');
        expect(JSON.parse(found)).toEqual(parsed.features);
      }),
      { numRuns: 2000 },
    );
    expect(copied).toBeGreaterThan(50);
  });

  it.each([
    ['{"features":{"a":1,"b":"x"}}', '{"a":1,"b":"x"}'],
    ['{"features": {"a": 1, "b": "x"}, "timestamp": "2001-04-01"}', '{"a": 1, "b": "x"}'],
    [' { "features": {"a":-1.5e3} , "timestamp": 12 } ', '{"a":-1.5e3}'],
  ])('copies %s', (text, copy) => {
    expect(rowTextOf(text, (JSON.parse(text) as any).features)).toBe(copy);
  });

  it.each([
    ['a name twice', '{"features":{"a":1,"a":2}}'],
    ['a name twice, with spaces', '{"features":{"a" :1,"a":2}}'],
    ['the row twice', '{"features":{"a":1},"features":{"a":2}}'],
    ['braces in a text', '{"features":{"a":"}"}}'],
    ['a text that looks like the end', '{"features":{"a":"},\\"timestamp\\":1}"}}'],
    ['a nested value', '{"features":{"a":{"b":1}}}'],
    ['several lines', '{"features":{"a":\n1}}'],
    ['other fields', '{"features":{"a":1},"note":1}'],
  ])('does not copy %s', (_, text) => {
    expect(rowTextOf(text, (JSON.parse(text) as any).features)).toBeUndefined();
  });
});

describe('a row that is written anew', () => {
  const rowText = createRowText({
    columns: ['a "b"', 'c'].map((name) => ({ name, type: 'double', nullable: true })),
    inputs: [],
    output: { task: 'regression', target: 'y', value: 'v' },
  } as Signature);

  it('names the values of a list', () => {
    expect(JSON.parse(rowText([1.5, null]))).toEqual({ 'a "b"': 1.5, c: null });
  });

  it('keeps what the model knows when another column is nested too deeply to be written', () => {
    let deep: unknown = 1;
    for (let i = 0; i < 50_000; i++) deep = [deep];
    expect(JSON.parse(rowText({ 'a "b"': 1, c: 2, deep }))).toEqual({ 'a "b"': 1, c: 2 });
  });
});
