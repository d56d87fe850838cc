import { describe, expect, it } from 'vitest';
import { parseFilter, parseOrderTerm } from './parse-filter.ts';

describe('search filters', () => {
  it.each([
    ['', []],
    ['metrics.loss < 0.5', [['metrics', 'loss', '<', 0.5]]],
    [
      "params.`a b` = 'it''s' AND tags.mlflow.user != \"x\"",
      [
        ['params', 'a b', '=', "it's"],
        ['tags', 'mlflow.user', '!=', 'x'],
      ],
    ],
    ['metrics."val-acc" >= -1e-3', [['metrics', 'val-acc', '>=', -0.001]]],
    [
      "name ilike '%x_' and run_id not in ('a', \"b\")",
      [
        [undefined, 'name', 'ILIKE', '%x_'],
        [undefined, 'run_id', 'NOT IN', ['a', 'b']],
      ],
    ],
    [
      'tags.a IS NOT NULL AND tags.b is null',
      [
        ['tags', 'a', 'IS NOT NULL', undefined],
        ['tags', 'b', 'IS NULL', undefined],
      ],
    ],
    ["tags.x = 'a AND b'", [['tags', 'x', '=', 'a AND b']]],
    ["tags.x = 'say \\'hi\\''", [['tags', 'x', '=', "say 'hi'"]]],
  ])('%s', (filter, expected) => {
    expect(
      parseFilter(filter).map(({ qualifier, key, operator, value }) => [qualifier, key, operator, value]),
    ).toEqual(expected);
  });

  it.each([
    ['metrics.loss', 'a comparison'],
    ['metrics.loss >', 'a number, or a text in quotes'],
    ['metrics. = 1', 'a key is missing'],
    ["a = 'x' b = 'y'", "expected 'AND' or the end"],
    ["a = 'x' AND", 'a name such as'],
    ["a = 'open", 'is not understood'],
    ['run_id IN ()', 'a number, or a text in quotes'],
    ["run_id IN ('a'", "',' or ')'"],
    ["a NOT 'x'", "'IN'"],
    ["a IS 'x'", "'NULL'"],
    ['a = 1; DROP TABLE runs', 'is not understood'],
  ])('says what is wrong with: %s', (filter, message) => {
    expect(() => parseFilter(filter)).toThrow(message);
  });

  it('refuses more than a database takes in one statement, and repeats no long text', () => {
    const many = Array.from({ length: 51 }, (_, i) => `metrics.m${i} > 0`).join(' AND ');
    expect(parseFilter(many.slice(0, many.lastIndexOf(' AND ')))).toHaveLength(50);
    expect(() => parseFilter(many)).toThrow(/^Invalid filter 'metrics.m0 .{1,300}: it has more than 50/);
    const list = Array.from({ length: 10_001 }, (_, i) => `'${i}'`).join(',');
    expect(() => parseFilter(`run_id IN (${list})`)).toThrow('or 10000 values');
    expect(() => parseFilter(`run_id ~ '${'x'.repeat(10_000)}'`)).toThrow(/^.{1,400}$/s);
  });

  it('reads orders', () => {
    expect(parseOrderTerm('metrics.`val loss` DESC')).toEqual({
      qualifier: 'metrics',
      key: 'val loss',
      descending: true,
    });
    expect(parseOrderTerm('start_time asc')).toEqual({
      qualifier: undefined,
      key: 'start_time',
      descending: false,
    });
    expect(() => parseOrderTerm('start_time sideways')).toThrow("'ASC', 'DESC' or the end");
  });
});
