import { ML_DOMAIN, type OnnxGraphBuilder } from './build-onnx-graph.ts';

/**
 * One decision tree in flat arrays, one entry a node, the root first. A row goes to `left` when its feature is at most
 * the threshold (a float32, as the graph compares float32), or when it is NaN and `missingLeft` is 1.
 */
export interface Tree {
  /** The column of the input tensor that the node looks at; -1 marks a leaf. */
  features: Int32Array;
  thresholds: Float32Array;
  left: Int32Array;
  right: Int32Array;
  missingLeft: Uint8Array;
  /** A leaf's contribution; with `target` undefined, one value for each target: [nodes, targets]. */
  values: Float32Array;
  /** The output column to which the tree adds; undefined when its leaves hold a value for every one. */
  target?: number;
}

export interface TreeEnsemble {
  /** A float32 tensor [rows, features] of the graph. */
  input: string;
  trees: readonly Tree[];
  /** How many sums the trees make: 1, or one for each class. */
  targets: number;
  /** What each sum starts from. */
  baseValues: readonly number[];
  aggregate?: 'SUM' | 'AVERAGE';
}

/**
 * Adds a tree ensemble and returns the name of its raw sums, float32 [rows, targets]. What turns sums into
 * probabilities is added behind it as Sigmoid or Softmax, not as the classifier operator's `post_transform`:
 * ONNX Runtime labels binary tree classifiers wrongly when both classes carry weights.
 */
export function addTreeEnsemble(
  graph: OnnxGraphBuilder,
  { input, trees, targets, baseValues, aggregate = 'SUM' }: TreeEnsemble,
  output = graph.freshName('scores'),
): string {
  if (baseValues.length !== targets) throw new Error(`${targets} sums need ${targets} base values`);
  const nodes = flattenTrees(trees);
  const leaves = flattenLeaves(trees, targets);
  return graph.node(
    'TreeEnsembleRegressor',
    [input],
    output,
    {
      n_targets: { int: targets },
      aggregate_function: { string: aggregate },
      base_values: { floats: baseValues },
      nodes_treeids: { ints: nodes.treeIds },
      nodes_nodeids: { ints: nodes.nodeIds },
      nodes_featureids: { ints: nodes.featureIds },
      nodes_modes: { strings: nodes.modes },
      nodes_values: { floats: nodes.thresholds },
      nodes_truenodeids: { ints: nodes.trueIds },
      nodes_falsenodeids: { ints: nodes.falseIds },
      nodes_missing_value_tracks_true: { ints: nodes.missingTrue },
      target_treeids: { ints: leaves.treeIds },
      target_nodeids: { ints: leaves.nodeIds },
      target_ids: { ints: leaves.targetIds },
      target_weights: { floats: leaves.weights },
    },
    ML_DOMAIN,
  );
}

function flattenTrees(trees: readonly Tree[]) {
  const count = trees.reduce((sum, tree) => sum + tree.features.length, 0);
  const treeIds = new Int32Array(count);
  const nodeIds = new Int32Array(count);
  const featureIds = new Int32Array(count);
  const thresholds = new Float32Array(count);
  const trueIds = new Int32Array(count);
  const falseIds = new Int32Array(count);
  const missingTrue = new Uint8Array(count);
  const modes: string[] = [];
  let at = 0;
  trees.forEach((tree, treeId) => {
    for (let node = 0; node < tree.features.length; node++, at++) {
      const feature = tree.features[node]!;
      treeIds[at] = treeId;
      nodeIds[at] = node;
      if (feature < 0) {
        modes.push('LEAF');
        continue;
      }
      modes.push('BRANCH_LEQ');
      featureIds[at] = feature;
      thresholds[at] = tree.thresholds[node]!;
      trueIds[at] = tree.left[node]!;
      falseIds[at] = tree.right[node]!;
      missingTrue[at] = tree.missingLeft[node]!;
    }
  });
  return { treeIds, nodeIds, featureIds, thresholds, trueIds, falseIds, missingTrue, modes };
}

function flattenLeaves(trees: readonly Tree[], targets: number) {
  const treeIds: number[] = [];
  const nodeIds: number[] = [];
  const targetIds: number[] = [];
  const weights: number[] = [];
  trees.forEach((tree, treeId) => {
    const width = tree.target === undefined ? targets : 1;
    for (let node = 0; node < tree.features.length; node++) {
      if (tree.features[node]! >= 0) continue;
      for (let index = 0; index < width; index++) {
        treeIds.push(treeId);
        nodeIds.push(node);
        targetIds.push(tree.target ?? index);
        weights.push(tree.values[node * width + index]!);
      }
    }
  });
  return { treeIds, nodeIds, targetIds, weights: Float32Array.from(weights) };
}
