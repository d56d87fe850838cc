import {
  type GraphInput,
  MISSING_DATETIME,
  MISSING_TEXT,
  ML_DOMAIN,
  type OnnxGraphBuilder,
} from '../models/index.ts';
import {
  type Call,
  type ChoiceOperation,
  type Expression,
  LARGEST_FLOAT32,
  largestOf,
  type NumberOperation,
  type TruthOperation,
} from './expression.ts';
import { createNodeWriter } from './node-writer.ts';
import type { Feature } from './parse-features.ts';
import { type CalendarWriter, createCalendarWriter } from './write-calendar.ts';

/**
 * A truth value in the graph: `yes` is true where it is true, `maybe` where it is true or missing. Where it is never
 * missing both are one value.
 */
interface Truth {
  yes: string;
  maybe: string;
}

export interface FeatureWriter {
  /**
   * Writes the nodes of a feature and answers the name of its value, [rows, 1]: float32 (booleans as 0 and 1, NaN where
   * missing) or text (MISSING_TEXT where missing).
   */
  write(feature: Feature, output?: string): string;
}

/**
 * Writes features as nodes that answer exactly as `deriveRelation` does in SQL. What several features share is written
 * once.
 *
 * @param inputs the graph's inputs, among them every column that a feature needs; numbers may be of any element type
 */
export function createFeatureWriter(graph: OnnxGraphBuilder, inputs: readonly GraphInput[]): FeatureWriter {
  const node = createNodeWriter(graph);
  const { apply, number, nan, moment, text, truth } = node;
  const largest = new Map<Expression, number>();
  const values = new Map<Expression, string>();
  const truths = new Map<Expression, Truth>();
  const columns = new Map<string, string>();
  const calendars = new Map<string, CalendarWriter>();

  function once<T>(known: Map<Expression, T>, expression: Expression, write: () => T): T {
    const found = known.get(expression) ?? write();
    known.set(expression, found);
    return found;
  }

  /** The raw values of a column, [rows, 1]: float64, int64 or text. */
  function columnValue(name: string): string {
    const known = columns.get(name);
    if (known !== undefined) return known;
    const input = inputs.find((candidate) => candidate.columns.includes(name));
    if (!input) throw new Error(`No input of the graph holds the column ${JSON.stringify(name)}`);
    const values = node.onlyFinite(input);
    const value =
      input.columns.length === 1
        ? values
        : apply('Gather', [values, node.index(input.columns.indexOf(name))], { axis: { int: 1 } });
    columns.set(name, value);
    return value;
  }

  function calendarOf(expression: Expression): CalendarWriter {
    const times = valueFor(expression);
    const known = calendars.get(times) ?? createCalendarWriter(graph, times);
    calendars.set(times, known);
    return known;
  }

  /** A number, a text or a moment; not a truth value. */
  function valueFor(expression: Expression): string {
    return once(values, expression, () => {
      switch (expression.kind) {
        case 'number':
          return number(expression.value);
        case 'text':
          return text(expression.value);
        case 'datetime':
          return moment(BigInt(expression.value));
        case 'missing':
          return missingOf(expression.type);
        case 'column':
          return columnValue(expression.name);
        case 'call':
          return expression.operation === 'if' || expression.operation === 'coalesce'
            ? chooseValue(expression)
            : numberOf(expression);
        case 'boolean':
          throw new Error('A truth value is no number');
      }
    });
  }

  const missingOf = (type: Expression['type']): string =>
    type === 'text' ? text(MISSING_TEXT) : type === 'datetime' ? moment(MISSING_DATETIME) : nan();

  /** Where a number, a text or a moment is missing. */
  function isMissing(expression: Expression): string {
    const value = valueFor(expression);
    if (expression.type === 'number') return node.once(`missing ${value}`, () => apply('IsNaN', [value]));
    if (expression.type === 'datetime')
      return node.once(`missing ${value}`, () => apply('Equal', [value, moment(MISSING_DATETIME)]));
    return node.once(`missing ${value}`, () => apply('Equal', [codesOf(value, []), node.whole(1)]));
  }

  /** 0 for any other text, 1 for missing text, 2 for one of these. */
  function codesOf(value: string, texts: readonly string[]): string {
    const keys = [...new Set(texts)].filter((key) => key !== MISSING_TEXT);
    return apply(
      'LabelEncoder',
      [value],
      {
        keys_strings: { strings: [MISSING_TEXT, ...keys] },
        values_int64s: { ints: [1, ...keys.map(() => 2)] },
        default_int64: { int: 0 },
      },
      ML_DOMAIN,
    );
  }

  function chooseValue({ operation, operands }: Call): string {
    if (operation === 'coalesce') {
      const [first, rest] = operands as [Expression, Expression];
      return apply('Where', [isMissing(first), valueFor(rest), valueFor(first)]);
    }
    const [condition, then, otherwise] = operands as [Expression, Expression, Expression];
    const { yes, maybe } = truthFor(condition);
    const chosen = apply('Where', [yes, valueFor(then), valueFor(otherwise)]);
    if (yes === maybe) return chosen;
    return apply('Where', [apply('Xor', [yes, maybe]), missingOf(then.type), chosen]);
  }

  function numberOf(expression: Call): string {
    const { operands } = expression;
    const operation = expression.operation as NumberOperation;
    const of = (index: number) => valueFor(operands[index]!);
    const finite = (value: string) =>
      largestOf(expression, largest) <= Number.MAX_VALUE ? value : node.finite(value, Number.MAX_VALUE);
    const both = () => {
      const [a, b] = operands as [Expression, Expression];
      return [isTakenForNoop(a) ? unfoldable(a, b) : of(0), isTakenForNoop(b) ? unfoldable(b, a) : of(1)];
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
        const divisor = of(1);
        // Of the sign of the dividend; NaN where the divisor is 0.
        const rest = apply('Mod', [of(0), divisor], { fmod: { int: 1 } });
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
        const calendar = calendarOf(operands[0]!);
        return apply('Where', [calendar.writeMissing(), nan(), node.toDouble(calendar.writePart(operation))]);
      }
    }
  }

  /** A constant that is only known at run time; missing where the other operand is, and so is the result. */
  const unfoldable = (constant: Expression, other: Expression): string =>
    apply('Where', [isMissing(other), nan(), valueFor(constant)]);

  function truthFor(expression: Expression): Truth {
    return once(truths, expression, () => {
      switch (expression.kind) {
        case 'boolean':
          return { yes: truth(expression.value), maybe: truth(expression.value) };
        case 'missing':
          return { yes: truth(false), maybe: truth(true) };
        case 'column': {
          const value = columnValue(expression.name);
          return {
            yes: apply('Greater', [value, number(0)]),
            maybe: node.not(apply('LessOrEqual', [value, number(0)])),
          };
        }
        case 'call':
          return judge(expression);
        case 'number':
        case 'text':
        case 'datetime':
          throw new Error(`A ${expression.kind} is no truth value`);
      }
    });
  }

  function judge(expression: Call): Truth {
    const { operands } = expression;
    const operation = expression.operation as TruthOperation | ChoiceOperation;
    const [a, b] = operands as [Expression, Expression];
    switch (operation) {
      case 'not': {
        const { yes, maybe } = truthFor(a);
        return node.pair(node.not(maybe), yes === maybe ? undefined : node.not(yes));
      }
      case 'and':
      case 'or':
        return node.both(operation === 'and' ? 'And' : 'Or', truthFor(a), truthFor(b));
      case 'is_missing': {
        if (a.type !== 'boolean') return node.pair(isMissing(a));
        const { yes, maybe } = truthFor(a);
        return node.pair(apply('Xor', [yes, maybe]));
      }
      case 'among': {
        const codes = codesOf(valueFor(a), expression.texts!);
        return {
          yes: apply('Equal', [codes, node.whole(2)]),
          maybe: apply('Greater', [codes, node.whole(0)]),
        };
      }
      case 'less':
      case 'less_equal':
      case 'equal':
        return a.type === 'boolean' ? agree(truthFor(a), truthFor(b)) : compare(operation, a, b);
      case 'coalesce': {
        const [first, rest] = [truthFor(a), truthFor(b)];
        const missing = apply('Xor', [first.yes, first.maybe]);
        const other = node.both('And', { yes: missing, maybe: missing }, rest);
        return node.both('Or', { yes: first.yes, maybe: first.yes }, other);
      }
      case 'if':
        return chooseTruth(truthFor(a), truthFor(b), truthFor(operands[2]!));
    }
  }

  function compare(operation: 'less' | 'less_equal' | 'equal', a: Expression, b: Expression): Truth {
    const names = { less: 'Less', less_equal: 'LessOrEqual', equal: 'Equal' };
    // Texts can be compared with one another from operator set 19 on.
    if (a.type === 'text') graph.requireOpset(19);
    const holds = apply(names[operation], [valueFor(a), valueFor(b)]);
    const missing = [a, b].filter(({ kind }) => kind === 'column' || kind === 'call').map(isMissing);
    if (missing.length === 0) return node.pair(holds);
    const either = missing.reduce((x, y) => apply('Or', [x, y]));
    return { yes: apply('And', [holds, node.not(either)]), maybe: apply('Or', [holds, either]) };
  }

  const agree = (a: Truth, b: Truth): Truth =>
    node.both('Or', node.both('And', a, b), node.both('And', node.opposite(a), node.opposite(b)));

  function chooseTruth(condition: Truth, then: Truth, otherwise: Truth): Truth {
    const chosen = node.both(
      'Or',
      node.both('And', { yes: condition.yes, maybe: condition.yes }, then),
      node.both('And', node.opposite({ yes: condition.maybe, maybe: condition.maybe }), otherwise),
    );
    if (condition.yes === condition.maybe) return chosen;
    const missing = apply('Xor', [condition.yes, condition.maybe]);
    return { yes: chosen.yes, maybe: apply('Or', [chosen.maybe, missing]) };
  }

  return {
    write({ name, ast }, output = graph.freshName(name)) {
      if (ast.type === 'text') return graph.node('Identity', [valueFor(ast)], output);
      if (ast.type === 'boolean') {
        const { yes, maybe } = truthFor(ast);
        const value = node.toDouble(yes);
        const known = yes === maybe ? value : apply('Where', [apply('Xor', [yes, maybe]), nan(), value]);
        return graph.node('Cast', [known], output, { to: { int: 1 } });
      }
      const value = valueFor(ast);
      const rounded =
        largestOf(ast, largest) <= LARGEST_FLOAT32 ? value : node.finite(value, LARGEST_FLOAT32);
      return graph.node('Cast', [rounded], output, { to: { int: 1 } });
    },
  };
}

/** ONNX Runtime drops `+ c` and `* c` from a graph where c, as float32, is 0 or 1, also when c itself is not. */
function isTakenForNoop(expression: Expression): boolean {
  if (expression.kind !== 'number') return false;
  const rounded = Math.fround(expression.value);
  return (rounded === 0 || rounded === 1) && rounded !== expression.value;
}
