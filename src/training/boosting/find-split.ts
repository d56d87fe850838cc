import type { TreeFeature } from './bin-table.ts';
import type { HessianPacking, HistogramLayout } from './histogram.ts';

/** Sums over the rows of a node; `packed` as in `HessianPacking`. */
export interface NodeSums {
  gradient: number;
  packed: number;
}

export interface Split {
  gain: number;
  feature: number;
  /** Numbers: the last bin that goes left. -1 for categories. */
  bin: number;
  missingLeft: boolean;
  /** Categories: for each bin, 1 when it goes left. */
  leftBins?: Uint8Array;
  left: NodeSums;
  right: NodeSums;
}

export interface SplitLimits {
  minLeaf: number;
  l2: number;
}

/** A child must have at least this much hessian, or its value would be a division by nearly nothing. */
const MIN_HESSIAN = 1e-3;
/** Rows' worth of hessian that pull a rare level to the middle of the order, as LightGBM's `cat_smooth` does. */
const LEVEL_SMOOTHING = 10;

export type SplitFinder = (
  histogram: Float64Array,
  node: NodeSums,
  allowed?: Uint8Array,
) => Split | undefined;

/**
 * Makes a search for the split of a node with the largest gain, GL²/(HL+λ) + GR²/(HR+λ) − G²/(H+λ): Chen and Guestrin
 * (2016), doi:10.1145/2939672.2939785, eq. 7. Missing values go to the side where they gain more. Categories are put
 * in order of G/(H + smoothing) first and split like numbers, which Fisher (1958), doi:10.1080/01621459.1958.10501479,
 * shows to be the best of all subsets.
 */
export function createSplitFinder(
  features: TreeFeature[],
  layout: HistogramLayout,
  packing: HessianPacking,
  limits: SplitLimits,
): SplitFinder {
  const perUnit = 1 / packing.unit;
  const perScale = 1 / packing.scale;
  const { unit } = packing;
  const { minLeaf, l2 } = limits;
  const order = createLevelOrder();

  // The best split so far; numbers only, because an object for each candidate would cost more than the search.
  let bestScore = 0;
  let bestFeature = -1;
  let bestBin = -1;
  let bestMissingLeft = false;
  let bestGradient = 0;
  let bestPacked = 0;

  /** Tries every cut of a run of bins; `ids` names the bins in their order, else they are 0, 1, 2 … */
  function scan(
    histogram: Float64Array,
    offset: number,
    bins: number,
    ids: Uint8Array | undefined,
    node: NodeSums,
    startGradient: number,
    startPacked: number,
    feature: number,
    missingLeft: boolean,
  ): void {
    const rows = Math.floor(node.packed * perUnit);
    const hessian = (node.packed - rows * unit) * perScale;
    const { gradient } = node;
    let leftGradient = startGradient;
    let leftPacked = startPacked;
    for (let b = 0; b < bins; b++) {
      const at = offset + 2 * (ids === undefined ? b : ids[b]!);
      const packed = histogram[at + 1]!;
      if (packed === 0) continue;
      leftGradient += histogram[at]!;
      leftPacked += packed;
      const leftRows = Math.floor(leftPacked * perUnit);
      if (leftRows < minLeaf) continue;
      if (rows - leftRows < minLeaf) return;
      const leftHessian = (leftPacked - leftRows * unit) * perScale;
      const rightHessian = hessian - leftHessian;
      if (leftHessian < MIN_HESSIAN || rightHessian < MIN_HESSIAN) continue;
      const rightGradient = gradient - leftGradient;
      const score =
        (leftGradient * leftGradient) / (leftHessian + l2) +
        (rightGradient * rightGradient) / (rightHessian + l2);
      if (score > bestScore) {
        bestScore = score;
        bestFeature = feature;
        bestBin = b;
        bestMissingLeft = missingLeft;
        bestGradient = leftGradient;
        bestPacked = leftPacked;
      }
    }
  }

  return function findSplit(histogram, node, allowed) {
    const rows = Math.floor(node.packed * perUnit);
    if (rows < 2 * minLeaf) return undefined;
    const own = (node.gradient * node.gradient) / ((node.packed - rows * unit) * perScale + l2);
    bestScore = own + 1e-9 + own * 1e-12;
    bestFeature = -1;
    for (let f = 0; f < features.length; f++) {
      if (allowed && allowed[f] === 0) continue;
      const { kind, binCount } = features[f]!;
      const offset = layout.offsets[f]!;
      if (kind === 'category') {
        const levels = order(histogram, offset, binCount, unit, perScale);
        scan(histogram, offset, levels.length, levels, node, 0, 0, f, false);
        continue;
      }
      scan(histogram, offset, binCount - 1, undefined, node, 0, 0, f, false);
      const missing = offset + 2 * (binCount - 1);
      if (histogram[missing + 1] !== 0) {
        scan(
          histogram,
          offset,
          binCount - 1,
          undefined,
          node,
          histogram[missing]!,
          histogram[missing + 1]!,
          f,
          true,
        );
      }
    }
    if (bestFeature < 0) return undefined;
    return describe(histogram, node, bestScore - own);
  };

  function describe(histogram: Float64Array, node: NodeSums, gain: number): Split {
    const feature = features[bestFeature]!;
    const offset = layout.offsets[bestFeature]!;
    const left = { gradient: bestGradient, packed: bestPacked };
    const right = { gradient: node.gradient - bestGradient, packed: node.packed - bestPacked };
    const leftIsLarger = left.packed > right.packed;
    if (feature.kind === 'numeric') {
      const sawMissing = histogram[offset + 2 * (feature.binCount - 1) + 1] !== 0;
      const missingLeft = sawMissing ? bestMissingLeft : leftIsLarger;
      return { gain, feature: bestFeature, bin: bestBin, missingLeft, left, right };
    }
    const levels = order(histogram, offset, feature.binCount, unit, perScale);
    const leftBins = new Uint8Array(feature.binCount).fill(leftIsLarger ? 1 : 0);
    levels.forEach((level, position) => {
      leftBins[level] = position <= bestBin ? 1 : 0;
    });
    const missingLeft = leftBins[feature.binCount - 1] === 1;
    return { gain, feature: bestFeature, bin: -1, missingLeft, leftBins, left, right };
  }
}

/** Sorts the levels that a node has by G/(H + smoothing), natively: the level hides in the key's eight lowest bits. */
function createLevelOrder() {
  const keys = new Float64Array(256);
  const words = new Uint32Array(keys.buffer);
  const levels = new Uint8Array(256);
  const low = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 0 : 1;
  return (
    histogram: Float64Array,
    offset: number,
    binCount: number,
    unit: number,
    perScale: number,
  ): Uint8Array => {
    let found = 0;
    for (let b = 0; b < binCount; b++) {
      const packed = histogram[offset + 2 * b + 1]!;
      if (packed === 0) continue;
      const hessian = (packed % unit) * perScale;
      keys[found] = histogram[offset + 2 * b]! / (hessian + LEVEL_SMOOTHING);
      const word = 2 * found + low;
      words[word] = (words[word]! & ~255) | b;
      found++;
    }
    keys.subarray(0, found).sort();
    for (let i = 0; i < found; i++) levels[i] = words[2 * i + low]! & 255;
    return levels.subarray(0, found);
  };
}
