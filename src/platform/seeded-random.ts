/**
 * A generator of numbers in [0, 1) that depends on nothing but its seed: sfc32, seeded by splitmix32.
 * Source: https://pracrand.sourceforge.net (sfc); 2^-32 steps are enough to draw rows.
 */
export function createRandom(seed: number): () => number {
  let state = Math.floor(seed) ^ Math.floor(seed / 2 ** 32);
  const split = () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) | 0;
  };
  let a = split();
  let b = split();
  let c = split();
  let counter = 1;
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let warmUp = 0; warmUp < 12; warmUp++) next();
  return next;
}
