import { type Call, type Expression, LARGEST_FLOAT32, largestOf } from './language/expression.ts';
import type { Feature } from './language/parse-features.ts';

/**
 * SQL of a relation for DuckDB that has all columns of another and the features beside them: numbers as DOUBLE, texts as
 * VARCHAR, booleans as BOOLEAN, NULL where missing, rows in their order. The graph that `createFeatureWriter` writes
 * gives the same answers. An expression that SQL has to say twice becomes a column of an inner query: said twice at
 * every level it would grow without bounds.
 */
export function deriveRelation(features: readonly Feature[], relation: string): string {
  if (features.length === 0) return relation;
  const { refer, layers } = createSqlWriter();
  const outer = features.map(({ name, ast }) => `${finalSql(ast, refer(ast))} AS ${quoteIdentifier(name)}`);
  const inner = layers.reduce((from, layer) => `(SELECT *, ${layer.join(', ')} FROM ${from})`, relation);
  return `(SELECT *, ${outer.join(', ')} FROM ${inner})`;
}

function finalSql(ast: Expression, value: string): string {
  if (ast.type !== 'number' || largestOf(ast) <= LARGEST_FLOAT32) return value;
  return `CASE WHEN abs(${value}) <= ${number(LARGEST_FLOAT32)} THEN ${value} END`;
}

/** Names of the inner queries' columns begin with it. */
const STEP = 'tidemill:step';

function createSqlWriter() {
  /** Columns of inner queries, from the inside out. */
  const layers: string[][] = [];
  const largest = new Map<Expression, number>();
  const steps = new Map<Expression, { name: string; layer: number }>();
  /** The outermost layer among what is being written refers to. */
  let outermost = -1;

  /** A constant, or the name of an inner query's column, so that it may be said more than once. */
  function refer(expression: Expression): string {
    if (expression.kind !== 'call' && expression.kind !== 'column') return constantSql(expression);
    const around = outermost;
    let step = steps.get(expression);
    if (!step) {
      outermost = -1;
      const sql = expression.kind === 'column' ? columnSql(expression) : compose(expression);
      step = { name: quoteIdentifier(`${STEP} ${steps.size}`), layer: outermost + 1 };
      steps.set(expression, step);
      layers[step.layer] ??= [];
      layers[step.layer]!.push(`${sql} AS ${step.name}`);
    }
    outermost = Math.max(around, step.layer);
    return step.name;
  }

  function compose(expression: Call): string {
    const { operation, operands } = expression;
    const of = operands.map(refer);
    const finite = (sql: string) =>
      largestOf(expression, largest) <= Number.MAX_VALUE ? sql : `CASE WHEN isfinite(${sql}) THEN ${sql} END`;
    switch (operation) {
      case 'add':
        return finite(`(${of[0]} + ${of[1]})`);
      case 'subtract':
        return finite(`(${of[0]} - ${of[1]})`);
      case 'multiply':
        return finite(`(${of[0]} * ${of[1]})`);
      case 'divide':
        return finite(`(${of[0]} / ${of[1]})`);
      case 'modulo': {
        const [a, b] = of;
        const rest = `(${a} % ${b})`;
        return `CASE WHEN ${b} = 0 THEN NULL WHEN ${rest} != 0 AND (${rest} < 0) != (${b} < 0) THEN ${rest} + ${b} ELSE ${rest} END`;
      }
      case 'negate':
        return `(-${of[0]})`;
      case 'abs':
      case 'floor':
      case 'ceil':
        return `${operation}(${of[0]})`;
      case 'round': {
        const x = of[0];
        const whole = `floor(abs(${x}))`;
        return `CASE WHEN abs(${x}) - ${whole} >= 0.5 THEN ${whole} + 1 ELSE ${whole} END * sign(${x})`;
      }
      case 'sqrt':
        return `CASE WHEN ${of[0]} >= 0 THEN sqrt(${of[0]}) END`;
      case 'exp': {
        const power = `exp(${of[0]})`;
        return `CASE WHEN ${power} <= ${number(LARGEST_FLOAT32)} THEN ${toSingle(power)} END`;
      }
      case 'log':
        return `CASE WHEN ${of[0]} > 0 THEN ${toSingle(`ln(${of[0]})`)} END`;
      case 'log1p':
        return `CASE WHEN 1 + ${of[0]} > 0 THEN ${toSingle(`ln(1 + ${of[0]})`)} END`;
      case 'min':
      case 'max': {
        const [a, b] = of;
        const sign = operation === 'min' ? '<' : '>';
        return `CASE WHEN ${a} IS NULL OR ${b} IS NULL THEN NULL WHEN ${a} ${sign} ${b} THEN ${a} ELSE ${b} END`;
      }
      case 'days_between':
        return `(CAST(epoch_ms(${of[1]}) - epoch_ms(${of[0]}) AS DOUBLE) / 86400000)`;
      case 'hour':
        return `CAST(hour(${of[0]}) AS DOUBLE)`;
      case 'minute_of_day':
        return `CAST(hour(${of[0]}) * 60 + minute(${of[0]}) AS DOUBLE)`;
      case 'weekday':
        return `CAST(isodow(${of[0]}) - 1 AS DOUBLE)`;
      case 'day_of_month':
        return `CAST(day(${of[0]}) AS DOUBLE)`;
      case 'day_of_year':
        return `CAST(dayofyear(${of[0]}) AS DOUBLE)`;
      case 'month':
        return `CAST(month(${of[0]}) AS DOUBLE)`;
      case 'equal':
        return `(${of[0]} = ${of[1]})`;
      case 'less':
        return `(${of[0]} < ${of[1]})`;
      case 'less_equal':
        return `(${of[0]} <= ${of[1]})`;
      case 'among':
        return `(${of[0]} IN (${expression.texts!.map(quoteText).join(', ')}))`;
      case 'not':
        return `(NOT ${of[0]})`;
      case 'and':
        return `(${of[0]} AND ${of[1]})`;
      case 'or':
        return `(${of[0]} OR ${of[1]})`;
      case 'is_missing':
        return `(${of[0]} IS NULL)`;
      case 'if':
        return `CASE WHEN ${of[0]} IS NULL THEN NULL WHEN ${of[0]} THEN ${of[1]} ELSE ${of[2]} END`;
      case 'coalesce':
        return `coalesce(${of[0]}, ${of[1]})`;
    }
  }

  return { refer, layers };
}

function constantSql(expression: Exclude<Expression, { kind: 'call' | 'column' }>): string {
  switch (expression.kind) {
    case 'number':
      return number(expression.value);
    case 'text':
      return quoteText(expression.value);
    case 'boolean':
      return String(expression.value);
    case 'datetime':
      return `epoch_ms(CAST(${expression.value} AS BIGINT))`;
    case 'missing':
      return `CAST(NULL AS ${SQL_TYPES[expression.type]})`;
  }
}

const SQL_TYPES = { number: 'DOUBLE', text: 'VARCHAR', boolean: 'BOOLEAN', datetime: 'TIMESTAMP' };

/** A raw column as the language knows it; a graph is fed the same. */
function columnSql({ name, source }: Extract<Expression, { kind: 'column' }>): string {
  const column = quoteIdentifier(name);
  switch (source) {
    case 'double':
      return `CASE WHEN isfinite(CAST(${column} AS DOUBLE)) THEN CAST(${column} AS DOUBLE) END`;
    case 'long':
      return `CAST(${column} AS DOUBLE)`;
    case 'datetime':
      return `date_trunc('milliseconds', ${column})`;
    case 'boolean':
    case 'string':
      return column;
  }
}

/** By way of text, so that no digit is lost. */
const number = (value: number): string => `CAST('${value}' AS DOUBLE)`;

const toSingle = (sql: string): string => `CAST(CAST(${sql} AS FLOAT) AS DOUBLE)`;

const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const quoteText = (text: string): string => `'${text.replaceAll("'", "''")}'`;
