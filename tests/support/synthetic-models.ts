import {
  addTreeEnsemble,
  type ClassValue,
  FRAMEWORK_KEY,
  OnnxGraphBuilder,
  SIGNATURE_KEY,
  type Signature,
  type Tree,
  writeSignature,
} from '../../src/models/index.ts';

export interface ForestOptions {
  trees: number;
  depth: number;
  features: number;
  /** Two classes answer by Sigmoid, more by Softmax, none makes a regression. */
  classes?: readonly ClassValue[];
  seed?: number;
}

export interface SyntheticForest {
  bytes: Uint8Array;
  signature: Signature;
  trees: Tree[];
  /** The sums of one row, worked out without ONNX: one, or one for each class. */
  score(row: ArrayLike<number>): number[];
}

/**
 * A forest of full random trees over columns f0, f1 … with values in [0, 1), missing ones allowed. A tree of depth 6
 * takes about 2.9 kB of file: 11 000 of them make 32 MB.
 */
export function syntheticForest({
  trees,
  depth,
  features,
  classes,
  seed = 1,
}: ForestOptions): SyntheticForest {
  const random = seededRandom(seed);
  const targets = classes && classes.length > 2 ? classes.length : 1;
  const grown = Array.from({ length: trees }, (_, index) =>
    growTree(depth, features, index % targets, random),
  );
  const columns = Array.from({ length: features }, (_, index) => `f${index}`);
  const signature: Signature = {
    columns: columns.map((name) => ({ name, type: 'double', nullable: true })),
    inputs: [{ name: 'numeric', elementType: 'float32', columns }],
    output: classes
      ? {
          task: classes.length === 2 ? 'binary' : 'multiclass',
          target: 'target',
          classes: [...classes],
          probabilities: 'probabilities',
        }
      : { task: 'regression', target: 'target', value: 'value' },
  };
  const graph = new OnnxGraphBuilder();
  const input = graph.input('numeric', 'float32', ['rows', features]);
  const answer = classes ? 'probabilities' : 'value';
  const scores = addTreeEnsemble(graph, { input, trees: grown, targets, baseValues: Array(targets).fill(0) });
  if (!classes) graph.node('Identity', [scores], answer);
  else if (targets === 1) graph.node('Sigmoid', [scores], answer);
  else graph.node('Softmax', [scores], answer, { axis: { int: -1 } });
  graph.output(answer, 'float32', ['rows', targets]);
  const bytes = graph.encode({
    metadata: { [SIGNATURE_KEY]: writeSignature(signature), [FRAMEWORK_KEY]: 'tidemill' },
  });
  return { bytes, signature, trees: grown, score: (row) => scoreRow(grown, row, targets) };
}

function growTree(depth: number, features: number, target: number, random: () => number): Tree {
  const inner = 2 ** depth - 1;
  const size = 2 ** (depth + 1) - 1;
  const tree: Tree = {
    features: new Int32Array(size).fill(-1),
    thresholds: new Float32Array(size),
    left: new Int32Array(size),
    right: new Int32Array(size),
    missingLeft: new Uint8Array(size),
    values: new Float32Array(size),
    target,
  };
  for (let node = 0; node < size; node++) {
    if (node >= inner) {
      tree.values[node] = (random() - 0.5) / 5;
      continue;
    }
    tree.features[node] = Math.floor(random() * features);
    tree.thresholds[node] = random();
    tree.left[node] = 2 * node + 1;
    tree.right[node] = 2 * node + 2;
    tree.missingLeft[node] = random() < 0.5 ? 1 : 0;
  }
  return tree;
}

function scoreRow(trees: readonly Tree[], row: ArrayLike<number>, targets: number): number[] {
  const sums: number[] = Array(targets).fill(0);
  for (const tree of trees) {
    let node = 0;
    while (tree.features[node]! >= 0) {
      const value = Math.fround(row[tree.features[node]!]!);
      const goesLeft = Number.isNaN(value) ? tree.missingLeft[node] === 1 : value <= tree.thresholds[node]!;
      node = goesLeft ? tree.left[node]! : tree.right[node]!;
    }
    sums[tree.target!]! += tree.values[node]!;
  }
  return sums;
}

/** A generator of numbers in [0, 1) that a seed repeats (a linear congruence modulo 2^32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
