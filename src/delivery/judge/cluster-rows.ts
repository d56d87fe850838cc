import { createRandom } from '../../platform/index.ts';

export type ClusterBy = 'day' | 'block' | 'entity' | 'row';

export interface Clusters {
  by: ClusterBy;
  /** Index of each row's cluster, from 0. */
  of: Int32Array;
  count: number;
  notes: string[];
}

const DAY_MS = 86_400_000;

/** A day with a smaller part of an ordinary day's rows is counted with the one before or after it. */
const SMALL_DAY = 0.2;

/** Days below which a comparison by days has nothing to tell from chance. */
const FEWEST_DAYS = 3;
const BLOCKS_INSTEAD = 20;

/**
 * Groups rows that go together, so that their number does not pass for evidence: by day (UTC) where the time is known,
 * else by entity, else each row by itself. Of very many entities or rows, several are put together at random, of very many
 * days consecutive ones, which keeps the interval right and its computation cheap.
 */
export function clusterRows(request: {
  rows: number;
  times?: Float64Array | undefined;
  entities?: readonly unknown[] | undefined;
  wanted?: 'day' | 'entity' | 'row' | undefined;
  /** So many blocks of consecutive rows instead of days. */
  blocks?: number | undefined;
  maxClusters: number;
  seed: number;
}): Clusters {
  const { rows, times, entities, wanted, maxClusters, seed } = request;
  const notes: string[] = [];
  if (times && (wanted === undefined || wanted === 'day')) return byTime(times, request.blocks, maxClusters);
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

function byTime(times: Float64Array, askedBlocks: number | undefined, maxClusters: number): Clusters {
  const all = numberDays(times);
  const joined = joinSmallDays(times, all);
  // A small day that weighs as much as a whole one is better than blocks, which know nothing of how days differ.
  const days = joined.count < FEWEST_DAYS && all.count >= FEWEST_DAYS ? all : joined;
  if (askedBlocks === undefined && days.count > maxClusters) {
    const note = `the rows are of ${days.count} days: clustered in ${maxClusters} blocks of consecutive days`;
    return { by: 'block', of: joinDays(times, days, maxClusters), count: maxClusters, notes: [note] };
  }
  if (askedBlocks === undefined && days.count >= FEWEST_DAYS) {
    const small = all.count - days.count;
    const note = `${small} of ${all.count} days ${small === 1 ? 'has' : 'have'} so few rows that ${small === 1 ? 'it counts' : 'they count'} with the day beside`;
    return { by: 'day', ...days, notes: small === 0 ? [] : [note] };
  }
  const count = Math.min(askedBlocks ?? BLOCKS_INSTEAD, times.length);
  const note = `the rows are of ${days.count} days: clustered in ${count} blocks of consecutive rows, as if days did not differ`;
  return { by: 'block', of: cutInBlocks(times, count), count, notes: [note] };
}

function numberDays(times: Float64Array): { of: Int32Array; count: number } {
  const known = new Map<number, number>();
  const of = Int32Array.from(times, (time) => {
    const day = Math.floor(time / DAY_MS);
    const index = known.get(day) ?? known.size;
    known.set(day, index);
    return index;
  });
  return { of, count: known.size };
}

/**
 * Each cluster weighs alike in a comparison by few days, so that a rest of a day, such as the hours before midnight where
 * the rows begin in the evening, would drown the whole days beside it. Which days are joined depends on counts alone.
 */
function joinSmallDays(
  times: Float64Array,
  days: { of: Int32Array; count: number },
): { of: Int32Array; count: number } {
  const rowsOf = new Float64Array(days.count);
  const timeOf = new Float64Array(days.count);
  for (const [row, day] of days.of.entries()) {
    rowsOf[day] = (rowsOf[day] as number) + 1;
    timeOf[day] = times[row] as number;
  }
  const ordinary = rowsOf.toSorted()[Math.floor(days.count / 2)] as number;
  const least = SMALL_DAY * ordinary;
  const inTime = Array.from(timeOf.keys()).sort((a, b) => placeInTime(timeOf[a]) - placeInTime(timeOf[b]));
  const clusterOf = new Int32Array(days.count);
  let count = 0;
  let rowsOfLast = 0;
  for (const day of inTime) {
    const rows = rowsOf[day] as number;
    if (count === 0 || (rows >= least && rowsOfLast >= least)) {
      count++;
      rowsOfLast = 0;
    }
    clusterOf[day] = count - 1;
    rowsOfLast += rows;
  }
  return { of: days.of.map((day) => clusterOf[day] as number), count };
}

/** Blocks of as many days each that have rows; days of unknown time come last. */
function joinDays(times: Float64Array, days: { of: Int32Array; count: number }, blocks: number): Int32Array {
  const timeOf = new Float64Array(days.count);
  for (const [row, day] of days.of.entries()) timeOf[day] = times[row] as number;
  const blockOf = cutInBlocks(timeOf, blocks);
  return days.of.map((day) => blockOf[day] as number);
}

/** Blocks of as many rows each, those of unknown time last, since a block of the night with five rows would weigh as much as one of the day. */
function cutInBlocks(times: Float64Array, count: number): Int32Array {
  const order = Array.from(times.keys()).sort(
    (a, b) => placeInTime(times[a]) - placeInTime(times[b]) || a - b,
  );
  const of = new Int32Array(times.length);
  for (const [place, row] of order.entries()) of[row] = Math.floor((place * count) / times.length);
  return of;
}

/** Finite, so that two unknown times are equal and not incomparable. */
const placeInTime = (time: number | undefined): number =>
  time === undefined || Number.isNaN(time) ? Number.MAX_VALUE : time;

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
