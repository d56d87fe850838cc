import { DAY_SHAPES, type DayShape } from './simulations/draw-evaluation.ts';
import { measurePromotions } from './simulations/measure-promotions.ts';

// How often the gate promotes a challenger that is worse by exactly the margin: log loss, days as clusters, symmetric and
// skewed ones, at 5 % and at the alpha of the first look, with few days at the second one's too. Prints one JSON line.
// `node benchmarks/wrong-promotions.ts 10` takes a tenth of the rounds.
const part = Number(process.argv[2] ?? 1);
const rounds = Math.ceil(2000 / part);
const started = performance.now();

const results = (Object.keys(DAY_SHAPES) as DayShape[]).flatMap((shape) =>
  [
    ...measurePromotions({ shape, days: [7, 20], looks: [1, 2], alphas: [0.05], rounds, seed: 1 }),
    ...measurePromotions({ shape, days: [50, 100], looks: [1], alphas: [0.05], rounds, seed: 1 }),
  ].map(({ days, alpha, method, promoted }) => ({
    days_differ: shape,
    clusters: days,
    method,
    alpha: Number(alpha.toFixed(4)),
    promoted_percent: Number((100 * promoted).toFixed(2)),
    // Three standard errors of the simulation: 6.5 % for 5 %.
    met: promoted <= alpha + 3 * Math.sqrt((alpha * (1 - alpha)) / rounds),
    ...(shape.startsWith('very') ? { is_limit: true } : {}),
  })),
);
process.stdout.write(
  `${JSON.stringify({
    benchmark: 'wrong-promotions',
    rounds,
    results,
    met: results.every(({ met, is_limit }) => met || is_limit),
    met_with_very_skewed: results.every(({ met }) => met),
    seconds: Number(((performance.now() - started) / 1000).toFixed(1)),
  })}\n`,
);
