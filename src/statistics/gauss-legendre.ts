/**
 * Nodes and weights of Gauss-Legendre quadrature on [−1, 1], by Newton's method on the Legendre polynomial.
 *
 * Press et al., Numerical Recipes, section 4.6 (gauleg).
 */
export function gaussLegendre(count: number): { node: number; weight: number }[] {
  return Array.from({ length: count }, (_, i) => {
    let node = Math.cos((Math.PI * (i + 0.75)) / (count + 0.5));
    let slope = 1;
    for (let step = 0; step < 100; step++) {
      let value = 1;
      let before = 0;
      for (let degree = 1; degree <= count; degree++) {
        const next = ((2 * degree - 1) * node * value - (degree - 1) * before) / degree;
        before = value;
        value = next;
      }
      slope = (count * (node * value - before)) / (node * node - 1);
      const move = value / slope;
      node -= move;
      if (Math.abs(move) < 1e-16) break;
    }
    return { node, weight: 2 / ((1 - node * node) * slope * slope) };
  });
}
