import { parseMoment } from '../../models/index.ts';
import type { Expression, FeatureType, Operation } from './expression.ts';

/** A function of the expression language: what it takes and gives, and how it is documented. */
export interface FeatureFunction {
  name: string;
  /** Such as 'clip(x, low, high)'. */
  usage: string;
  takes: string;
  gives: FeatureType | 'as given';
  doc: string;
}

interface Definition extends FeatureFunction {
  fewest: number;
  most: number;
  /** The type of every argument; a function with arguments of several types checks them itself. */
  of?: FeatureType;
  build(operands: Expression[], fail: (problem: string) => never): Expression;
}

export const call = (type: FeatureType, operation: Operation, ...operands: Expression[]): Expression => ({
  kind: 'call',
  type,
  operation,
  operands,
});

const ofNumber = (name: Operation, doc: string): Definition => ({
  name,
  usage: `${name}(x)`,
  takes: 'number',
  gives: 'number',
  doc,
  fewest: 1,
  most: 1,
  of: 'number',
  build: ([x]) => call('number', name, x!),
});

const ofDate = (name: Operation, doc: string): Definition => ({
  name,
  usage: `${name}(date)`,
  takes: 'datetime',
  gives: 'number',
  doc,
  fewest: 1,
  most: 1,
  of: 'datetime',
  build: ([date]) => call('number', name, date!),
});

const fold = (name: 'min' | 'max', doc: string): Definition => ({
  name,
  usage: `${name}(a, b, …)`,
  takes: 'numbers',
  gives: 'number',
  doc,
  fewest: 2,
  most: 50,
  of: 'number',
  build: (operands) => operands.reduce((a, b) => call('number', name, a, b)),
});

const DEFINITIONS: readonly Definition[] = [
  ofDate('hour', 'Hour of the day in UTC, 0 to 23'),
  ofDate('minute_of_day', 'Minute of the day in UTC, 0 to 1439'),
  ofDate('weekday', 'Day of the week in UTC, 0 (Monday) to 6 (Sunday)'),
  ofDate('day_of_month', 'Day of the month in UTC, 1 to 31'),
  ofDate('day_of_year', 'Day of the year in UTC, 1 to 366'),
  ofDate('month', 'Month in UTC, 1 to 12'),
  {
    name: 'days_between',
    usage: 'days_between(from, to)',
    takes: 'datetime, datetime',
    gives: 'number',
    doc: 'Days from one date to another, with their fraction; negative when `to` is earlier',
    fewest: 2,
    most: 2,
    of: 'datetime',
    build: ([from, to]) => call('number', 'days_between', from!, to!),
  },
  ofNumber('abs', 'The number without its sign'),
  ofNumber('sqrt', 'Square root; missing for a negative number'),
  ofNumber(
    'exp',
    'e to the power of x, with the seven digits of float32; missing where that is too large for them',
  ),
  ofNumber('log', 'Natural logarithm, with the seven digits of float32; missing unless x > 0'),
  ofNumber('log1p', 'log(1 + x); missing unless x > -1'),
  ofNumber('floor', 'The largest whole number that is not above x'),
  ofNumber('ceil', 'The smallest whole number that is not below x'),
  ofNumber('round', 'The nearest whole number; a half goes away from zero'),
  fold('min', 'The smallest; missing when any is missing'),
  fold('max', 'The largest; missing when any is missing'),
  {
    name: 'clip',
    usage: 'clip(x, low, high)',
    takes: 'numbers',
    gives: 'number',
    doc: 'x, but not below `low` and not above `high`; missing when any is missing',
    fewest: 3,
    most: 3,
    of: 'number',
    build: ([x, low, high], fail) => {
      if (low!.kind === 'number' && high!.kind === 'number' && low!.value > high!.value) {
        fail(`clips to ${low!.value} and ${high!.value}: the lower bound stands above the upper one`);
      }
      return call('number', 'min', call('number', 'max', x!, low!), high!);
    },
  },
  {
    name: 'if',
    usage: 'if(condition, then, else)',
    takes: 'boolean, two of one type',
    gives: 'as given',
    doc: '`then` where the condition is true, `else` where it is false, missing where it is missing',
    fewest: 3,
    most: 3,
    build: ([condition, then, otherwise], fail) => chooseIf(condition!, then!, otherwise!, fail),
  },
  {
    name: 'coalesce',
    usage: 'coalesce(a, b, …)',
    takes: 'values of one type',
    gives: 'as given',
    doc: 'The first that is not missing',
    fewest: 2,
    most: 50,
    build: (operands, fail) =>
      operands.reduceRight((rest, first) => {
        const [a, b] = unify(first, rest, fail);
        return call(a.type, 'coalesce', a, b);
      }),
  },
  {
    name: 'is_missing',
    usage: 'is_missing(x)',
    takes: 'any',
    gives: 'boolean',
    doc: 'True where x is missing; never missing itself',
    fewest: 1,
    most: 1,
    build: ([x]) => call('boolean', 'is_missing', x!),
  },
];

const BY_NAME = new Map(DEFINITIONS.map((definition) => [definition.name, definition]));

/** Every function that an expression can call, for the reference. */
export const FEATURE_FUNCTIONS: readonly FeatureFunction[] = DEFINITIONS.map(
  ({ name, usage, takes, gives, doc }) => ({ name, usage, takes, gives, doc }),
);

/** What stands between or before values, for the reference. */
export const FEATURE_OPERATORS: readonly { usage: string; doc: string }[] = [
  { usage: 'a + b, a - b, a * b, -a', doc: 'Arithmetic in float64; missing when a or b is' },
  { usage: 'a / b', doc: 'Division; missing where b is 0' },
  { usage: 'a % b', doc: 'Rest of the division, of the sign of b (-1 % 24 is 23); missing where b is 0' },
  {
    usage: 'a = b, a != b, a < b, a <= b, a > b, a >= b',
    doc: "Comparison of two of one type (text and booleans: = and != only); a date is also compared with a text such as '2001-04-01'; missing when a or b is",
  },
  { usage: "a in ('x', 'y')", doc: 'Whether a equals one of them; `not in` is the contrary' },
  { usage: 'a is missing', doc: 'As is_missing(a); `is not missing` is the contrary' },
  { usage: 'not a, a and b, a or b', doc: 'Logic; `false and missing` is false, `true or missing` is true' },
  {
    usage: 'case when a then x when b then y else z end',
    doc: 'As nested `if`; `missing` may stand for a value in them',
  },
];

/** A call by name; `fail` throws. Undefined for a function that there is not. */
export function buildCall(
  name: string,
  operands: Expression[],
  fail: (problem: string) => never,
): Expression | undefined {
  const definition = BY_NAME.get(name);
  if (!definition) return undefined;
  const { usage, fewest, most, of } = definition;
  if (operands.length < fewest || operands.length > most) {
    const count = operands.length === 1 ? '1 argument' : `${operands.length} arguments`;
    fail(`${name} has ${count}; it is written ${usage}`);
  }
  if (name !== 'if' && name !== 'coalesce') refuseBareMissing(operands, fail);
  if (of) {
    const wrong = operands.find(({ type }) => type !== of);
    if (wrong) fail(`${usage} takes ${definition.takes}, not ${nameType(wrong)}`);
  }
  return definition.build(operands, fail);
}

/** The word `missing` only says something where its type can be told. */
export function refuseBareMissing(operands: readonly Expression[], fail: (problem: string) => never): void {
  if (operands.some(({ kind }) => kind === 'missing'))
    fail('missing stands alone here; it can be a branch of if or case. To ask for it write `x is missing`');
}

/** `if` and `case`. */
export function chooseIf(
  condition: Expression,
  then: Expression,
  otherwise: Expression,
  fail: (problem: string) => never,
): Expression {
  if (condition.type !== 'boolean' || condition.kind === 'missing') {
    fail(`a condition is true or false, and this one is ${nameType(condition)}; compare it, as in x > 0`);
  }
  const [a, b] = unify(then, otherwise, fail);
  return call(a.type, 'if', condition, a, b);
}

/** Both as one type; a bare `missing` takes the type of the other. */
export function unify(
  a: Expression,
  b: Expression,
  fail: (problem: string) => never,
): [Expression, Expression] {
  if (a.kind === 'missing' && b.kind === 'missing') fail('both sides are missing');
  if (a.kind === 'missing') return [{ kind: 'missing', type: b.type }, b];
  if (b.kind === 'missing') return [a, { kind: 'missing', type: a.type }];
  if (a.type === 'datetime' && b.kind === 'text') return unify(a, asDate(b.value, fail), fail);
  if (b.type === 'datetime' && a.kind === 'text') return unify(asDate(a.value, fail), b, fail);
  if (a.type !== b.type) fail(`${nameType(a)} and ${nameType(b)} do not go together`);
  return [a, b];
}

function asDate(text: string, fail: (problem: string) => never): Expression {
  const value = parseMoment(text);
  if (Number.isNaN(value))
    fail(`${JSON.stringify(text)} is no date; write it as '2001-04-01' or '2001-04-01T12:00:00Z'`);
  return { kind: 'datetime', type: 'datetime', value };
}

export function nameType(expression: Expression): string {
  const { type } = expression;
  const what = { number: 'a number', text: 'a text', boolean: 'true or false', datetime: 'a date' }[type];
  return expression.kind === 'column' ? `${JSON.stringify(expression.name)} (${what})` : what;
}
