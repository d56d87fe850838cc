import { expect, it } from 'vitest';
import { parseKey } from './artifact-key.ts';

it('refuses a long key before it decodes it', () => {
  expect(() => parseKey(`x/%${'25'.repeat(100_000)}`)).toThrow('longer than 1024 bytes');
});

it('refuses a key that is encoded over and over', () => {
  expect(parseKey('a/50%25')).toEqual(['a', '50%25']);
  expect(() => parseKey(`x/%${'25'.repeat(20)}2e`)).toThrow('percent-encoded more than 8 times');
});
