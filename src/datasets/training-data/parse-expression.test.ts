import { describe, expect, it } from 'vitest';
import { withDuckdb } from '../duckdb/duckdb-session.ts';
import { parseExpression } from './parse-expression.ts';

const columns = ['delay', 'Origin', 'sepal length (cm)', '温度', 'a.b', '__proto__', 'it"s', 'day'];

const parse = (text: string) =>
  withDuckdb({ read: [] }, (session) => parseExpression(session, text, columns));

describe('an expression', () => {
  it.each([
    ['delay > 15', ['delay']],
    ["DELAY > 15 AND origin IN ('A', 'B')", ['delay', 'Origin']],
    ['"sepal length (cm)" * 2 > 7', ['sepal length (cm)']],
    ['"温度" IS NOT NULL', ['温度']],
    ['"a.b" = 1', ['a.b']],
    ['"__proto__" > 0', ['__proto__']],
    ['"it""s" <> \'x\'', ['it"s']],
    ['delay BETWEEN 1 AND 2 OR NOT delay > 5', ['delay']],
    ["CASE WHEN delay > 15 THEN 'late' WHEN delay > 0 THEN 'tardy' ELSE 'fine' END", ['delay']],
    ["lower(origin) LIKE 'x%' || origin", ['Origin']],
    ['try_cast(origin AS INTEGER) + coalesce(delay, 0)', ['Origin', 'delay']],
    ["extract(hour FROM day) > 6 OR day < DATE '2026-01-01'", ['day']],
    ['-ln(abs(delay) + 1) // 1 % 2', ['delay']],
    ['delay > 15 -- late', ['delay']],
    ['delay /* ; */ > 15', ['delay']],
  ])('may be %s', async (text, used) => {
    const { sql, columns: found } = await parse(text);
    expect(found.sort()).toEqual([...used].sort());
    expect(sql).toContain(text);
  });

  it.each([
    ['(select 1)', 'uses a query inside the expression'],
    ['delay = (SELECT max(delay) FROM delay)', 'uses a query inside the expression'],
    ['delay = ANY([1, 2])', 'uses a query inside the expression'],
    ['EXISTS (SELECT 1)', 'uses a query inside the expression'],
    ["read_text('/etc/passwd')", 'calls read_text, which is not allowed'],
    ["length(read_text('/etc/passwd')) > delay", 'calls read_text'],
    ["getenv('HOME') = origin", 'calls getenv'],
    ["current_setting('temp_directory') = origin", 'calls current_setting'],
    ['sum(delay)', 'calls sum'],
    ['count(DISTINCT delay)', 'calls count'],
    ['row_number() OVER ()', 'uses a window function'],
    ['max(delay) OVER (PARTITION BY origin)', 'uses a window function'],
    ['unnest([delay])', 'calls unnest'],
    ["repeat('x', 1000000000)", 'calls repeat'],
    ['random() > 0.5', 'calls random'],
    ['now() > day', 'calls now'],
    ['other.sin(delay)', 'calls sin'],
    ['list_transform([1], x -> x + delay)', 'is not allowed'],
    ['COLUMNS(*)', 'uses a star'],
    ['*', 'is not allowed here'],
    ['$1', 'uses a parameter'],
    ['#1', 'is not allowed here'],
    ['delay::STRUCT(a INTEGER)', 'casts to STRUCT'],
    ['(delay, origin)', 'calls row'],
    ['[delay]', 'calls list_value'],
    ['origin[1]', 'is not allowed here'],
    ['1); drop table', 'cannot be read'],
    ['1); DROP TABLE x; --', 'cannot be read'],
    ['1) FROM range(10) WHERE (true', 'is more than one expression'],
    ['1), (2', 'is more than one expression'],
    ['1) UNION SELECT (2', 'is more than one expression'],
    ['1) ORDER BY (1', 'is more than one expression'],
    ["1) FROM read_text('/etc/passwd') WHERE (true", 'is more than one expression'],
    ['delay) OR (SELECT true', 'uses a query inside the expression'],
    ['delay >', 'is incomplete'],
    ['', 'cannot be read'],
    ['delay > 15 AS late', 'cannot be read'],
    ['1 + 1', 'uses no column'],
    ['a.b = 1', 'uses a.b, a name with a dot in it; write it in double quotes: "a.b"'],
    ['dely > 15', 'No column "dely" (in "dely > 15"): did you mean "delay"?'],
    ['delay > 1\0', 'holds a NUL character'],
    [`delay IN (${'1, '.repeat(1000)}1)`, 'at most 2000 are allowed'],
  ])('must not be %s', async (text, message) => {
    await expect(parse(text)).rejects.toThrow(message);
    await expect(parse(text)).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' });
  });
});
