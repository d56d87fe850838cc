import type { Judge, Judgement } from '../../src/delivery/index.ts';

/**
 * Judges the same question about the same files once: the tests of what follows from a judgement ask the same few again and
 * again. Files without a digest are judged anew.
 */
export function rememberJudgements(judge: Judge): Judge {
  const known = new Map<string, Promise<Judgement>>();
  return async (input, options) => {
    const { challengerSha256, championPath, championSha256, heldOut, question } = input;
    if (challengerSha256 === undefined || (championPath !== undefined && championSha256 === undefined))
      return judge(input, options);
    const key = JSON.stringify([challengerSha256, championSha256, heldOut?.sha256, question]);
    const judged = known.get(key) ?? judge(input, options);
    known.set(key, judged);
    try {
      // A copy, so that nobody changes what the next one gets.
      return structuredClone(await judged);
    } catch (error) {
      known.delete(key);
      throw error;
    }
  };
}
