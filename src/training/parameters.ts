import { z } from 'zod';
import { ApiError, nearestName } from '../platform/index.ts';

export type Algorithm = 'gradient-boosting' | 'linear';

export type ParameterValue = string | number | boolean;

const whole = (min: number, max: number) => {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.coerce.number({ error }).int({ error }).min(min, { error }).max(max, { error });
};
const decimal = (min: number, max: number) => {
  const error = `must be a number from ${min} to ${max}`;
  return z.coerce.number({ error }).min(min, { error }).max(max, { error });
};
const classWeight = z
  .enum(['none', 'balanced'], { error: "must be 'none' or 'balanced'" })
  .default('none')
  .describe(
    'balanced: each class weighs the same in sum, rows / (classes * rows of the class); classification only',
  );

const boostingParameters = z.strictObject({
  trees: whole(1, 10_000)
    .default(100)
    .describe('trees for each output, at most; three and more classes have one output each'),
  learning_rate: decimal(1e-4, 1).default(0.1).describe('factor on what each tree adds'),
  max_depth: whole(0, 64).default(6).describe('splits from the root to a leaf, at most; 0: no limit'),
  max_leaves: whole(2, 4096).default(31).describe('leaves of a tree, at most'),
  min_leaf: whole(1, 1_000_000).default(20).describe('training rows in a leaf, at least'),
  l2: decimal(0, 1e6).default(0).describe('penalty on the values of the leaves'),
  subsample: decimal(0.01, 1).default(1).describe('share of the rows that each tree sees'),
  column_sample: decimal(0.01, 1).default(1).describe('share of the columns that each tree sees'),
  bins: whole(2, 255).default(255).describe('bins for the values of a numeric column, at most'),
  early_stopping_rounds: whole(0, 10_000)
    .default(0)
    .describe(
      'stop when the validation rows have not improved for so many trees, and keep the best; 0: never',
    ),
  validation_share: decimal(0.01, 0.5)
    .default(0.1)
    .describe('share of the training rows kept aside for early stopping'),
  class_weight: classWeight,
});

const linearParameters = z.strictObject({
  l2: decimal(0, 1e9)
    .default(1)
    .describe('penalty on the squared coefficients of standardised columns; 0: none'),
  max_iterations: whole(1, 100_000).default(500).describe('steps of the solver, at most (classification)'),
  tolerance: decimal(1e-12, 1e-1)
    .default(1e-6)
    .describe('stop when no gradient component of the mean loss is larger'),
  impute: z
    .enum(['mean', 'median'], { error: "must be 'mean' or 'median'" })
    .default('mean')
    .describe('what stands for a missing number, besides a flag column'),
  class_weight: classWeight,
});

export type BoostingParameters = z.infer<typeof boostingParameters>;
export type LinearParameters = z.infer<typeof linearParameters>;

const tables = { 'gradient-boosting': boostingParameters, linear: linearParameters };

/** What the command line shows of a parameter. */
export interface ParameterDoc {
  name: string;
  default: ParameterValue;
  description: string;
}

/** The name that shares a word with the wrong one, or is spelt nearly like it: `depth` means `max_depth`. */
function nearestParameter(name: string, names: readonly string[]): string | undefined {
  const words = new Set(name.toLowerCase().split(/[_-]/));
  const alike = names.filter((each) => each.split('_').some((word) => words.has(word)));
  return nearestName(name, names) ?? (alike.length === 1 ? alike[0] : undefined);
}

/** The parameters of an algorithm, for help texts and docs. */
export function describeParameters(algorithm: Algorithm): ParameterDoc[] {
  return Object.entries(tables[algorithm].shape).map(([name, schema]) => ({
    name,
    default: schema.parse(undefined),
    description: schema.description ?? '',
  }));
}

/**
 * Checks parameters and fills in the defaults; texts such as `--set` gives are converted.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming the parameter, its value and what would be right
 */
export function parseParameters(
  algorithm: 'gradient-boosting',
  given: Record<string, ParameterValue>,
): BoostingParameters;
export function parseParameters(algorithm: 'linear', given: Record<string, ParameterValue>): LinearParameters;
export function parseParameters(
  algorithm: Algorithm,
  given: Record<string, ParameterValue>,
): BoostingParameters | LinearParameters;
export function parseParameters(algorithm: Algorithm, given: Record<string, ParameterValue>) {
  const names = Object.keys(tables[algorithm].shape);
  for (const [name, value] of Object.entries(given)) {
    if (!names.includes(name)) {
      const nearest = nearestParameter(name, names);
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        `${algorithm} has no parameter '${name}'${nearest ? `; did you mean '${nearest}'?` : '.'} It has ${names.join(', ')}`,
      );
    }
    if (value === '') throw new ApiError('INVALID_PARAMETER_VALUE', `Parameter '${name}' has no value`);
  }
  const parsed = tables[algorithm].safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const name = String(issue.path[0]);
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    `Parameter '${name}' of ${algorithm} is ${JSON.stringify(given[name])}: it ${issue.message}`,
  );
}
