import { createRandom, writeDuration } from '../../platform/index.ts';

export type ClusterBy = 'day' | 'block' | 'entity' | 'row';

export interface Clusters {
  by: ClusterBy;
  /** Length of a block of time. */
  blockMs?: number;
  /** Index of each row's cluster, from 0. */
  of: Int32Array;
  count: number;
  notes: string[];
}

const DAY_MS = 86_400_000;

/** Days below which a comparison by days has nothing to tell from chance. */
const FEWEST_DAYS = 3;
const BLOCKS_INSTEAD = 10;
/** Lengths that a block of time may have. */
const BLOCKS_MS = [
  1000,
  5000,
  15_000,
  60_000,
  300_000,
  900_000,
  3_600_000,
  3 * 3_600_000,
  6 * 3_600_000,
  12 * 3_600_000,
];

/**
 * Groups rows that go together, so that their number does not pass for evidence: by day (UTC) where the time is known,
 * else by entity, else each row by itself. Of very many entities or rows, several are put together at random, which
 * keeps the interval right and its computation cheap.
 */
export function clusterRows(request: {
  rows: number;
  times?: Float64Array | undefined;
  entities?: readonly unknown[] | undefined;
  wanted?: 'day' | 'entity' | 'row' | undefined;
  /** Blocks of time of another length than the day. */
  blockMs?: number | undefined;
  maxClusters: number;
  seed: number;
}): Clusters {
  const { rows, times, entities, wanted, maxClusters, seed } = request;
  const notes: string[] = [];
  if (times && (wanted === undefined || wanted === 'day')) return byTime(times, request.blockMs);
  if (entities && (wanted === undefined || wanted === 'entity')) {
    if (wanted === undefined) notes.push('the rows carry no time: clustered by entity');
    return { by: 'entity', ...group(entities.map(String), maxClusters, seed), notes };
  }
  if (wanted === undefined)
    notes.push('the rows carry neither time nor entity: each is taken as independent of the others');
  else if (wanted !== 'row')
    notes.push(`the rows carry no ${wanted === 'day' ? 'time' : 'entity'}: each is taken as independent`);
  if (rows <= maxClusters)
    return { by: 'row', of: Int32Array.from({ length: rows }, (_, i) => i), count: rows, notes };
  return {
    by: 'row',
    ...group(
      Array.from({ length: rows }, (_, i) => String(i)),
      maxClusters,
      seed,
    ),
    notes,
  };
}

function byTime(times: Float64Array, askedMs: number | undefined): Clusters {
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  for (const time of times) {
    if (time < first) first = time;
    if (time > last) last = time;
  }
  const days = numberOf(times, DAY_MS);
  if (askedMs === undefined || askedMs === DAY_MS) {
    if (days.count >= FEWEST_DAYS) return { by: 'day', ...days, notes: [] };
  }
  const wanted = askedMs ?? (last - first) / BLOCKS_INSTEAD;
  const blockMs = askedMs ?? BLOCKS_MS.find((each) => each >= wanted) ?? DAY_MS;
  const note = `the rows are of ${days.count} days: clustered by ${writeDuration(blockMs)}, as if days did not differ`;
  return { by: 'block', blockMs, ...numberOf(times, blockMs), notes: [note] };
}

function numberOf(times: Float64Array, blockMs: number): { of: Int32Array; count: number } {
  const known = new Map<number, number>();
  const of = Int32Array.from(times, (time) => {
    const block = Math.floor(time / blockMs);
    const index = known.get(block) ?? known.size;
    known.set(block, index);
    return index;
  });
  return { of, count: known.size };
}

function group(keys: readonly string[], most: number, seed: number): { of: Int32Array; count: number } {
  const known = new Map<string, number>();
  const of = Int32Array.from(keys, (key) => {
    const index = known.get(key) ?? known.size;
    known.set(key, index);
    return index;
  });
  if (known.size <= most) return { of, count: known.size };
  const random = createRandom(seed);
  const place = Int32Array.from({ length: known.size }, (_, i) => i % most);
  for (let i = place.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const swapped = place[i] as number;
    place[i] = place[j] as number;
    place[j] = swapped;
  }
  return { of: of.map((index) => place[index] as number), count: most };
}
