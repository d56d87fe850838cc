import type { Table } from '../../datasets/index.ts';
import type { CalendarPart } from '../../features/index.ts';
import { createCalendarWriter } from '../../features/index.ts';
import {
  addCategoryCodes,
  addCategorySets,
  addTreeEnsemble,
  MISSING_TEXT,
  type OnnxGraphBuilder,
} from '../../models/index.ts';
import { DATETIME_INPUT, type GraphStart, writeAnswer } from '../export/graph-inputs.ts';
import type { BoostedTrees } from './boost-trees.ts';
import type { Tree } from './grow-tree.ts';

/**
 * Writes boosted trees as one TreeEnsembleRegressor over float32, which sums the leaves for each output, and turns the
 * sums into probabilities behind it: a TreeEnsembleClassifier labels some two-class ensembles wrongly.
 *
 * A split on categories reads a column of its own, 0 for the levels that go left and 1 for the others, which a table of
 * the different sets gives for each level.
 */
export function writeBoosting(model: BoostedTrees, table: Table, start: GraphStart): void {
  const { graph } = start;
  const all = model.rounds.flatMap((round) => round.map((tree, output) => ({ tree, output })));
  const planted = all.filter(({ tree }) => tree.feature[0]! >= 0);
  const base = model.baseScores.slice();
  for (const { tree, output } of all) if (tree.feature[0]! < 0) base[output]! += tree.value[0]!;
  const scores = graph.freshName('scores');
  if (planted.length === 0) {
    writeConstant(graph, start.inputs[0]!.name, base, scores);
  } else {
    const { matrix, places } = writeFeatures(model, start, table, planted);
    const trees = planted.map((item) => toEnsembleTree(item, model, places));
    const ensemble = { input: matrix, trees, targets: base.length };
    if (new Set(planted.map(({ output }) => output)).size === base.length) {
      addTreeEnsemble(graph, { ...ensemble, baseValues: [...base] }, scores);
    } else {
      // ONNX Runtime 1.30 forgets the base value of an output that no tree adds to.
      const sums = addTreeEnsemble(graph, { ...ensemble, baseValues: Array.from(base, () => 0) }, 'sums');
      const bases = graph.initializer(graph.freshName('base'), 'float32', [1, base.length], base);
      graph.node('Add', [sums, bases], scores);
    }
  }
  writeAnswer(graph, table, scores, base.length);
}

interface PlantedTree {
  tree: Tree;
  output: number;
}

/** Where a node finds its value in the matrix: by feature for numbers, by feature and set for categories. */
interface Places {
  numbers: Map<number, number>;
  sets: Map<string, number>;
}

const setKey = (feature: number, leftBins: Uint8Array): string => `${feature}:${leftBins.join('')}`;

function writeFeatures(model: BoostedTrees, start: GraphStart, table: Table, planted: PlantedTree[]) {
  const { graph, inputs, places } = start;
  const numbers = new Map<number, number>();
  const sets = new Map<string, number>();
  const used = new Set(planted.flatMap(({ tree }) => [...tree.feature]));
  const pieces: string[] = [];
  let width = 0;

  const columnsOf = (input: string) => inputs.find(({ name }) => name === input)?.columns.length ?? 0;
  const usedIn = (input: string) =>
    model.features.flatMap((feature, f) =>
      used.has(f) && places[feature.column]!.input === input ? [f] : [],
    );

  for (const block of start.numberBlocks) {
    if (usedIn(block.name).length === 0) continue;
    pieces.push(block.name);
    for (const f of usedIn(block.name)) numbers.set(f, width + places[model.features[f]!.column]!.position);
    width += block.width;
  }
  const byPart = Map.groupBy(usedIn(DATETIME_INPUT), (f) => model.features[f]!.part as CalendarPart);
  const calendar = createCalendarWriter(graph, DATETIME_INPUT);
  for (const [part, features] of byPart) {
    pieces.push(calendar.writeNumber(part));
    for (const f of features) numbers.set(f, width + places[model.features[f]!.column]!.position);
    width += columnsOf(DATETIME_INPUT);
  }
  for (const [f, { column, binCount, kind }] of model.features.entries()) {
    if (kind !== 'category' || !used.has(f)) continue;
    const members: Uint8Array[] = [];
    for (const { tree } of planted) {
      tree.leftBins.forEach((leftBins, node) => {
        if (tree.feature[node] !== f || !leftBins || sets.has(setKey(f, leftBins))) return;
        sets.set(setKey(f, leftBins), width + members.length);
        members.push(leftBins);
      });
    }
    const levels = binCount - 2;
    const codes = addCategoryCodes(graph, {
      text: places[column]!.input,
      column: places[column]!.position,
      categories: levelsOf(table, column).slice(0, levels),
      missingText: MISSING_TEXT,
    });
    // Bins count unknown text before missing text, codes count it after.
    const codeOf = (bin: number) => (bin < levels ? bin : bin === levels ? levels + 1 : levels);
    const leftCodes = members.map((leftBins) =>
      [...leftBins.keys()].filter((bin) => leftBins[bin] === 1).map(codeOf),
    );
    pieces.push(addCategorySets(graph, { codes, levels: binCount, sets: leftCodes }));
    width += members.length;
  }
  const matrix =
    pieces.length === 1
      ? pieces[0]!
      : graph.node('Concat', pieces, graph.freshName('features'), { axis: { int: 1 } });
  return { matrix, places: { numbers, sets } };
}

function levelsOf(table: Table, index: number): string[] {
  const column = table.columns[index]!;
  return column.type === 'category' ? column.categories : [];
}

/** The same tree, asking for columns and values of the matrix instead of bins. */
function toEnsembleTree({ tree, output }: PlantedTree, model: BoostedTrees, places: Places) {
  const features = Int32Array.from(tree.feature, (f, node) => {
    if (f < 0) return -1;
    const leftBins = tree.leftBins[node];
    return leftBins ? places.sets.get(setKey(f, leftBins))! : places.numbers.get(f)!;
  });
  const thresholds = Float32Array.from(tree.feature, (f, node) => {
    if (f < 0) return 0;
    if (tree.leftBins[node]) return 0.5;
    return model.features[f]!.thresholds[tree.bin[node]!] ?? Number.POSITIVE_INFINITY;
  });
  const { left, right, missingLeft } = tree;
  return {
    features,
    thresholds,
    left,
    right,
    missingLeft,
    values: Float32Array.from(tree.value),
    target: output,
  };
}

/** The same scores for every row. */
function writeConstant(graph: OnnxGraphBuilder, input: string, base: Float64Array, scores: string): void {
  const shape = graph.node('Shape', [input], graph.freshName('shape'), {
    start: { int: 0 },
    end: { int: 1 },
  });
  const width = graph.initializer(graph.freshName('outputs'), 'int64', [1], [base.length]);
  const full = graph.node('Concat', [shape, width], graph.freshName('full_shape'), { axis: { int: 0 } });
  const values = graph.initializer(
    graph.freshName('base'),
    'float32',
    [1, base.length],
    Float32Array.from(base),
  );
  graph.node('Expand', [values, full], scores);
}
