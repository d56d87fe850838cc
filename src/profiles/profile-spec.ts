import { z } from 'zod';
import { ApiError } from '../platform/index.ts';

/** The column of a model's own answer: P(second class), the highest probability, or the value of a regression. */
export const SCORE_COLUMN = '@score';
/** The column of a classifier's predicted class. */
export const CLASS_COLUMN = '@class';

export const MAX_BINS = 64;
export const MAX_CATEGORIES = 500;

const numericColumnSchema = z
  .strictObject({
    name: z.string().min(1),
    kind: z.literal('numeric'),
    min: z.number().describe('Smallest value of the reference: below it is "under"'),
    max: z.number().describe('Largest value of the reference: above it is "over"'),
    edges: z
      .array(z.number())
      .max(MAX_BINS - 1)
      .describe('Inner edges, ascending; bin i holds edges[i-1] <= value < edges[i]'),
  })
  .refine(({ min, max }) => min <= max, 'min is above max')
  .refine(({ edges }) => edges.every((edge, i) => i === 0 || edge > edges[i - 1]!), 'edges do not ascend');

const categoricalColumnSchema = z
  .strictObject({
    name: z.string().min(1),
    kind: z.literal('categorical'),
    categories: z.array(z.string()).max(MAX_CATEGORIES),
    hasOther: z
      .boolean()
      .describe(
        'The reference has more values than the dictionary: what it does not hold is "other", never "unseen"',
      ),
  })
  .refine(({ categories }) => new Set(categories).size === categories.length, 'a category occurs twice');

export const profileSpecSchema = z
  .strictObject({ columns: z.array(z.union([numericColumnSchema, categoricalColumnSchema])) })
  .refine(
    ({ columns }) => new Set(columns.map(({ name }) => name)).size === columns.length,
    'a column occurs twice',
  );

export type NumericColumn = Readonly<
  Omit<z.infer<typeof numericColumnSchema>, 'edges'> & { edges: readonly number[] }
>;
export type CategoricalColumn = Readonly<
  Omit<z.infer<typeof categoricalColumnSchema>, 'categories'> & { categories: readonly string[] }
>;
export type ProfileColumn = NumericColumn | CategoricalColumn;

/** Which columns are counted, and by which bins: the model's features, then its score and class. */
export interface ProfileSpec {
  readonly columns: readonly ProfileColumn[];
}

export function encodeSpec(spec: ProfileSpec): string {
  return JSON.stringify(spec);
}

/** Reads what `encodeSpec` wrote; INVALID_PARAMETER_VALUE names the place that is wrong. */
export function decodeSpec(text: string): ProfileSpec {
  return parseJson(text, profileSpecSchema, 'profile spec');
}

/** Parses JSON by a schema; `what` names the text in the error. */
export function parseJson<T extends z.ZodType>(text: string, schema: T, what: string): z.infer<T> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ApiError('INVALID_PARAMETER_VALUE', `The ${what} is no JSON: ${(error as Error).message}`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ApiError('INVALID_PARAMETER_VALUE', `The ${what} is not valid: ${z.prettifyError(parsed.error)}`);
}

const fingerprints = new WeakMap<ProfileSpec, number>();

/** 32 bits that tell specs apart, so that counts are never read by another spec's bins. */
export function fingerprintOf(spec: ProfileSpec): number {
  let fingerprint = fingerprints.get(spec);
  if (fingerprint === undefined) {
    fingerprint = hashText(encodeSpec(spec));
    fingerprints.set(spec, fingerprint);
  }
  return fingerprint;
}

/** FNV-1a over UTF-16 code units, then mixed as in MurmurHash3, so that the low bits are good; unsigned 32 bits. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
