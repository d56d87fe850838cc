/**
 * Uniform numbers in [0, 1) that the seed alone decides, on every platform.
 *
 * xoshiro128** of Blackman and Vigna (2018), https://prng.di.unimi.it, its state filled by splitmix32.
 *
 * @param seed any number; its 32 low bits count
 */
export function createRandom(seed: number): () => number {
  let mix = seed | 0;
  const next = () => {
    mix = (mix + 0x9e3779b9) | 0;
    let z = mix ^ (mix >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return z ^ (z >>> 15);
  };
  let a = next();
  let b = next();
  let c = next();
  let d = next() | 1;
  return () => {
    const product = Math.imul(b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result / 4294967296;
  };
}

/**
 * Draws `count` of the numbers 0 to `total` − 1 without repetition, in rising order, each set equally likely.
 *
 * Selection sampling: Knuth, The Art of Computer Programming, volume 2, section 3.4.2, algorithm S.
 */
export function sampleSorted(total: number, count: number, random: () => number): Int32Array {
  const picked = new Int32Array(count);
  let taken = 0;
  for (let i = 0; taken < count; i++) {
    if ((total - i) * random() < count - taken) picked[taken++] = i;
  }
  return picked;
}
