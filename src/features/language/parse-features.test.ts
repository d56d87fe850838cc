import { describe, expect, it } from 'vitest';
import { answerInGraph, answerInSql, type Row, SCHEMA } from '../both-sides.suite.ts';
import { FEATURE_FUNCTIONS, FEATURE_OPERATORS } from './feature-functions.ts';
import { parseFeatures } from './parse-features.ts';

const row: Row = {
  a: -7.5,
  b: 2,
  n: 10,
  flag: true,
  on: null,
  city: "O'Hare",
  'from city': null,
  at: Date.UTC(1969, 11, 31, 23, 59, 30),
  until: Date.UTC(2000, 1, 29, 12),
};

async function answers(expressions: readonly string[]): Promise<(number | string | null)[]> {
  const features = parseFeatures(Object.fromEntries(expressions.map((text, i) => [`f${i}`, text])), SCHEMA);
  const [sql, graph] = [await answerInSql(features, [row]), await answerInGraph(features, [row])];
  expect(graph).toEqual(sql);
  return sql.map(([value]) => value!);
}

describe('an expression', () => {
  it('says what its functions are documented to say', async () => {
    const expected: [string, number | string | null][] = [
      ['hour(at)', 23],
      ['minute_of_day(at)', 1439],
      ['weekday(at)', 2],
      ['day_of_month(at)', 31],
      ['day_of_year(until)', 60],
      ['month(at)', 12],
      [
        'days_between(at, until)',
        Math.fround((Date.UTC(2000, 1, 29, 12) - (row['at'] as number)) / 86_400_000),
      ],
      ['abs(a)', 7.5],
      ['sqrt(b + 2)', 2],
      ['sqrt(a)', null],
      ['log(a)', null],
      ['exp(a - a)', 1],
      ['log1p(b - b)', 0],
      ['floor(a)', -8],
      ['ceil(a)', -7],
      ['round(a)', -8],
      ['round(b + 0.5)', 3],
      ['min(a, b, n)', -7.5],
      ['max(a, b, n)', 10],
      ['clip(a, -5, 5)', -5],
      ['a % 5', 2.5],
      ['a % -5', -2.5],
      ['a / (b - 2)', null],
      ['a + b * 2', -3.5],
      ['-a - -b', 9.5],
      ['2 * (a + b)', -11],
      ["city = 'O''Hare'", 1],
      ["city in ('LAX', 'PHX')", 0],
      ["city not in ('LAX')", 1],
      ['"from city" != \'LAX\'', null],
      ['"from city" is missing', 1],
      ['"from city" is not null', 0],
      ['coalesce("from city", city, \'none\')', "O'Hare"],
      ["at < '1970-01-01'", 1],
      ["until >= '2000-02-29T13:00:00+01:00'", 1],
      ['not flag or "on"', null],
      ['flag or "on"', 1],
      ['not flag and "on"', 0],
      ['if("on", 1, n)', null],
      ["case when a > 0 then 'up' when a = 0 then 'even' else 'down' end", 'down'],
      ['if(a > 0, a, missing)', null],
      ['n > 5 AND NOT a > 5', 1],
      ['n in (1, 10)', 1],
    ];
    expect(await answers(expected.map(([text]) => text))).toEqual(expected.map(([, value]) => value));
  });

  it('may use features before it', async () => {
    const features = parseFeatures({ x: 'a + b', y: 'x * x', z: 'if(y > 30, x, y)' }, SCHEMA);
    expect(features.map(({ type, columns }) => [type, columns])).toEqual([
      ['number', ['a', 'b']],
      ['number', ['a', 'b']],
      ['number', ['a', 'b']],
    ]);
    expect((await answerInSql(features, [row])).flat()).toEqual([-5.5, 30.25, -5.5]);
    expect((await answerInGraph(features, [row])).flat()).toEqual([-5.5, 30.25, -5.5]);
  });

  it('may be long and deep', async () => {
    const sum = Array.from({ length: 150 }, () => 'a').join(' + ');
    const nested = `${'floor(abs('.repeat(19)}a${'))'.repeat(19)}`;
    expect(await answers([sum, nested])).toEqual([-7.5 * 150, 7]);
  });

  it.each([
    ['huor(at)', 'Feature "f": there is no function "huor", at position 1 of "huor(at)"; did you mean hour?'],
    ['strlen(city)', 'there are hour, minute_of_day'],
    ['hour(att)', 'there is no column "att", at position 6 of "hour(att)"; did you mean "at"?'],
    ['hour("LAX")', "a text is written in single quotes: 'LAX'"],
    ['hour(a)', 'hour(date) takes datetime, not "a" (a number), at position 1'],
    ['hour(at, at)', 'hour has 2 arguments; it is written hour(date)'],
    ['at', 'gives a date; take a part of it, such as hour(at)'],
    ['1 + 2', 'uses no column'],
    ['', 'the expression is empty'],
    ['a +', 'something has to follow, at position 4'],
    ['a b', '"b" is not expected, at position 3'],
    ['(a', '")" is missing behind what a bracket holds, at position 3'],
    ['a + city', '+ stands between numbers, not beside "city" (a text)'],
    ['flag + 1', 'if(x, 1, 0) makes a number of it'],
    ['at - until', 'days_between(from, to)'],
    ["a = 'x'", '"a" (a number) and a text do not go together'],
    ["at > 'yesterday'", '"yesterday" is no date; write it as'],
    ["at > '2001-02-30'", '"2001-02-30" is no date'],
    ["city < 'B'", 'can only be equal or not'],
    ['if(a, 1, 2)', 'a condition is true or false, and this one is "a" (a number);'],
    ["if(flag, 1, 'x')", 'a number and a text do not go together'],
    ['a < b < n', 'comparisons do not follow one another; write a < b and b < c, at position 7'],
    ['a = missing', 'write `x is missing`'],
    ['a is 3', '`is` is followed by `missing` or `not missing`'],
    ['a in ()', 'has nothing to compare with'],
    ['clip(a, 5, 1)', 'the lower bound stands above the upper one'],
    ["city = 'LAX", 'the text that starts here has no end, at position 8'],
    ['a ? b', '"?" has no meaning here, at position 3'],
    ['case when flag then 1 end', '"else" is missing in a case'],
    ['1e999 + a', '1e999 is too large for a number'],
    [`${'('.repeat(60)}a${')'.repeat(60)}`, 'it is nested more than 40 deep'],
    [Array.from({ length: 320 }, () => 'a').join('+'), 'it has more than 300 operations'],
    [`a + ${'1'.repeat(2000)}`, 'has 2004 characters; at most 2000'],
  ])('is refused in words: %s', (expression, message) => {
    expect(() => parseFeatures({ f: expression }, SCHEMA)).toThrow(message);
  });

  it.each([
    ['a', 'a column of the data has that name'],
    ['A', 'a column of the data has that name'],
    ['@score', "names that begin with @ or __ are the platform's own"],
    ['', 'has 1 to 200 characters'],
  ])('cannot be called %j', (name, message) => {
    expect(() => parseFeatures({ [name]: 'abs(b)' }, SCHEMA)).toThrow(message);
  });

  it('is refused when features stacked on one another are too deep', () => {
    const stack = Object.fromEntries(
      Array.from({ length: 20 }, (_, i) => [`f${i}`, `${i ? `f${i - 1}` : 'a'}${' + b'.repeat(12)}`]),
    );
    expect(() => parseFeatures(stack, SCHEMA)).toThrow('"f16" is 204 operations deep');
  });

  it('has every function and operator documented', () => {
    for (const { usage, doc } of [...FEATURE_FUNCTIONS, ...FEATURE_OPERATORS]) {
      expect(usage).not.toBe('');
      expect(doc.length).toBeGreaterThan(5);
    }
    expect(new Set(FEATURE_FUNCTIONS.map(({ name }) => name)).size).toBe(FEATURE_FUNCTIONS.length);
  });
});
