import { describe, expect, it } from 'vitest';
import { createIngestSuite, typesOf, valuesOf } from './ingest.suite.ts';
import type { IngestRequest } from './ingest-file.ts';

const { ingest } = createIngestSuite();

describe('a JSON lines file', () => {
  const jsonl = (text: string, options: Partial<IngestRequest> = {}) => ingest(text, options, 'table.jsonl');

  it('is the same table as the CSV with the same rows', async () => {
    const table = await jsonl(
      '{"a":1,"b":"x","c":"2026-01-01"}\n\n{"a":2,"c":"2026-01-02T00:00:00Z","b":null}\r\n',
    );
    expect(table.digest).toBe((await ingest('a,b,c\n1,x,2026-01-01\n2,,2026-01-02\n')).digest);
  });

  it.each([
    ['a broken line', '{"a":1}\n{"a":2\n{"a":3}\n', 'table.jsonl, line 2: is not JSON'],
    ['a broken last line', '{"a":1}\n\n{"a":2}\nxx', 'table.jsonl, line 4: is not JSON'],
    ['a line that is no object', '{"a":1}\n[1,2]\n', 'table.jsonl, line 2: "[1,2]" is not an object'],
    [
      'values of two types',
      '{"a":1}\n{"a":"x"}\n{"a":2}\n',
      'table.jsonl, line 2, column "a": "\\"x\\"" is a string',
    ],
    [
      'a wrong date',
      '{"d":"2026-01-01"}\n{"d":"2026-13-01"}\n{"d":"2026-01-03"}\n',
      'line 2, column "d": "2026-13-01" is not a date',
    ],
    [
      'a key that stands twice',
      '{"a":1}\n{"a":{"b":1,"b":2},"c":"\\"c\\":","\\u0061":3}\n',
      'table.jsonl, line 2: the key "a" stands twice',
    ],
    ['a key that stands twice with one type', '{"a":1}\n{"a":2,"a":3}\n', 'line 2: the key "a" stands twice'],
    ['names that differ in case', '{"A":1,"a":2}\n', 'the names "A" and "a" differ only in case'],
    [
      'a value nested too deeply',
      `{"a":1}\n{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}\n`,
      'table.jsonl, line 2: nests deeper than 100 levels',
    ],
    ['a column without a name', '{"":1}\n', 'column 1 has no name'],
    ['no lines', '\n\n', 'table.jsonl: the file is empty'],
    ['a byte order mark', '\ufeff{"a":1}\n', 'line 1: begins with a byte order mark'],
    ['another encoding', Buffer.from('{"a":"x"}\n{"a":"\xe9"}\n', 'latin1').toString('latin1'), ''],
  ])('with %s is refused with the line', async (_what, text, message) => {
    if (message === '') {
      await expect(ingest(Buffer.from(text, 'latin1'), {}, 'table.jsonl')).rejects.toThrow(
        'line 2: is not UTF-8',
      );
    } else await expect(jsonl(text)).rejects.toThrow(message);
  });

  it('leaves lists and objects out, and says so', async () => {
    const table = await jsonl('{"a":[1],"b":2,"c":{"d":1}}\n{"b":3,"c":{"d":2}}\n');
    expect(table.schema.map(({ name }) => name)).toEqual(['b']);
    expect(table.notes).toEqual([
      'column "a" is left out: it holds lists or objects',
      'column "c" is left out: it holds lists or objects',
    ]);
  });

  it('knows numbers, truth values and columns without values', async () => {
    const table = await jsonl('{"a":1,"b":true,"c":null,"d":0.5}\n{"a":2.5,"b":false,"c":null,"e":7}\n');
    expect(typesOf(table)).toEqual({ a: 'double', b: 'boolean', c: 'string', d: 'double', e: 'long' });
    expect(table.notes).toEqual(['column "c" has no values']);
    const text = await jsonl('{"a":1}\n{"a":"x"}\n', { text: ['a'] });
    expect((await valuesOf(text)).map((row) => row['a'])).toEqual(['1', 'x']);
  });

  it('as one list is told apart', async () => {
    await expect(ingest('[{"a":1}]', {}, 'table.json')).rejects.toThrow(
      'give JSON lines, one object per line',
    );
    expect((await ingest('{"a":1}\n', {}, 'table.json')).format).toBe('jsonl');
  });
});
