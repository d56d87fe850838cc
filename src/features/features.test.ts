import { describe, expect, it } from 'vitest';
import { fc } from '../../tests/support/properties.ts';
import { answerInGraph, answerInSql, differenceOf, type Row, SCHEMA } from './both-sides.suite.ts';
import type { Call, Expression } from './language/expression.ts';
import { call } from './language/feature-functions.ts';
import { type Feature, parseFeatures } from './language/parse-features.ts';

const NUMBERS = [
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  2.5,
  -2.5,
  3,
  7,
  -7,
  24,
  0.1,
  1e-300,
  5e-324,
  1e300,
  -1e300,
  3.4028234663852886e38,
  3.4028235677973366e38,
  1e39,
  88,
  89,
  -104,
  0.49999999999999994,
  2 ** 53,
  16777217,
  Number.MAX_VALUE,
];
const TIMES = [
  0,
  -1,
  1,
  86_400_000,
  -86_400_000,
  -86_400_001,
  Date.UTC(2000, 1, 29, 23, 59, 59, 999),
  Date.UTC(1900, 1, 28),
  Date.UTC(1968, 11, 31, 6),
  Date.UTC(2001, 3, 1),
  Date.UTC(1, 0, 1),
  Date.UTC(2100, 11, 31, 23),
  8.64e15,
  -8.64e15,
];
const CITIES = ['LAX', 'PHX', '', 'lax', "O'Hare", 'Zürich', '東京', 'never seen', ' LAX'];

const orNull = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null, freq: 5 });
const someNumber = fc.oneof(
  fc.constantFrom(...NUMBERS),
  fc.integer({ min: -50, max: 50 }),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const someTime = fc.oneof(
  fc.constantFrom(...TIMES),
  fc.integer({ min: -4e12, max: 4e12 }),
  fc.integer({ min: -8.64e15, max: 8.64e15 }),
);
const someRow: fc.Arbitrary<Row> = fc.record({
  a: orNull(someNumber),
  b: orNull(someNumber),
  n: orNull(fc.oneof(fc.integer({ min: -30, max: 30 }), fc.maxSafeInteger())),
  flag: orNull(fc.boolean()),
  on: orNull(fc.boolean()),
  city: orNull(fc.constantFrom(...CITIES)),
  'from city': orNull(fc.constantFrom(...CITIES)),
  at: orNull(someTime),
  until: orNull(someTime),
});

const quote = (text: string) => `'${text.replaceAll("'", "''")}'`;
const literal = fc
  .oneof(
    fc.constantFrom('0', '1', '-1', '2', '0.5', '3', '24', '-7', '1e300', '1e-300', '3.5e38', '1.0000000001'),
    someNumber.map(String),
  )
  .map((text) => (text.startsWith('-') ? `(${text})` : text));
const isoTime = someTime.filter((ms) => Math.abs(ms) < 5e13).map((ms) => quote(new Date(ms).toISOString()));

/** Well-typed expressions of every type, as text. */
const expressionsTo = (maxDepth: number) =>
  fc.letrec<{ number: string; boolean: string; text: string; date: string }>((tie) => {
    const of = (template: string, ...parts: fc.Arbitrary<string>[]) =>
      fc.tuple(...parts).map((values) => template.replace(/\$(\d)/g, (_, index) => values[Number(index)]!));
    const [n, b, t, d] = [tie('number'), tie('boolean'), tie('text'), tie('date')];
    const depth = { maxDepth } as const;
    return {
      number: fc.oneof(
        depth,
        fc.constantFrom('a', 'b', 'n'),
        literal,
        of('($0 $1 $2)', n, fc.constantFrom('+', '-', '*', '/', '%'), n),
        of('$0($1)', fc.constantFrom('abs', 'sqrt', 'exp', 'log', 'log1p', 'floor', 'ceil', 'round', '-'), n),
        of('$0($1, $2)', fc.constantFrom('min', 'max', 'coalesce'), n, n),
        of('clip($0, $1, $2)', n, fc.constantFrom('-2', '0', '0.5'), fc.constantFrom('1', '1e10', '20')),
        of(
          '$0($1)',
          fc.constantFrom('hour', 'minute_of_day', 'weekday', 'day_of_month', 'day_of_year', 'month'),
          d,
        ),
        of('days_between($0, $1)', d, d),
        of('if($0, $1, $2)', b, n, fc.oneof(n, fc.constant('missing'))),
        of('case when $0 then $1 when $2 then $3 else $1 end', b, n, b, n),
      ),
      boolean: fc.oneof(
        depth,
        fc.constantFrom('flag', '"on"', 'true', 'false'),
        of('($0 $1 $2)', n, fc.constantFrom('=', '!=', '<', '<=', '>', '>='), n),
        of('($0 $1 $2)', d, fc.constantFrom('=', '!=', '<', '<=', '>', '>='), fc.oneof(d, isoTime)),
        of('($0 $1 $2)', t, fc.constantFrom('=', '!='), t),
        of('($0 $1 $2)', b, fc.constantFrom('=', '!='), b),
        of('($0 $1 ($2, $3))', t, fc.constantFrom('in', 'not in'), t, t),
        of('($0 in ($1, $2))', n, n, n),
        of('($0 and $1)', b, b),
        of('($0 or $1)', b, b),
        of('(not $0)', b),
        of('($0 is $1)', fc.oneof(n, t, d, b), fc.constantFrom('missing', 'not missing')),
        of('coalesce($0, $1)', b, b),
        of('if($0, $1, $2)', b, b, fc.oneof(b, fc.constant('missing'))),
      ),
      text: fc.oneof(
        depth,
        fc.constantFrom('city', '"from city"'),
        fc.constantFrom(...CITIES).map(quote),
        of('if($0, $1, $2)', b, t, fc.oneof(t, fc.constant('null'))),
        of('coalesce($0, $1)', t, t),
      ),
      date: fc.oneof(
        depth,
        fc.constantFrom('at', 'until'),
        of('if($0, $1, $2)', b, d, d),
        of('coalesce($0, $1)', d, d),
      ),
    };
  });

/** A feature needs a column: one is brought in where the expression has none. */
const withColumn = ({ number, boolean, text }: ReturnType<typeof expressionsTo>) =>
  fc.oneof(
    {
      weight: 3,
      arbitrary: number.map((expression) => `if(a is missing, ${expression}, ${expression} + 0)`),
    },
    number.map((expression) => `coalesce(${expression}, n)`),
    number.map((expression) => `${expression} * if(flag is missing, 1, 1)`),
    boolean.map((expression) => `${expression} and (a = a or a is missing)`),
    boolean.map((expression) => `if(city is missing, ${expression}, ${expression})`),
    text.map((expression) => `if(a is missing, ${expression}, ${expression})`),
  );
const someExpression = fc
  .oneof(withColumn(expressionsTo(1)), withColumn(expressionsTo(3)))
  .filter((expression) => expression.length < 1500);

const toFeatures = (expressions: readonly string[]): Feature[] =>
  parseFeatures(Object.fromEntries(expressions.map((expression, i) => [`f${i}`, expression])), SCHEMA);

const compare = async (features: Feature[], inGraph: Feature[], rows: readonly Row[]) =>
  differenceOf(features, await answerInSql(features, rows), await answerInGraph(inGraph, rows), rows);

describe('a feature', () => {
  it('is the same in DuckDB and in ONNX Runtime, for any expression and any row', {
    timeout: 240_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(someExpression, { minLength: 8, maxLength: 8 }),
        fc.array(someRow, { minLength: 40, maxLength: 40 }),
        async (expressions, rows) => {
          const features = toFeatures(expressions);
          const difference = await compare(features, features, rows);
          expect(difference).toBeUndefined();
        },
      ),
      { numRuns: 40, endOnFailure: true },
    );
  });

  it('is the same where ONNX Runtime takes a constant for 0 or 1', async () => {
    const features = toFeatures([
      'floor(a * 1.00000000001)',
      'floor(a / 0.99999999999)',
      'floor(a + -1e-60)',
      '1e-60 - a < 0',
    ]);
    const rows = fc
      .sample(someRow, { numRuns: 1, seed: 1 })
      .flatMap((row) => [0, 1e12, null].map((a) => ({ ...row, a })));
    expect(await compare(features, features, rows)).toBeUndefined();
    expect(await answerInGraph(features, rows)).toEqual([
      [0, Math.fround(1e12 + 10), null],
      [0, Math.fround(1e12 + 10), null],
      [-1, 1e12, null].map((x) => x && Math.fround(x)),
      [0, 1, null],
    ]);
  });

  it('is the same for the smallest numbers there are', async () => {
    const features = toFeatures(['a % -5e-323 < 0', '(a % -5e-323) * 1e308 * 1e15', '-a % 5e-323 > 0']);
    const rows = fc
      .sample(someRow, { numRuns: 1, seed: 1 })
      .flatMap((row) => [5e-324, 1e-310, -1e-310, 0].map((a) => ({ ...row, a })));
    expect(await compare(features, features, rows)).toBeUndefined();
    expect((await answerInGraph(features, rows))[0]).toEqual([1, 1, 1, 0]);
  });

  describe('differs, and is found to differ, when the graph', () => {
    const planted: Record<string, (node: Call) => Expression | undefined> = {
      'takes < for <=': (node) =>
        node.operation === 'less' ? { ...node, operation: 'less_equal' } : undefined,
      'takes <= for <': (node) =>
        node.operation === 'less_equal' ? { ...node, operation: 'less' } : undefined,
      'takes and for or': (node) => (node.operation === 'or' ? { ...node, operation: 'and' } : undefined),
      'goes into else where a condition is missing': (node) =>
        node.operation === 'if'
          ? { ...node, operands: [orElse(node.operands[0]!, FALSE), ...node.operands.slice(1)] }
          : undefined,
      'makes 0 of a division by zero': (node) =>
        node.operation === 'divide' ? orElse(node, ZERO) : undefined,
      'gives the rest of a division by way of floor, with its rounding': (node) => {
        const [a, b] = node.operands as [Expression, Expression];
        const quotient = call('number', 'floor', call('number', 'divide', a, b));
        return node.operation === 'modulo'
          ? call('number', 'subtract', a, call('number', 'multiply', b, quotient))
          : undefined;
      },
      'rounds by adding a half': (node) =>
        node.operation === 'round'
          ? call('number', 'floor', call('number', 'add', node.operands[0]!, { ...ZERO, value: 0.5 }))
          : undefined,
      'rounds down towards zero': (node) =>
        node.operation === 'floor'
          ? call(
              'number',
              'negate',
              call('number', 'ceil', call('number', 'negate', call('number', 'abs', node.operands[0]!))),
            )
          : undefined,
      'takes the root of a number without its sign': (node) =>
        node.operation === 'sqrt'
          ? call('number', 'sqrt', call('number', 'abs', node.operands[0]!))
          : undefined,
      'takes the logarithm of a number without its sign': (node) =>
        node.operation === 'log'
          ? call('number', 'log', call('number', 'abs', node.operands[0]!))
          : undefined,
      'takes the smallest of what is not missing': (node) =>
        node.operation === 'min' ? orElse(node, orElse(node.operands[0]!, node.operands[1]!)) : undefined,
      'forgets coalesce': (node) => (node.operation === 'coalesce' ? node.operands[0]! : undefined),
      'is never missing': (node) =>
        node.operation === 'is_missing' ? call('boolean', 'and', node, FALSE) : undefined,
      'takes a missing truth for false before not': (node) =>
        node.operation === 'not' ? call('boolean', 'not', orElse(node.operands[0]!, FALSE)) : undefined,
      'knows one text less': (node) =>
        node.operation === 'among' && node.texts!.length > 1
          ? { ...node, texts: node.texts!.slice(1) }
          : undefined,
      'counts days backwards': (node) =>
        node.operation === 'days_between' ? { ...node, operands: node.operands.toReversed() } : undefined,
      'begins the week on Sunday': (node) =>
        node.operation === 'weekday'
          ? call('number', 'modulo', call('number', 'add', node, { ...ZERO, value: 1 }), {
              ...ZERO,
              value: 7,
            })
          : undefined,
      'takes every month for 30.5 days': (node) =>
        node.operation === 'month'
          ? call(
              'number',
              'ceil',
              call('number', 'divide', { ...node, operation: 'day_of_year' }, { ...ZERO, value: 30.5 }),
            )
          : undefined,
      'compares missing texts as if they were texts': (node) =>
        node.operation === 'equal' && node.operands[0]!.type === 'text' ? orElse(node, FALSE) : undefined,
    };

    it.each(Object.entries(planted))('%s', { timeout: 60_000 }, async (_, change) => {
      let found = false;
      for (let seed = 1; seed <= 30 && !found; seed++) {
        const features = toFeatures(fc.sample(someExpression, { numRuns: 24, seed }));
        const rows = fc.sample(someRow, { numRuns: 40, seed });
        const wrong = features.map((feature) => ({ ...feature, ast: rewrite(feature.ast, change) }));
        found = (await compare(features, wrong, rows)) !== undefined;
      }
      expect(found).toBe(true);
    });
  });
});

const ZERO = { kind: 'number', type: 'number', value: 0 } as const;
const FALSE = { kind: 'boolean', type: 'boolean', value: false } as const;
const orElse = (a: Expression, b: Expression): Expression => call(a.type, 'coalesce', a, b);

/** The expression with every operation that `change` answers for replaced. */
function rewrite(ast: Expression, change: (node: Call) => Expression | undefined): Expression {
  if (ast.kind !== 'call') return ast;
  const node = { ...ast, operands: ast.operands.map((operand) => rewrite(operand, change)) };
  return change(node) ?? node;
}
