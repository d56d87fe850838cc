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
