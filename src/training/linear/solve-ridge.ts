import type { DesignTable, LinearDesign } from './linear-design.ts';

/**
 * Coefficients that minimise the squared error plus l2 times the squared coefficients (the intercept not penalised),
 * by the normal equations and Cholesky's factorisation.
 *
 * @returns in the design's order; columns that repeat others share their effect
 */
export function solveRidge(
  design: LinearDesign,
  table: DesignTable,
  target: Float64Array,
  l2: number,
): Float64Array {
  const { width } = design;
  const { gram, moments } = sumProducts(design, table, target);
  // A trace of penalty keeps the factors finite where columns repeat each other, as all levels of a category do.
  const trace = 1e-9 * table.rows;
  for (let i = 0; i < width; i++) gram[i * width + i]! += i === width - 1 ? 0 : Math.max(l2, trace);
  return solveCholesky(gram, moments, width);
}

/** X'X (upper triangle) and X'y; each row is taken as its few entries that are not zero. */
function sumProducts(design: LinearDesign, table: DesignTable, target: Float64Array) {
  const { width } = design;
  const gram = new Float64Array(width * width);
  const moments = new Float64Array(width);
  const numberCount = design.numbers.length;
  const at = new Int32Array(2 * numberCount + design.levels.length + 1);
  const values = new Float64Array(at.length);
  for (let t = 0; t < numberCount; t++) at[t] = t;
  for (let i = 0; i < table.rows; i++) {
    let entries = numberCount;
    for (let t = 0; t < numberCount; t++) {
      values[t] = table.numbers[t]![i]!;
      if (table.flags[t]?.[i] !== 1) continue;
      at[entries] = design.flagOffsets[t]!;
      values[entries++] = 1;
    }
    for (let t = 0; t < design.levels.length; t++) {
      at[entries] = design.levelOffsets[t]! + table.levels[t]![i]!;
      values[entries++] = 1;
    }
    at[entries] = width - 1;
    values[entries++] = 1;
    for (let a = 0; a < entries; a++) {
      const row = at[a]! * width;
      const value = values[a]!;
      for (let b = a; b < entries; b++) gram[row + at[b]!]! += value * values[b]!;
      moments[at[a]!]! += value * target[i]!;
    }
  }
  return { gram, moments };
}

/**
 * Solves A x = b for a symmetric positive definite A, given by its upper triangle, which is overwritten. Golub and Van
 * Loan, Matrix Computations (2013), algorithm 4.2.1. A pivot of nothing gives a coefficient of 0.
 */
export function solveCholesky(matrix: Float64Array, right: Float64Array, size: number): Float64Array {
  for (let k = 0; k < size; k++) {
    const pivot = matrix[k * size + k]!;
    const root = pivot > 0 ? Math.sqrt(pivot) : 0;
    matrix[k * size + k] = root;
    for (let j = k + 1; j < size; j++) matrix[k * size + j] = root > 0 ? matrix[k * size + j]! / root : 0;
    for (let i = k + 1; i < size; i++) {
      const factor = matrix[k * size + i]!;
      if (factor === 0) continue;
      for (let j = i; j < size; j++) matrix[i * size + j]! -= factor * matrix[k * size + j]!;
    }
  }
  const solution = right.slice();
  for (let i = 0; i < size; i++) {
    const root = matrix[i * size + i]!;
    solution[i] = root > 0 ? solution[i]! / root : 0;
    for (let j = i + 1; j < size; j++) solution[j]! -= matrix[i * size + j]! * solution[i]!;
  }
  for (let i = size - 1; i >= 0; i--) {
    for (let j = i + 1; j < size; j++) solution[i]! -= matrix[i * size + j]! * solution[j]!;
    const root = matrix[i * size + i]!;
    solution[i] = root > 0 ? solution[i]! / root : 0;
  }
  return solution;
}
