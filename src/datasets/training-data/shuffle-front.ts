/** Moves a random choice of `count` items to the front of `items` (in random order): the beginning of a Fisher-Yates shuffle. */
export function shuffleFront(items: Int32Array, count: number, random: () => number): void {
  for (let index = 0; index < count; index++) {
    const other = index + Math.floor(random() * (items.length - index));
    const kept = items[index]!;
    items[index] = items[other]!;
    items[other] = kept;
  }
}
