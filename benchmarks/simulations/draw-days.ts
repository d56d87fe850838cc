import { createRandom } from '../../src/platform/index.ts';
import type { ColumnValues } from '../../src/profiles/index.ts';
import { normalCdf, normalQuantile } from '../../src/statistics/index.ts';

/** How the effect of a day on a column is distributed, with variance 1. */
export type DayEffects = 'normal' | 'heavy-tailed';

export interface DayOptions {
  seed: number;
  /** Standard deviation of the day effects, in standard deviations of the column. */
  effect: number;
  effects: DayEffects;
}

type Draw = { numbers: Float32Array } | { codes: Int32Array; labels: readonly string[] };

const MISSING_SHARE = 0.05;
/** Rows come from random places of these pools, because drawing each anew would take most of the time. */
const POOL = 1 << 21;
let pools: { normals: Float64Array; uniforms: Float64Array } | undefined;

function drawPools() {
  const random = createRandom(2001);
  const uniforms = Float64Array.from({ length: POOL }, () => random());
  const normals = new Float64Array(POOL);
  for (let i = 0; i < POOL; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    normals[i] = radius * Math.cos(angle);
    normals[i + 1] = radius * Math.sin(angle);
  }
  return { normals, uniforms };
}

/**
 * Rows day by day of 15 numeric columns (normal, log-normal and whole numbers in turn, every third with 5 % missing
 * values), 5 categorical ones (3 to 40 categories, some of them rare, one in two with 5 % missing), a score and a class.
 * Each day moves each column by an effect of its own: numbers by a shift, categories by a tilt of the same
 * size, missing values by a shift of the hidden number that makes them missing.
 */
export function createDays({ seed, effect, effects }: DayOptions) {
  const random = createRandom(seed);
  const normal = () => normalQuantile(random());
  pools ??= drawPools();
  const { normals, uniforms } = pools;
  const sliceOf = (pool: Float64Array, rows: number) => {
    const from = Math.floor(random() * (POOL - rows));
    return pool.subarray(from, from + rows);
  };
  /** Variance 1; heavy-tailed is Student's t with 4 degrees of freedom. */
  const dayEffect = (): number => {
    if (effect === 0) return 0;
    if (effects === 'normal') return effect * normal();
    const chiSquare = -2 * (Math.log(1 - random()) + Math.log(1 - random()));
    return (effect * normal()) / Math.sqrt(chiSquare / 2);
  };

  const columns = [
    ...Array.from({ length: 15 }, (_, i) => numericColumn(`number ${i}`, i % 3, i % 3 === 0)),
    ...[3, 5, 8, 20, 40].map((size, i) => categoricalColumn(`text ${i}`, weightsOf(size), i % 2 === 0)),
    numericColumn('@score', 3, false),
    categoricalColumn('@class', [0.8, 0.2], false),
  ];

  function numericColumn(name: string, kind: number, hasMissing: boolean) {
    return {
      name,
      kind: 'numeric' as const,
      draw(rows: number, shift: number): Draw {
        const missing = hasMissing ? missingShare(dayEffect()) : 0;
        const moved = shift + dayEffect();
        const values = sliceOf(normals, rows);
        const chances = sliceOf(uniforms, rows);
        const numbers = new Float32Array(rows);
        for (let row = 0; row < rows; row++) {
          numbers[row] = chances[row]! < missing ? Number.NaN : formOf(kind, values[row]! + moved);
        }
        return { numbers };
      },
    };
  }

  function categoricalColumn(name: string, weights: readonly number[], hasMissing: boolean) {
    const labels = weights.map((_, i) => `${name} ${i}`);
    const scores = standardised(weights);
    return {
      name,
      kind: 'categorical' as const,
      draw(rows: number, shift: number): Draw {
        const missing = hasMissing ? missingShare(dayEffect()) : 0;
        const tilt = shift + dayEffect();
        const upTo = cumulative(weights.map((weight, i) => weight * Math.exp(tilt * scores[i]!)));
        const chances = sliceOf(uniforms, rows);
        const places = sliceOf(uniforms, rows);
        const codes = new Int32Array(rows);
        for (let row = 0; row < rows; row++) {
          codes[row] = chances[row]! < missing ? -1 : pick(upTo, places[row]!);
        }
        return { codes, labels };
      },
    };
  }

  return {
    columns,
    /** A day's rows; `shift` moves every column, in its standard deviations, beyond the day's own effect. */
    drawDay(rows: number, shift = 0): ColumnValues[] {
      return columns.map((column) => ({ ...column.draw(rows, shift), stride: 1, offset: 0 }));
    },
  };
}

function formOf(kind: number, value: number): number {
  if (kind === 1) return Math.exp(1.5 * value);
  if (kind === 2) return Math.round(value * 4);
  return kind === 3 ? 1 / (1 + Math.exp(1 - value)) : value;
}

/** Shares that fall by a sixth from category to category, down to below half a percent. */
function weightsOf(size: number): number[] {
  const weights = Array.from({ length: size }, (_, i) => (5 / 6) ** i);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** A direction with mean 0 and variance 1 under the weights: alternating, so that it is no matter of order. */
function standardised(weights: readonly number[]): number[] {
  const raw = weights.map((_, i) => (i % 2 === 0 ? 1 : -1));
  const mean = raw.reduce((sum: number, value, i) => sum + value * weights[i]!, 0);
  const variance = raw.reduce((sum: number, value, i) => sum + (value - mean) ** 2 * weights[i]!, 0);
  return raw.map((value) => (value - mean) / Math.sqrt(variance));
}

/** A value is missing where a hidden normal one is below a threshold; the day moves the hidden one. */
function missingShare(shift: number): number {
  return normalCdf(normalQuantile(MISSING_SHARE) + shift);
}

function cumulative(weights: readonly number[]): Float64Array {
  const upTo = Float64Array.from(weights);
  for (let i = 1; i < upTo.length; i++) upTo[i]! += upTo[i - 1]!;
  return upTo.map((value) => value / upTo.at(-1)!);
}

function pick(upTo: Float64Array, u: number): number {
  let i = 0;
  while (i < upTo.length - 1 && u >= upTo[i]!) i++;
  return i;
}
