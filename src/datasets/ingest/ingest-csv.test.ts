import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createIngestSuite, typesOf, valuesOf } from './ingest.suite.ts';
import { ingestFile } from './ingest-file.ts';

const { folder, ingest } = createIngestSuite();

describe('a CSV file', () => {
  it('gets its types from all rows, missing values and statistics included', async () => {
    const rows = Array.from({ length: 30_000 }, (_, row) => `${row},${row % 2 === 0},2026-01-01,x`);
    const table = await ingest(
      ['n,flag,day,word', ...rows, '0.5,NA,2026-01-31T12:30:00+02:00,', ''].join('\n'),
    );
    expect(table.rows).toBe(30_001);
    expect(table.schema).toEqual([
      { name: 'n', type: 'double', nullable: false },
      { name: 'flag', type: 'boolean', nullable: true },
      { name: 'day', type: 'datetime', nullable: false },
      { name: 'word', type: 'string', nullable: true },
    ]);
    const [n, flag, day, word] = table.statistics.columns;
    expect(n).toMatchObject({ count: 30_001, missing: 0, distinct: 30_001, min: 0, max: 29_999 });
    expect(n?.mean).toBeCloseTo(14_999.000_05, 5);
    expect(n?.standardDeviation).toBeCloseTo(8660.5, 0);
    expect(n?.quantiles?.p50).toBe(14_999);
    expect(flag?.top).toEqual([
      { value: 'false', count: 15_000 },
      { value: 'true', count: 15_000 },
    ]);
    expect(day).toMatchObject({ min: '2026-01-01T00:00:00.000Z', max: '2026-01-31T10:30:00.000Z' });
    expect(word).toMatchObject({ missing: 1, top: [{ value: 'x', count: 30_000 }] });
    expect((await valuesOf(table)).at(-1)).toEqual({
      n: 0.5,
      flag: null,
      day: '2026-01-31T10:30:00.000Z',
      word: null,
    });
  });

  it.each([
    ['LF', 'a,b\n1,x\n2,"y, ""z"""\n'],
    ['CRLF', 'a,b\r\n1,x\r\n2,"y, ""z"""\r\n'],
    ['CR', 'a,b\r1,x\r2,"y, ""z"""\r'],
    ['a byte order mark', '\ufeffa,b\n1,x\n2,"y, ""z"""\n'],
    ['no last line break', 'a,b\n1,x\n2,"y, ""z"""'],
    ['blank lines', 'a,b\n\n1,x\n2,"y, ""z"""\n\n\n'],
    ['semicolons', 'a;b\n1;x\n2;"y, ""z"""\n'],
    ['tabs', 'a\tb\n1\tx\n2\t"y, ""z"""\n'],
    ['bars and quotes everywhere', '"a"|"b"\n"1"|"x"\n"2"|"y, ""z"""\n'],
  ])('with %s is the same table', async (_what, text) => {
    const table = await ingest(text);
    expect(typesOf(table)).toEqual({ a: 'long', b: 'string' });
    expect(await valuesOf(table)).toEqual([
      { a: 1, b: 'x' },
      { a: 2, b: 'y, "z"' },
    ]);
    expect(table.digest).toBe((await ingest('a,b\n1,x\n2,"y, ""z"""\n')).digest);
  });

  it('may hold line breaks in quotes, and the lines of errors count them', async () => {
    const table = await ingest('a,b\n1,"one\ntwo\r\nthree"\n2,x\n');
    expect((await valuesOf(table))[0]).toEqual({ a: 1, b: 'one\ntwo\r\nthree' });
    await expect(ingest('a,b\n1,"one\ntwo\nthree"\n2\n')).rejects.toThrow(
      'table.csv, line 5: 1 field where the header names 2',
    );
    await expect(ingest('a,b\n1,"one\ntwo\nthree"\n2,y\nx,z\n')).rejects.toThrow(
      'line 6, column "a": "x" is not a number',
    );
  });

  it('tells an empty field (missing) from an empty text in quotes', async () => {
    const table = await ingest('a,b\n1,\n2,""\n3,x\n');
    expect((await valuesOf(table)).map((row) => row['b'])).toEqual([null, '', 'x']);
  });

  it.each([
    ['a row that is too short', 'a,b\n1,2\n3\n4,5\n', 'table.csv, line 3: 1 field where the header names 2'],
    [
      'a row that is too long',
      'a,b\n1,2\n3,4,5\n',
      'table.csv, line 3: 3 fields where the header names 2; a value that holds "," must stand in quotes',
    ],
    ['a ragged last row without a line break', 'a,b\n1,2\n3', 'line 3: 1 field'],
    [
      'a wrong type',
      'a,b\n1,2\n2,3\n3,4\n4,x\n',
      'table.csv, line 5, column "b": "x" is not a number, as 3 of the 4 values are',
    ],
    [
      'a wrong date',
      'a,d\n1,2026-01-01\n2,2026-02-30\n3,2026-01-03\n',
      'line 3, column "d": "2026-02-30" is not a date',
    ],
    [
      'a wrong truth value',
      'a,d\n1,true\n2,maybe\n3,false\n',
      'line 3, column "d": "maybe" is not true or false',
    ],
    ['no bytes', '', 'table.csv: the file is empty; its first line has to name the columns'],
    ['only blanks', ' \n\n', 'table.csv: the file is empty'],
    ['only a header', 'a,b\n', 'table.csv: the file names columns but has no rows'],
    ['no header', '1,2\n3,4\n', 'line 1: 1, 2 are values; the first line has to name the columns'],
    ['a name twice', 'a,b,a\n1,2,3\n', 'line 1: the name "a" stands twice, in columns 1 and 3'],
    ['names that differ in case', 'a,A\n1,2\n', 'the names "a" and "A" differ only in case'],
    ['a column without a name', 'a,,c\n1,2,3\n', 'line 1: column 2 has no name'],
    ['a quote that does not close', 'a,b\n1,"2\n3,4\n', 'line 2: a quote that opens here does not close'],
    ['text after a quote', 'a,b\n1,"2"3\n', 'line 2: after the quote that closes a value comes "3"'],
    ['two kinds of line breaks', 'a,b\r\n1,2\n3,4\r\n', 'line 2: ends with LF, the lines before with CRLF'],
    ['a file of another encoding', Buffer.from('a,b\n1,x\n2,\xe9\n', 'latin1'), 'line 3: is not UTF-8 text'],
    [
      'a file of another encoding at its end',
      Buffer.from('a,b\n1,x\n2,\xe9', 'latin1'),
      'line 3: is not UTF-8 text',
    ],
  ])('with %s is refused with the line', async (_what, text, message) => {
    await expect(ingest(text)).rejects.toThrow(message);
    await expect(ingest(text)).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' });
  });

  it.each([
    ['gzip', Buffer.from([0x1f, 0x8b, 8, 0]), 'decompress it first'],
    ['a ZIP archive', Buffer.from('PK\x03\x04'), 'save the table as CSV'],
    ['UTF-16', Buffer.from('\ufeffa,b\n', 'utf16le'), 'the text is UTF-16'],
    ['a picture', Buffer.from([0x89, 0x50, 0, 0, 1]), 'this is not a text file'],
  ])('that is %s is refused', async (_what, bytes, message) => {
    await expect(ingest(bytes)).rejects.toThrow(message);
  });

  it('that is called Parquet and is none is refused', async () => {
    await expect(ingest('a,b\n1,2\n', {}, 'table.parquet')).rejects.toThrow('this is not a Parquet file');
    await expect(ingest('PAR1 and then nothing', {}, 'table.parquet')).rejects.toThrow(
      'cannot be read as Parquet',
    );
  });

  it('keeps as text what is no number, and says so', async () => {
    const mixed = await ingest('ticket\nA1\n17\n18\n19\nB2\nB3\n21\n22\n');
    expect(typesOf(mixed)).toEqual({ ticket: 'string' });
    expect(mixed.notes[0]).toBe(
      'column "ticket" is text: 3 of its 8 values are not a number, the first "A1" on line 2',
    );
    const codes = await ingest('zip,n\n01234,1\n99999,2\n10000,3\n');
    expect(typesOf(codes)).toEqual({ zip: 'string', n: 'long' });
    const wide = await ingest('n\n12345678901234567890123\n2\n3\n');
    expect(typesOf(wide)).toEqual({ n: 'string' });
    const dates = await ingest('d,n\n31/12/2025,1\n01/02/2026,2\n');
    expect(dates.notes[0]).toContain('write dates as 2026-01-31');
  });

  it('keeps columns as text that are said to be', async () => {
    const table = await ingest('n,m\n1,2\nx,3\n3,4\n', { text: ['n'] });
    expect(typesOf(table)).toEqual({ n: 'string', m: 'long' });
    await expect(ingest('n\n1\n', { text: ['m'] })).rejects.toThrow('No column "m" (a text column)');
  });

  it('takes the texts that mean missing as missing in numbers only', async () => {
    const table = await ingest('n,w\n1,NA\nNA,x\n?,-\nnan,y\nNULL,z\n');
    expect(table.schema).toEqual([
      { name: 'n', type: 'long', nullable: true },
      { name: 'w', type: 'string', nullable: false },
    ]);
  });

  it('flags infinite and very large numbers', async () => {
    const infinite = await ingest('n\n1.5\ninf\n-inf\n2\n');
    expect(infinite.notes).toEqual(['column "n": 2 infinite values are taken as missing']);
    expect((await valuesOf(infinite)).map((row) => row['n'])).toEqual([1.5, null, null, 2]);
    const large = await ingest('n\n1\n9007199254740993\n');
    expect(large.notes[0]).toContain('1 whole numbers beyond 2^53');
  });

  it('with semicolons may write 3,14', async () => {
    expect(await valuesOf(await ingest('a;b\n3,14;x\n2;y\n'))).toEqual([
      { a: 3.14, b: 'x' },
      { a: 2, b: 'y' },
    ]);
  });

  it('marks id and time columns, and names the nearest one to a wrong name', async () => {
    const text = 'customer,month,spent\nx,2026-01-01,1\ny,2026-02-01,2\n';
    const table = await ingest(text, { id: 'customer', time: 'month' });
    expect(table.schema.map(({ role }) => role)).toEqual(['id', 'time', undefined]);
    await expect(ingest(text, { id: 'custmer' })).rejects.toThrow(
      'No column "custmer" (the id column): did you mean "customer"?',
    );
    await expect(ingest(text, { time: 'mnth' })).rejects.toThrow('did you mean "month"?');
    await expect(ingest(text, { time: 'customer' })).rejects.toThrow('The time column "customer" holds text');
    expect(table.digest).not.toBe((await ingest(text)).digest);
  });

  it('may have names with quotes, blanks, other scripts, and __proto__', async () => {
    const table = await ingest('"a ""b""",温度, c ,__proto__,constructor,x\'y\n1,2,3,4,5,6\n');
    const [row] = await valuesOf(table);
    expect(Object.entries(row ?? {})).toEqual([
      ['a "b"', 1],
      ['温度', 2],
      [' c ', 3],
      ['__proto__', 4],
      ['constructor', 5],
      ["x'y", 6],
    ]);
  });

  it('may have values of some megabytes, but not lines without end', async () => {
    const long = 'x'.repeat(5 * 2 ** 20);
    const table = await ingest(`a,b\n1,${long}\n2,y\n`);
    expect((await valuesOf(table))[0]?.['b']).toHaveLength(long.length);
    await expect(ingest(`a,b\n1,${'x'.repeat(9 * 2 ** 20)}\n`)).rejects.toThrow(
      'line 2: is longer than 8 MB',
    );
    await expect(ingest(`a,b\n1,"${'x\n'.repeat(5 * 2 ** 20)}`)).rejects.toThrow(
      'line 2: a quote that opens here does not close',
    );
  });

  it('may have many columns, whose types come from all rows', async () => {
    const names = Array.from({ length: 130 }, (_, column) => `c${column}`);
    const rows = [1, 2, 3].map((row) =>
      names.map((_, column) => (column % 2 ? `w${row}` : row * column)).join(','),
    );
    const table = await ingest([names.join(','), ...rows].join('\n'));
    expect(table.schema.map(({ type }) => type)).toEqual(
      names.map((_, column) => (column % 2 ? 'string' : 'long')),
    );
    expect((await valuesOf(table))[2]).toMatchObject({ c0: 0, c128: 384, c129: 'w3' });
    const faulty = [names.join(','), ...rows, rows[0]!.replace(/,w1$/, ',x').replace(/^0,/, 'x,')].join('\n');
    await expect(ingest(faulty)).rejects.toThrow('line 5, column "c0": "x" is not a number');
  });

  it('is read whole when it has one column with missing values', async () => {
    expect(await valuesOf(await ingest('a\n1\n\n3\n'))).toEqual([{ a: 1 }, { a: null }, { a: 3 }]);
  });

  it('reports progress and stops when told', async () => {
    const phases = new Set<string>();
    const text = `a,b\n${'1,x\n'.repeat(1000)}`;
    await ingest(text, { onProgress: ({ phase, done }) => done === 1 && phases.add(phase) });
    expect([...phases]).toEqual(['read', 'write', 'describe', 'digest']);
    const stopped = AbortSignal.abort(new Error('enough'));
    await expect(ingest(text, { signal: stopped })).rejects.toThrow('enough');
  });

  it('that is not there is said to be missing', async () => {
    await expect(
      ingestFile({ path: join(folder, 'none.csv'), outPath: join(folder, 'none.parquet') }),
    ).rejects.toThrow('No file');
  });
});
