import { ApiError } from '../../platform/index.ts';
import { type Expression, type FeatureType, type SourceType, TYPE_OF_SOURCE } from './expression.ts';
import { parseExpression } from './parse-expression.ts';

/** A derived column: an expression over raw columns and earlier features. */
export interface Feature {
  name: string;
  expression: string;
  type: Exclude<FeatureType, 'datetime'>;
  /** The raw columns that it needs, in the order in which it names them. */
  columns: string[];
  ast: Expression;
}

const MAX_FEATURES = 500;
const MAX_NAME = 200;
/** Each operation is a query inside a query. */
const MAX_DEPTH = 200;

/**
 * Reads the features of a project: expressions by name, each over the columns of the schema and the features before it.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE that names the feature, what is wrong, where, and what would be right
 */
export function parseFeatures(
  features: Readonly<Record<string, string>>,
  schema: readonly { name: string; type: SourceType }[],
): Feature[] {
  const entries = Object.entries(features);
  if (entries.length > MAX_FEATURES)
    throw refused(`${entries.length} features are more than the ${MAX_FEATURES} that are taken`);
  const known = new Map<string, Expression>();
  const columns = new Map(
    schema.map(({ name, type }): [string, Expression] => [
      name,
      { kind: 'column', type: TYPE_OF_SOURCE[type], name, source: type },
    ]),
  );
  return entries.map(([name, expression]) => {
    checkName(name, schema);
    const subject = `Feature ${JSON.stringify(name)}`;
    if (typeof expression !== 'string')
      throw refused(
        `${subject} is ${JSON.stringify(expression)}; it is an expression in quotes, such as 'hour(date)'`,
      );
    const ast = parseExpression(expression, { columns, features: known }, subject);
    const { type } = ast;
    if (type === 'datetime')
      throw refused(`${subject} gives a date; take a part of it, such as hour(${expression.slice(0, 50)})`);
    const { names, depth } = look(ast);
    if (depth > MAX_DEPTH)
      throw refused(
        `${subject} is ${depth} operations deep with the features it uses; at most ${MAX_DEPTH} are taken`,
      );
    if (names.length === 0) throw refused(`${subject} uses no column: ${JSON.stringify(expression)}`);
    known.set(name, ast);
    return { name, expression, type, columns: names, ast };
  });
}

function checkName(name: string, schema: readonly { name: string }[]): void {
  const quoted = JSON.stringify(name);
  if (name.trim() === '' || name.length > MAX_NAME)
    throw refused(
      `A feature's name has 1 to ${MAX_NAME} characters, and ${quoted.slice(0, 60)} has ${name.length}`,
    );
  if (/\p{Cc}/u.test(name) || name === '__proto__' || /^(@|__)/.test(name))
    throw refused(
      `A feature cannot be called ${quoted}: names that begin with @ or __ are the platform's own`,
    );
  if (schema.some((column) => column.name.toLowerCase() === name.toLowerCase()))
    throw refused(`A feature cannot be called ${quoted}: a column of the data has that name`);
}

/** The columns that an expression names, and how many operations stand inside one another. */
function look(ast: Expression): { names: string[]; depth: number } {
  const names = new Set<string>();
  const depths = new Map<Expression, number>();
  const visit = (expression: Expression): number => {
    const known = depths.get(expression);
    if (known !== undefined) return known;
    if (expression.kind === 'column') names.add(expression.name);
    const depth = expression.kind === 'call' ? 1 + Math.max(...expression.operands.map(visit)) : 0;
    depths.set(expression, depth);
    return depth;
  };
  const depth = visit(ast);
  return { names: [...names], depth };
}

const refused = (message: string): ApiError => new ApiError('INVALID_PARAMETER_VALUE', message);
