import { judgePaired, lookAlpha } from '../../src/statistics/index.ts';
import { createEvaluations, type DayShape } from './draw-evaluation.ts';

export interface PromotionResult {
  days: number;
  alpha: number;
  method: 't' | 'bca';
  /** Share of the rounds in which the verdict was better or non-inferior. */
  promoted: number;
}

/** Judges evaluation sets by the product's own gate, with the margin at what the challenger is truly worse. */
export function measurePromotions({
  shape,
  days,
  looks,
  alphas = [],
  rounds,
  seed,
}: {
  shape: DayShape;
  days: number[];
  /** Looks at one evaluation set, each at its own share of 5 %. */
  looks: number[];
  /** Further alphas. */
  alphas?: number[];
  rounds: number;
  seed: number;
}): PromotionResult[] {
  const delta = -createEvaluations(shape, seed).measureTruth();
  const all = [...alphas, ...looks.map((k) => lookAlpha(0.05, k))];
  return days.flatMap((count) => {
    const evaluations = createEvaluations(shape, seed * 1009 + count);
    const results = all.map((alpha): PromotionResult => ({ days: count, alpha, method: 't', promoted: 0 }));
    for (let round = 0; round < rounds; round++) {
      const scores = evaluations.draw(count);
      for (const result of results) {
        const { alpha } = result;
        const judged = judgePaired(scores, { metric: 'log_loss', alpha, delta, seed: round });
        result.method = judged.method;
        if (judged.verdict === 'better' || judged.verdict === 'non-inferior') result.promoted += 1 / rounds;
      }
    }
    return results;
  });
}
