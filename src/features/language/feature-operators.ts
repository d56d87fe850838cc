import type { Call, Expression } from './expression.ts';
import { call, nameType, refuseBareMissing, unify } from './feature-functions.ts';

/** Throws, told what is wrong with what stands at the sign. */
type Fail = (problem: string) => never;

const ARITHMETIC = {
  '+': 'add',
  '-': 'subtract',
  '*': 'multiply',
  '/': 'divide',
  '%': 'modulo',
} as const;

/** `a + b` and its like. */
export function buildArithmetic(sign: string, left: Expression, right: Expression, fail: Fail): Expression {
  refuseBareMissing([left, right], fail);
  const wrong = [left, right].find(({ type }) => type !== 'number');
  if (wrong) fail(`${sign} stands between numbers, not beside ${nameType(wrong)}${hintFor(wrong)}`);
  const operation = ARITHMETIC[sign as keyof typeof ARITHMETIC];
  return foldNumbers(operation, left, right) ?? call('number', operation, left, right);
}

const hintFor = ({ type }: Expression): string =>
  type === 'boolean'
    ? '; if(x, 1, 0) makes a number of it'
    : type === 'datetime'
      ? '; take a part of it, such as hour(x), or days_between(from, to)'
      : '';

/** What stands between two constants is computed now; undefined for what is none or not finite. */
function foldNumbers(
  operation: (typeof ARITHMETIC)[keyof typeof ARITHMETIC],
  a: Expression,
  b: Expression,
): Expression | undefined {
  if (a.kind !== 'number' || b.kind !== 'number') return undefined;
  const value =
    operation === 'add'
      ? a.value + b.value
      : operation === 'subtract'
        ? a.value - b.value
        : operation === 'multiply'
          ? a.value * b.value
          : operation === 'divide'
            ? a.value / b.value
            : Number.NaN;
  return Number.isFinite(value) ? { kind: 'number', type: 'number', value } : undefined;
}

/** `-a` and `+a`. */
export function buildSigned(sign: string, value: Expression, fail: Fail): Expression {
  if (value.type !== 'number' || value.kind === 'missing')
    fail(`${sign} stands before a number, not before ${nameType(value)}`);
  if (sign === '+') return value;
  return value.kind === 'number' ? { ...value, value: -value.value } : call('number', 'negate', value);
}

/** `a and b`, `a or b`. */
export function buildLogic(
  operation: 'and' | 'or',
  left: Expression,
  right: Expression,
  fail: Fail,
): Expression {
  refuseBareMissing([left, right], fail);
  const wrong = [left, right].find(({ type }) => type !== 'boolean');
  if (wrong) fail(`${operation} stands between true or false, not beside ${nameType(wrong)}`);
  return call('boolean', operation, left, right);
}

/** `not a`. */
export function buildNot(value: Expression, fail: Fail): Expression {
  if (value.type !== 'boolean' || value.kind === 'missing')
    fail(`not stands before true or false, not before ${nameType(value)}`);
  return call('boolean', 'not', value);
}

/** `a = b` and its like. */
export function buildComparison(sign: string, left: Expression, right: Expression, fail: Fail): Expression {
  refuseBareMissing([left, right], fail);
  const [a, b] = unify(left, right, fail);
  if (sign === '=' || sign === '==') return equal(a, b);
  if (sign === '!=' || sign === '<>') return call('boolean', 'not', equal(a, b));
  if (a.type !== 'number' && a.type !== 'datetime')
    fail(`${sign} compares numbers and dates; ${nameType(a)} can only be equal or not`);
  switch (sign) {
    case '<':
      return call('boolean', 'less', a, b);
    case '<=':
      return call('boolean', 'less_equal', a, b);
    case '>':
      return call('boolean', 'less', b, a);
    default:
      return call('boolean', 'less_equal', b, a);
  }
}

function equal(a: Expression, b: Expression): Expression {
  const [value, text] = b.kind === 'text' ? [a, b] : [b, a];
  if (text.kind !== 'text' || value.kind === 'text') return call('boolean', 'equal', a, b);
  return among(value, [text.value]);
}

/** `a in (b, c)`: texts are looked up at once, other values compared one by one. */
export function buildAmong(left: Expression, options: readonly Expression[], fail: Fail): Expression {
  if (options.length === 0) fail('in ( ) has nothing to compare with');
  const texts = options.flatMap((option) => (option.kind === 'text' ? [option.value] : []));
  if (left.type === 'text' && left.kind !== 'text' && texts.length === options.length)
    return among(left, texts);
  return options
    .map((option) => buildComparison('=', left, option, fail))
    .reduce((a, b) => call('boolean', 'or', a, b));
}

const among = (value: Expression, texts: string[]): Call => ({
  kind: 'call',
  type: 'boolean',
  operation: 'among',
  operands: [value],
  texts,
});
