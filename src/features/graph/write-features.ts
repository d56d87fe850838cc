import {
  type GraphInput,
  MISSING_DATETIME,
  MISSING_TEXT,
  ML_DOMAIN,
  type OnnxGraphBuilder,
} from '../../models/index.ts';
import { type Call, type Expression, LARGEST_FLOAT32, largestOf } from '../language/expression.ts';
import type { Feature } from '../language/parse-features.ts';
import { createNodeWriter, type Truth } from './node-writer.ts';
import { type CalendarWriter, createCalendarWriter } from './write-calendar.ts';
import { writeNumber } from './write-number.ts';
import { writeTruth } from './write-truth.ts';
import type { Writing } from './writing.ts';

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

  const fitsIn = (expression: Expression, limit = Number.MAX_VALUE) =>
    largestOf(expression, largest) <= limit;

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
            : writeNumber(expression, writing);
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
          return writeTruth(expression, writing);
        case 'number':
        case 'text':
        case 'datetime':
          throw new Error(`A ${expression.kind} is no truth value`);
      }
    });
  }

  const writing: Writing = { graph, node, valueFor, truthFor, isMissing, calendarOf, codesOf, fitsIn };

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
      const rounded = fitsIn(ast, LARGEST_FLOAT32) ? value : node.finite(value, LARGEST_FLOAT32);
      return graph.node('Cast', [rounded], output, { to: { int: 1 } });
    },
  };
}
