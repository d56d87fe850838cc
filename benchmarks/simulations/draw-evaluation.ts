import { createRandom } from '../../src/platform/index.ts';
import { normalQuantile, type PairedScores } from '../../src/statistics/index.ts';

/**
 * How the days of an evaluation set differ: by a normal effect, or by a skewed one that makes a few days much worse, or
 * much better, for the challenger than the others (gamma with shape 4, skewness 1; exponential, skewness 2).
 */
export const DAY_SHAPES = {
  symmetric: (normal) => normal(),
  'skewed, rare bad days': (_, exponential) => (sumOf4(exponential) - 4) / 2,
  'skewed, rare good days': (_, exponential) => (4 - sumOf4(exponential)) / 2,
  'very skewed, rare bad days': (_, exponential) => exponential() - 1,
  'very skewed, rare good days': (_, exponential) => 1 - exponential(),
} as const satisfies Record<string, (normal: () => number, exponential: () => number) => number>;
export type DayShape = keyof typeof DAY_SHAPES;

function sumOf4(exponential: () => number): number {
  return exponential() + exponential() + exponential() + exponential();
}

/** Sd of a day's effect on the true log odds: between days the loss differs about twice as much as rows alone explain. */
const DAY_SD = 0.4;
/** What the models add to the true log odds of an ordinary day; the challenger leans the other way, and further. */
const CHAMPION_LEAN = 0.15;
const CHALLENGER_LEAN = -0.25;
const ROWS_PER_DAY = 100;
const ROUNDS_FOR_TRUTH = 400_000;
const NODES = Array.from({ length: 64 }, (_, i) => normalQuantile((i + 0.5) / 64));

/** Evaluation sets of two models whose true difference in log loss is known. */
export function createEvaluations(shape: DayShape, seed: number) {
  const random = createRandom(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const exponential = () => -Math.log(1 - random());
  const drawDay = () => DAY_SD * DAY_SHAPES[shape](normal, exponential);

  return {
    /** Champion's log loss less the challenger's, over all days that can be; negative, for the challenger is worse. */
    measureTruth(): number {
      let sum = 0;
      for (let round = 0; round < ROUNDS_FOR_TRUTH; round++) {
        const day = drawDay();
        const node = NODES[round % NODES.length]!;
        const truth = probabilityOf(node + day);
        sum += expectedLoss(truth, node + CHAMPION_LEAN) - expectedLoss(truth, node + CHALLENGER_LEAN);
      }
      return sum / ROUNDS_FOR_TRUTH;
    },

    draw(days: number): PairedScores {
      const rows = days * ROWS_PER_DAY;
      const labels = new Int32Array(rows);
      const champion = new Float32Array(rows * 2);
      const challenger = new Float32Array(rows * 2);
      const clusters = new Int32Array(rows);
      for (let day = 0; day < days; day++) {
        const effect = drawDay();
        for (let i = 0; i < ROWS_PER_DAY; i++) {
          const row = day * ROWS_PER_DAY + i;
          const node = NODES[Math.floor(random() * NODES.length)]!;
          labels[row] = random() < probabilityOf(node + effect) ? 1 : 0;
          champion[row * 2 + 1] = probabilityOf(node + CHAMPION_LEAN);
          challenger[row * 2 + 1] = probabilityOf(node + CHALLENGER_LEAN);
          champion[row * 2] = 1 - champion[row * 2 + 1]!;
          challenger[row * 2] = 1 - challenger[row * 2 + 1]!;
          clusters[row] = day;
        }
      }
      return { task: 'binary', classes: 2, labels, champion, challenger, clusters };
    },
  };
}

function probabilityOf(logOdds: number): number {
  return 1 / (1 + Math.exp(-logOdds));
}

function expectedLoss(truth: number, logOdds: number): number {
  const p = probabilityOf(logOdds);
  return -truth * Math.log(p) - (1 - truth) * Math.log(1 - p);
}
