/** Gives a function's value at a point and writes its gradient there. */
export type Objective = (point: Float64Array, gradient: Float64Array) => number;

export interface Minimum {
  point: Float64Array;
  value: number;
  iterations: number;
  /** False when the iterations ran out first. */
  converged: boolean;
}

const MEMORY = 10;

/**
 * Minimises a smooth convex function without second derivatives: L-BFGS, Nocedal and Wright, Numerical Optimization
 * (2006), algorithms 7.4 and 7.5, with the bisection for weak Wolfe conditions of Lewis and Overton (2013),
 * doi:10.1007/s10107-012-0514-2. Deterministic.
 *
 * @param tolerance stops when no component of the gradient is larger
 * @param onStep may stop the search by throwing
 */
export async function minimise(
  objective: Objective,
  start: Float64Array,
  limits: { maxIterations: number; tolerance: number },
  onStep?: (iteration: number, value: number) => void | Promise<void>,
): Promise<Minimum> {
  const size = start.length;
  let point: Float64Array = start.slice();
  let gradient: Float64Array = new Float64Array(size);
  let value = objective(point, gradient);
  const steps: Float64Array[] = [];
  const changes: Float64Array[] = [];
  let iterations = 0;
  for (; iterations < limits.maxIterations; iterations++) {
    if (largestSize(gradient) <= limits.tolerance) return { point, value, iterations, converged: true };
    const direction = searchDirection(gradient, steps, changes);
    const found = searchLine(objective, point, value, gradient, direction, steps.length === 0);
    // No lower point can be told from this one in double precision: that is a minimum for all that can be known.
    if (!found) return { point, value, iterations, converged: true };
    const step = found.point.map((x, i) => x - point[i]!);
    const change = found.gradient.map((x, i) => x - gradient[i]!);
    if (dot(step, change) > 1e-12 * dot(change, change)) {
      steps.push(step);
      changes.push(change);
      if (steps.length > MEMORY) {
        steps.shift();
        changes.shift();
      }
    }
    ({ point, value, gradient } = found);
    await onStep?.(iterations + 1, value);
  }
  return { point, value, iterations, converged: largestSize(gradient) <= limits.tolerance };
}

function searchDirection(
  gradient: Float64Array,
  steps: Float64Array[],
  changes: Float64Array[],
): Float64Array {
  const direction = gradient.map((x) => -x);
  const factors: number[] = [];
  for (let k = steps.length - 1; k >= 0; k--) {
    const factor = dot(steps[k]!, direction) / dot(steps[k]!, changes[k]!);
    factors[k] = factor;
    addScaled(direction, changes[k]!, -factor);
  }
  const last = steps.length - 1;
  if (last >= 0) {
    const scale = dot(steps[last]!, changes[last]!) / dot(changes[last]!, changes[last]!);
    for (let i = 0; i < direction.length; i++) direction[i]! *= scale;
  }
  for (let k = 0; k < steps.length; k++) {
    const factor = dot(changes[k]!, direction) / dot(steps[k]!, changes[k]!);
    addScaled(direction, steps[k]!, factors[k]! - factor);
  }
  return direction;
}

function searchLine(
  objective: Objective,
  point: Float64Array,
  value: number,
  gradient: Float64Array,
  direction: Float64Array,
  isFirst: boolean,
): { point: Float64Array; value: number; gradient: Float64Array } | undefined {
  const slope = dot(gradient, direction);
  if (!(slope < 0)) return undefined;
  let length = isFirst ? Math.min(1, 1 / largestSize(gradient)) : 1;
  let low = 0;
  let high = Number.POSITIVE_INFINITY;
  let best: { point: Float64Array; value: number; gradient: Float64Array } | undefined;
  for (let attempt = 0; attempt < 40; attempt++) {
    const candidate = point.slice();
    addScaled(candidate, direction, length);
    const candidateGradient = new Float64Array(point.length);
    const candidateValue = objective(candidate, candidateGradient);
    if (!(candidateValue <= value + 1e-4 * length * slope)) high = length;
    else {
      best = { point: candidate, value: candidateValue, gradient: candidateGradient };
      if (dot(candidateGradient, direction) >= 0.9 * slope) return best;
      low = length;
    }
    length = high < Number.POSITIVE_INFINITY ? (low + high) / 2 : 2 * low;
  }
  return best && best.value < value ? best : undefined;
}

function addScaled(target: Float64Array, source: Float64Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i]! += factor * source[i]!;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

const largestSize = (values: Float64Array): number =>
  values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
