/** Bins that are tested together: the group of each bin, and how many groups there are. */
export interface BinGroups {
  groupOf: Int32Array;
  size: number;
}

const GROUPS = 10;
/** Categories under this share of the reference are tested as one. */
const RARE_SHARE = 0.005;

/**
 * Ten groups of about equal weight in the reference. `total` is `[under, bin 0 …, over]`: what lies outside the
 * reference's range belongs to the outermost group.
 */
export function groupByDeciles(total: Float64Array): BinGroups {
  const sum = sumOf(total);
  const groupOf = new Int32Array(total.length);
  let group = 0;
  let below = 0;
  let isOpen = false;
  for (let bin = 0; bin < total.length; bin++) {
    // The last bin is "over", and whatever is beyond the last decile has no group to open.
    if (isOpen && below >= (sum * (group + 1)) / GROUPS - 1e-9 && below < sum) {
      group++;
      isOpen = false;
      // A bin that holds several deciles closes them all: the next edge is the first that lies ahead.
      while (group < GROUPS - 1 && below >= (sum * (group + 1)) / GROUPS - 1e-9) group++;
    }
    groupOf[bin] = group;
    below += total[bin]!;
    if (total[bin]! > 0) isOpen = true;
  }
  return renumber(groupOf);
}

/** Each category alone, the rare ones and "other" together. */
export function groupCategories(total: Float64Array): BinGroups {
  const least = RARE_SHARE * sumOf(total);
  const groupOf = new Int32Array(total.length);
  let next = 1;
  for (let bin = 0; bin < total.length; bin++) {
    const isOther = bin === total.length - 1;
    groupOf[bin] = isOther || total[bin]! < least ? 0 : next++;
  }
  return renumber(groupOf);
}

/** The counts of the groups. */
export function groupCounts(bins: Float64Array, { groupOf, size }: BinGroups): Float64Array {
  const grouped = new Float64Array(size);
  for (let bin = 0; bin < bins.length; bin++) grouped[groupOf[bin]!]! += bins[bin]!;
  return grouped;
}

/** Numbers that are used, without gaps, in the order in which they occur. */
function renumber(groupOf: Int32Array): BinGroups {
  const numbers = new Map<number, number>();
  for (const group of groupOf) if (!numbers.has(group)) numbers.set(group, numbers.size);
  return { groupOf: groupOf.map((group) => numbers.get(group)!), size: numbers.size };
}

export function sumOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
