/** What an expression can give. A datetime is an answer in between only: a feature itself is one of the others. */
export type FeatureType = 'number' | 'text' | 'boolean' | 'datetime';

/** What gives a number. */
export type NumberOperation =
  | 'add'
  | 'subtract'
  | 'multiply'
  | 'divide'
  | 'modulo'
  | 'negate'
  | 'abs'
  | 'sqrt'
  | 'exp'
  | 'log'
  | 'log1p'
  | 'floor'
  | 'ceil'
  | 'round'
  | 'min'
  | 'max'
  | 'days_between'
  | CalendarOperation;

/** A part of a date. */
export type CalendarOperation =
  | 'hour'
  | 'minute_of_day'
  | 'weekday'
  | 'day_of_month'
  | 'day_of_year'
  | 'month';

/** What gives true or false. */
export type TruthOperation = 'equal' | 'less' | 'less_equal' | 'among' | 'not' | 'and' | 'or' | 'is_missing';

/** What gives one of its operands, of any type. */
export type ChoiceOperation = 'if' | 'coalesce';

/** What is done to values; each is written once as SQL and once as nodes of a graph. */
export type Operation = NumberOperation | TruthOperation | ChoiceOperation;

/**
 * A typed expression. Nodes may be shared: a feature that two others use is one object, and is computed once.
 *
 * Numbers are float64, finite or missing: a result that is not a finite number is missing. Booleans are true, false or
 * missing (Kleene's logic). Dates are whole milliseconds in UTC.
 */
export type Expression =
  | { kind: 'number'; type: 'number'; value: number }
  | { kind: 'text'; type: 'text'; value: string }
  | { kind: 'boolean'; type: 'boolean'; value: boolean }
  | { kind: 'datetime'; type: 'datetime'; value: number }
  | { kind: 'missing'; type: FeatureType }
  | { kind: 'column'; type: FeatureType; name: string; source: SourceType }
  | { kind: 'call'; type: FeatureType; operation: Operation; operands: Expression[]; texts?: string[] };

/** The type of a raw column, as datasets and signatures name it. */
export type SourceType = 'double' | 'long' | 'boolean' | 'string' | 'datetime';

export const TYPE_OF_SOURCE: Record<SourceType, FeatureType> = {
  double: 'number',
  long: 'number',
  boolean: 'boolean',
  string: 'text',
  datetime: 'datetime',
};

export type Call = Extract<Expression, { kind: 'call' }>;

/** The largest number that float32 holds; a feature beyond it is missing. */
export const LARGEST_FLOAT32 = 3.4028234663852886e38;
/** No dates are farther apart than that. */
const MOST_DAYS = 2e14;

/**
 * The largest absolute value that a number can have, infinity where it is not known to be finite: what is surely finite
 * needs no check.
 */
export function largestOf(expression: Expression, known = new Map<Expression, number>()): number {
  const found = known.get(expression);
  if (found !== undefined) return found;
  const largest = computeLargest(expression, known);
  known.set(expression, largest);
  return largest;
}

function computeLargest(expression: Expression, known: Map<Expression, number>): number {
  if (expression.kind === 'number') return Math.abs(expression.value);
  if (expression.kind === 'missing') return 0;
  if (expression.kind !== 'call') return Number.MAX_VALUE;
  const of = (index: number) => largestOf(expression.operands[index]!, known);
  const operation = expression.operation as NumberOperation | ChoiceOperation;
  switch (operation) {
    case 'add':
    case 'subtract':
      return of(0) + of(1);
    case 'multiply':
      return of(0) * of(1);
    case 'divide':
      return Number.POSITIVE_INFINITY;
    case 'modulo':
      return of(1);
    case 'negate':
    case 'abs':
      return of(0);
    case 'sqrt':
      return Math.max(1, of(0));
    case 'exp':
      return LARGEST_FLOAT32;
    case 'log':
    case 'log1p':
      return 1000;
    case 'floor':
    case 'ceil':
    case 'round':
      return of(0) + 1;
    case 'min':
    case 'max':
    case 'coalesce':
      return Math.max(of(0), of(1));
    case 'if':
      return Math.max(of(1), of(2));
    case 'days_between':
      return MOST_DAYS;
    case 'hour':
    case 'minute_of_day':
    case 'weekday':
    case 'day_of_month':
    case 'day_of_year':
    case 'month':
      return 1440;
  }
}
