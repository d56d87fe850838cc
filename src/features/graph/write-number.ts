import { type Call, type Expression, LARGEST_FLOAT32, type NumberOperation } from '../language/expression.ts';
import type { Writing } from './writing.ts';

/** Writes what gives a number: float64, NaN where it is missing. */
export function writeNumber(expression: Call, writing: Writing): string {
  const { node, valueFor, isMissing } = writing;
  const { apply, number, nan } = node;
  const { operands } = expression;
  const operation = expression.operation as NumberOperation;
  const of = (index: number) => valueFor(operands[index]!);
  const finite = (value: string) =>
    writing.fitsIn(expression) ? value : node.finite(value, Number.MAX_VALUE);
  const both = (): [string, string] => {
    const [a, b] = operands as [Expression, Expression];
    return [
      isTakenForNoop(a) ? unfoldable(a, b, writing) : of(0),
      isTakenForNoop(b) ? unfoldable(b, a, writing) : of(1),
    ];
  };
  const positiveLog = (x: string) =>
    node.toSingle(apply('Log', [apply('Where', [apply('Greater', [x, number(0)]), x, nan()])]));
  switch (operation) {
    case 'add':
      return finite(apply('Add', both()));
    case 'subtract':
      return finite(apply('Sub', both()));
    case 'multiply':
      return finite(apply('Mul', both()));
    case 'divide':
      return finite(apply('Div', both()));
    case 'modulo': {
      const [dividend, divisor] = both();
      // Of the sign of the dividend; NaN where the divisor is 0.
      const rest = apply('Mod', [dividend, divisor], { fmod: { int: 1 } });
      const differs = apply('Less', [
        apply('Mul', [apply('Sign', [rest]), apply('Sign', [divisor])]),
        number(0),
      ]);
      return apply('Where', [differs, apply('Add', [rest, divisor]), rest]);
    }
    case 'negate':
      return apply('Neg', [of(0)]);
    case 'abs':
      return apply('Abs', [of(0)]);
    case 'floor':
      return apply('Floor', [of(0)]);
    case 'ceil':
      return apply('Ceil', [of(0)]);
    case 'round': {
      const size = apply('Abs', [of(0)]);
      const whole = apply('Floor', [size]);
      const up = apply('GreaterOrEqual', [apply('Sub', [size, whole]), number(0.5)]);
      const rounded = apply('Where', [up, apply('Add', [whole, number(1)]), whole]);
      return apply('Mul', [rounded, apply('Sign', [of(0)])]);
    }
    case 'sqrt':
      return apply('Sqrt', [of(0)]);
    case 'exp':
      return node.toSingle(node.finite(apply('Exp', [of(0)]), LARGEST_FLOAT32));
    case 'log':
      return positiveLog(of(0));
    case 'log1p':
      return positiveLog(apply('Add', [number(1), of(0)]));
    case 'min':
    case 'max': {
      const first = apply(operation === 'min' ? 'Less' : 'Greater', [of(0), of(1)]);
      // A comparison with NaN is false, so that a missing second is chosen by itself.
      return apply('Where', [isMissing(operands[0]!), nan(), apply('Where', [first, of(0), of(1)])]);
    }
    case 'days_between': {
      const either = apply('Or', [isMissing(operands[0]!), isMissing(operands[1]!)]);
      const ms = node.toDouble(apply('Sub', [of(1), of(0)]));
      return apply('Where', [either, nan(), apply('Div', [ms, number(86_400_000)])]);
    }
    case 'hour':
    case 'minute_of_day':
    case 'weekday':
    case 'day_of_month':
    case 'day_of_year':
    case 'month': {
      const calendar = writing.calendarOf(operands[0]!);
      return apply('Where', [calendar.writeMissing(), nan(), node.toDouble(calendar.writePart(operation))]);
    }
  }
}

/** A constant that is only known at run time; missing where the other operand is, and so is the result. */
function unfoldable(constant: Expression, other: Expression, { node, valueFor, isMissing }: Writing): string {
  return node.apply('Where', [isMissing(other), node.nan(), valueFor(constant)]);
}

/** ONNX Runtime drops `+ c` and `* c` from a graph where c, as float32, is 0 or 1, also when c itself is not. */
function isTakenForNoop(expression: Expression): boolean {
  if (expression.kind !== 'number') return false;
  const rounded = Math.fround(expression.value);
  return (rounded === 0 || rounded === 1) && rounded !== expression.value;
}
