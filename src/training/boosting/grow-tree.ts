import type { BinnedTable } from './bin-table.ts';
import { createSplitFinder, type NodeSums, type Split, type SplitLimits } from './find-split.ts';
import { fillHistogram, type HessianPacking, layOutHistogram, subtractHistogram } from './histogram.ts';

/** A tree in arrays, one entry for each node, the root first. */
export interface Tree {
  /** The feature that the node asks for; -1 for a leaf. */
  feature: Int32Array;
  /** Numbers: the last bin that goes left. */
  bin: Int32Array;
  missingLeft: Uint8Array;
  /** Categories: for each bin, 1 when it goes left. */
  leftBins: (Uint8Array | undefined)[];
  left: Int32Array;
  right: Int32Array;
  /** What a leaf adds to the score, a float32 number. */
  value: Float64Array;
  /** How much the node's split reduced the loss. */
  gain: Float64Array;
}

export interface TreeLimits extends SplitLimits {
  /** 0 for none. */
  maxDepth: number;
  maxLeaves: number;
  learningRate: number;
}

interface Leaf {
  node: number;
  depth: number;
  start: number;
  end: number;
  sums: NodeSums;
  split?: Split;
  histogram?: Float64Array;
}

/**
 * Makes trees on one table, best leaf first: the leaf whose split gains most is split next, until there are enough.
 * Buffers are kept between trees. Of two siblings only the smaller one's histogram is filled; the other is what it
 * leaves of the parent's.
 */
export function createTreeGrower(table: BinnedTable, packing: HessianPacking, limits: TreeLimits) {
  const layout = layOutHistogram(table);
  const findSplit = createSplitFinder(table.features, layout, packing, limits);
  const rows = new Int32Array(table.rows);
  const right = new Int32Array(table.rows);
  const orderedGradients = new Float64Array(table.rows);
  const orderedHessians = new Float64Array(table.rows);
  const goesLeft = new Uint8Array(256);
  const spare: Float64Array[] = [];

  return function growTree(
    members: Int32Array,
    gradients: Float64Array,
    hessians: Float64Array,
    scores: Float64Array,
    allowed?: Uint8Array,
  ): Tree {
    rows.set(members);
    const nodes = createNodeList();
    const root: Leaf = {
      node: nodes.add(),
      depth: 0,
      start: 0,
      end: members.length,
      sums: sumUp(members.length),
    };
    const leaves: Leaf[] = [root];
    if (mayBeSplit(root)) {
      root.histogram = emptyHistogram();
      fill(root);
      prepare(root);
    }
    while (leaves.length < limits.maxLeaves) {
      let best: Leaf | undefined;
      for (const leaf of leaves) {
        if (leaf.split && leaf.split.gain > (best?.split?.gain ?? 0)) best = leaf;
      }
      if (!best) break;
      leaves.splice(leaves.indexOf(best), 1, ...splitLeaf(best, leaves.length + 1 < limits.maxLeaves));
    }
    for (const leaf of leaves) finish(leaf);
    return nodes.toTree();

    function sumUp(count: number): NodeSums {
      let gradient = 0;
      let packed = 0;
      for (let i = 0; i < count; i++) {
        const row = rows[i]!;
        gradient += gradients[row]!;
        packed += hessians[row]!;
      }
      return { gradient, packed };
    }

    function mayBeSplit(leaf: Leaf): boolean {
      return (
        (limits.maxDepth === 0 || leaf.depth < limits.maxDepth) &&
        limits.maxLeaves > 1 &&
        leaf.end - leaf.start >= 2 * limits.minLeaf
      );
    }

    function fill(leaf: Leaf): void {
      const { start, end } = leaf;
      const identity = end - start === table.rows;
      for (let i = start, k = 0; !identity && i < end; i++, k++) {
        const row = rows[i]!;
        orderedGradients[k] = gradients[row]!;
        orderedHessians[k] = hessians[row]!;
      }
      fillHistogram(
        leaf.histogram!,
        layout,
        table,
        rows,
        start,
        end,
        identity ? gradients : orderedGradients,
        identity ? hessians : orderedHessians,
      );
    }

    function prepare(leaf: Leaf): void {
      leaf.split = findSplit(leaf.histogram!, leaf.sums, allowed);
      if (!leaf.split) release(leaf);
    }

    function splitLeaf(parent: Leaf, more: boolean): [Leaf, Leaf] {
      const split = parent.split!;
      const middle = partition(parent, split);
      const depth = parent.depth + 1;
      const a: Leaf = { node: nodes.add(), depth, start: parent.start, end: middle, sums: split.left };
      const b: Leaf = { node: nodes.add(), depth, start: middle, end: parent.end, sums: split.right };
      nodes.split(parent.node, split, a.node, b.node);
      const [small, large] = a.end - a.start <= b.end - b.start ? [a, b] : [b, a];
      if (!more || !mayBeSplit(large)) {
        release(parent);
        return [a, b];
      }
      small.histogram = emptyHistogram();
      fill(small);
      large.histogram = parent.histogram!;
      subtractHistogram(large.histogram, small.histogram);
      prepare(large);
      if (mayBeSplit(small)) prepare(small);
      else release(small);
      return [a, b];
    }

    function finish(leaf: Leaf): void {
      release(leaf);
      const count = Math.floor(leaf.sums.packed / packing.unit);
      const hessian = (leaf.sums.packed - count * packing.unit) / packing.scale;
      const step = hessian + limits.l2 > 0 ? -leaf.sums.gradient / (hessian + limits.l2) : 0;
      const value = Math.fround(step * limits.learningRate);
      nodes.setValue(leaf.node, value);
      for (let i = leaf.start; i < leaf.end; i++) scores[rows[i]!]! += value;
    }
  };

  function emptyHistogram(): Float64Array {
    return spare.pop()?.fill(0) ?? new Float64Array(layout.length);
  }

  function release(leaf: Leaf): void {
    if (leaf.histogram) spare.push(leaf.histogram);
    leaf.histogram = undefined;
  }

  /** Moves the rows that go left to the front, both sides keeping their order, so that later reads run forward. */
  function partition(leaf: Leaf, split: Split): number {
    const words = table.packed[split.feature >> 2]!;
    const shift = (split.feature & 3) * 8;
    const { binCount } = table.features[split.feature]!;
    for (let b = 0; b < binCount; b++)
      goesLeft[b] = split.leftBins ? split.leftBins[b]! : b <= split.bin ? 1 : 0;
    goesLeft[binCount - 1] = split.missingLeft ? 1 : 0;
    let lefts = leaf.start;
    let rights = 0;
    for (let i = leaf.start; i < leaf.end; i++) {
      const row = rows[i]!;
      const isLeft = goesLeft[(words[row]! >>> shift) & 255]!;
      rows[lefts] = row;
      right[rights] = row;
      lefts += isLeft;
      rights += 1 - isLeft;
    }
    rows.set(right.subarray(0, rights), lefts);
    return lefts;
  }
}

function createNodeList() {
  const feature: number[] = [];
  const bin: number[] = [];
  const missingLeft: number[] = [];
  const leftBins: (Uint8Array | undefined)[] = [];
  const left: number[] = [];
  const right: number[] = [];
  const value: number[] = [];
  const gain: number[] = [];
  return {
    add(): number {
      leftBins.push(undefined);
      for (const list of [missingLeft, value, gain]) list.push(0);
      for (const list of [bin, left, right]) list.push(-1);
      return feature.push(-1) - 1;
    },
    split(node: number, split: Split, leftNode: number, rightNode: number): void {
      feature[node] = split.feature;
      bin[node] = split.bin;
      missingLeft[node] = split.missingLeft ? 1 : 0;
      leftBins[node] = split.leftBins;
      left[node] = leftNode;
      right[node] = rightNode;
      gain[node] = split.gain;
    },
    setValue(node: number, leafValue: number): void {
      value[node] = leafValue;
    },
    toTree: (): Tree => ({
      feature: Int32Array.from(feature),
      bin: Int32Array.from(bin),
      missingLeft: Uint8Array.from(missingLeft),
      leftBins,
      left: Int32Array.from(left),
      right: Int32Array.from(right),
      value: Float64Array.from(value),
      gain: Float64Array.from(gain),
    }),
  };
}

/** Adds a tree's values to the scores of the given rows, all of the table's without a list. */
export function addTree(tree: Tree, table: BinnedTable, scores: Float64Array, members?: Int32Array): void {
  const count = members ? members.length : table.rows;
  for (let i = 0; i < count; i++) {
    const row = members ? members[i]! : i;
    scores[row]! += tree.value[findLeaf(tree, table, row)]!;
  }
}

function findLeaf(tree: Tree, table: BinnedTable, row: number): number {
  let node = 0;
  for (let f = tree.feature[0]!; f >= 0; f = tree.feature[node]!) {
    const bin = (table.packed[f >> 2]![row]! >>> ((f & 3) * 8)) & 255;
    const set = tree.leftBins[node];
    const isMissing = bin === table.features[f]!.binCount - 1;
    const isLeft = isMissing ? tree.missingLeft[node] === 1 : set ? set[bin] === 1 : bin <= tree.bin[node]!;
    node = isLeft ? tree.left[node]! : tree.right[node]!;
  }
  return node;
}
