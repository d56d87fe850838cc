/** The column whose name needs the fewest single-letter edits to become `wanted`; undefined when none is near. */
export function nearestColumn(wanted: string, names: readonly string[]): string | undefined {
  const target = normalise(wanted);
  let best: { name: string; distance: number } | undefined;
  for (const name of names) {
    const candidate = normalise(name);
    const limit = Math.max(1, Math.floor(Math.max(target.length, candidate.length) / 3));
    const distance = editDistance(target, candidate, best ? Math.min(limit, best.distance - 1) : limit);
    if (distance !== undefined) best = { name, distance };
  }
  return best?.name;
}

/** Case and separators are what people get wrong first: they cost nothing. */
const normalise = (name: string): string =>
  name
    .slice(0, 200)
    .toLowerCase()
    .replace(/[\s_.-]+/g, '');

/** Levenshtein distance, undefined when it is above `limit`. */
function editDistance(a: string, b: string, limit: number): number | undefined {
  if (Math.abs(a.length - b.length) > limit) return undefined;
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(change, last[j]! + 1, current[j - 1]! + 1));
    }
    last = current;
  }
  const distance = last[b.length]!;
  return distance <= limit ? distance : undefined;
}
