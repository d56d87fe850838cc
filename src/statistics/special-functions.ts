const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];
const SMALLEST = 1e-300;
const PRECISION = 1e-16;
const MAX_STEPS = 100_000;

/** ln Γ(x) for x > 0: Lanczos (1964) with g = 7 and nine terms, about 15 digits. */
export function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * x))) - logGamma(1 - x);
  let sum = LANCZOS[0]!;
  for (let i = 1; i < LANCZOS.length; i++) sum += LANCZOS[i]! / (x - 1 + i);
  const t = x + 6.5;
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}

/**
 * The regularised incomplete gamma functions P(a, x) and Q(a, x) = 1 − P, each without cancellation.
 *
 * Series below a + 1, Lentz's continued fraction above: Press et al., Numerical Recipes, section 6.2.
 */
export function regularisedGamma(a: number, x: number): { lower: number; upper: number } {
  if (!(x > 0)) return { lower: 0, upper: 1 };
  if (x === Number.POSITIVE_INFINITY) return { lower: 1, upper: 0 };
  const scale = Math.exp(a * Math.log(x) - x - logGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = 1; n < MAX_STEPS; n++) {
      term *= x / (a + n);
      sum += term;
      if (term < sum * PRECISION) break;
    }
    const lower = Math.min(1, scale * sum);
    return { lower, upper: 1 - lower };
  }
  let b = x + 1 - a;
  let c = 1 / SMALLEST;
  let d = 1 / b;
  let fraction = d;
  for (let n = 1; n < MAX_STEPS; n++) {
    const step = n * (a - n);
    b += 2;
    d = 1 / awayFromZero(step * d + b);
    c = awayFromZero(b + step / c);
    fraction *= d * c;
    if (Math.abs(d * c - 1) < PRECISION * 10) break;
  }
  const upper = Math.min(1, scale * fraction);
  return { lower: 1 - upper, upper };
}

/**
 * The regularised incomplete beta function I_x(a, b).
 *
 * Lentz's continued fraction: Press et al., Numerical Recipes, section 6.4.
 *
 * @param y 1 − x, for callers that know it with more digits than the subtraction leaves
 */
export function regularisedBeta(a: number, b: number, x: number, y: number = 1 - x): number {
  if (!(x > 0)) return 0;
  if (!(y > 0)) return 1;
  const scale = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(y));
  return x < (a + 1) / (a + b + 2)
    ? (scale * betaFraction(a, b, x)) / a
    : 1 - (scale * betaFraction(b, a, y)) / b;
}

function betaFraction(a: number, b: number, x: number): number {
  let c = 1;
  let d = 1 / awayFromZero(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let n = 1; n < MAX_STEPS; n++) {
    const even = (n * (b - n) * x) / ((a - 1 + 2 * n) * (a + 2 * n));
    d = 1 / awayFromZero(1 + even * d);
    c = awayFromZero(1 + even / c);
    fraction *= d * c;
    const odd = (-(a + n) * (a + b + n) * x) / ((a + 2 * n) * (a + 1 + 2 * n));
    d = 1 / awayFromZero(1 + odd * d);
    c = awayFromZero(1 + odd / c);
    fraction *= d * c;
    if (Math.abs(d * c - 1) < PRECISION * 10) break;
  }
  return fraction;
}

function awayFromZero(value: number): number {
  return Math.abs(value) < SMALLEST ? SMALLEST : value;
}
