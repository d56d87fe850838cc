import { expect, it } from 'vitest';
import { type ZodType, z } from 'zod';
import { type Issue, plainIssue } from './plain-issue.ts';

const wordsOf = (schema: ZodType, value: unknown): string =>
  plainIssue(schema.safeParse(value).error!.issues[0] as unknown as Issue);

it.each<[ZodType, unknown, string]>([
  [z.string(), 5, 'it must be text'],
  [z.number(), Number.NaN, 'it must be a number'],
  [z.int(), 1.5, 'it must be a whole number'],
  [z.boolean(), 'yes', 'it must be true or false'],
  [z.object({}), [], 'it must be an object'],
  [z.array(z.int()), {}, 'it must be a list'],
  [z.record(z.string(), z.int()), 3, 'it must be an object'],
  [z.enum(['predictions', 'feedback']), 'x', 'it must be one of "predictions", "feedback"'],
  [z.literal('a'), 'x', 'it must be "a"'],
  [z.string().min(1), '', 'it must not be empty'],
  [z.string().min(3), 'ab', 'it must have at least 3 characters'],
  [z.string().max(3), 'abcd', 'it must have at most 3 characters'],
  [z.int().min(1), 0, 'it must be at least 1'],
  [z.number().gt(0), 0, 'it must be more than 0'],
  [z.int().max(100), 101, 'it must be at most 100'],
  [z.array(z.int()).min(1), [], 'it must have at least 1 entry'],
  [z.array(z.int()).max(2), [1, 2, 3], 'it must have at most 2 entries'],
  [z.number().multipleOf(5), 3, 'it must be a multiple of 5'],
  [z.string().regex(/^a+$/), 'b', 'it must look like /^a+$/'],
])('says what would be right: %#', (schema, value, words) => {
  expect(wordsOf(schema, value)).toBe(words);
});

it("keeps a schema's own words", () => {
  expect(wordsOf(z.string().regex(/^a+$/, 'it must be one or more a'), 'b')).toBe('it must be one or more a');
});
