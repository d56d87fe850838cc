import { createHash } from 'node:crypto';
import {
  addCategoryCodes,
  addMetadata,
  addTreeEnsemble,
  createRowCoder,
  createSession,
  EXAMPLE_KEY,
  FRAMEWORK_KEY,
  MISSING_TEXT,
  OnnxGraphBuilder,
  PROFILE_KEY,
  SIGNATURE_KEY,
  type Signature,
  type Tree,
  writeSignature,
} from '../../src/models/index.ts';
import {
  CLASS_COLUMN,
  columnOf,
  encodeSpec,
  type ProfileSpec,
  SCORE_COLUMN,
  specOf,
} from '../../src/profiles/index.ts';

/** Repeatable pseudo-random numbers from 0 to 1 (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const IRIS_COLUMNS = [
  'sepal length (cm)',
  'sepal width (cm)',
  'petal length (cm)',
  'petal width (cm)',
] as const;
export const IRIS_CLASSES = ['setosa', 'versicolor', 'virginica'];
export const SETOSA = [5.1, 3.5, 1.4, 0.2];
export const SETOSA_ROW = Object.fromEntries(IRIS_COLUMNS.map((name, i) => [name, SETOSA[i]]));

function numericColumns(names: readonly string[], nullable = false): Signature['columns'] {
  return names.map((name) => ({ name, type: 'double', nullable }));
}

/** A softmax over linear scores that tells irises well enough; `shift` makes versions that answer differently. */
export function irisModel(shift = 0): Uint8Array {
  const graph = new OnnxGraphBuilder();
  graph.input('numeric', 'float32', ['rows', 4]);
  const weights = [-0.4, 0.5, -0.1, 1, -0.3, -0.7, -2.5, -0.2, 2.7, -1.1, -0.9, 2];
  graph.initializer('weights', 'float32', [4, 3], weights);
  graph.initializer('bias', 'float32', [3], [9.8 + shift, 2.2 + shift / 2, -12]);
  graph.node('MatMul', ['numeric', 'weights'], 'products');
  graph.node('Add', ['products', 'bias'], 'scores');
  graph.node('Softmax', ['scores'], 'probabilities', { axis: { int: -1 } });
  graph.output('probabilities', 'float32', ['rows', 3]);
  return encoded(graph, {
    columns: numericColumns(IRIS_COLUMNS),
    inputs: [{ name: 'numeric', elementType: 'float32', columns: [...IRIS_COLUMNS] }],
    output: { task: 'multiclass', target: 'species', classes: IRIS_CLASSES, probabilities: 'probabilities' },
  });
}

/** y = 2 a - 3 b + shift; `b` may be missing, and then NaN is the answer. */
export function lineModel(shift = 0): Uint8Array {
  const graph = new OnnxGraphBuilder();
  graph.input('numeric', 'float32', ['rows', 2]);
  graph.initializer('weights', 'float32', [2, 1], [2, -3]);
  graph.initializer('bias', 'float32', [1], [shift]);
  graph.node('MatMul', ['numeric', 'weights'], 'products');
  graph.node('Add', ['products', 'bias'], 'value');
  graph.output('value', 'float32', ['rows', 1]);
  return encoded(graph, {
    columns: [...numericColumns(['a']), ...numericColumns(['b'], true)],
    inputs: [{ name: 'numeric', elementType: 'float32', columns: ['a', 'b'] }],
    output: { task: 'regression', target: 'y', value: 'value' },
  });
}

/** value = amount + 10 x (the plan's place in free, pro, team; 3 missing, 4 unseen) + years since 1970. */
export function mixedModel(): Uint8Array {
  const categories = ['free', 'pro', 'team'];
  const graph = new OnnxGraphBuilder();
  graph.input('numeric', 'float32', ['rows', 1]);
  graph.input('text', 'string', ['rows', 1]);
  graph.input('datetime', 'int64', ['rows', 1]);
  const codes = addCategoryCodes(graph, { text: 'text', column: 0, categories, missingText: MISSING_TEXT });
  graph.initializer('column', 'int64', [2], [-1, 1]);
  graph.initializer('ten', 'float32', [1], [10]);
  graph.initializer('year', 'int64', [1], [31_556_952_000]);
  graph.node('Reshape', [codes, 'column'], 'codes_column');
  graph.node('Cast', ['codes_column'], 'codes_float', { to: { int: 1 } });
  graph.node('Mul', ['codes_float', 'ten'], 'plan_value');
  graph.node('Div', ['datetime', 'year'], 'years');
  graph.node('Cast', ['years'], 'years_float', { to: { int: 1 } });
  graph.node('Add', ['numeric', 'plan_value'], 'sum');
  graph.node('Add', ['sum', 'years_float'], 'value');
  graph.output('value', 'float32', ['rows', 1]);
  return encoded(graph, {
    columns: [
      { name: 'plan', type: 'string', nullable: true, categories },
      { name: 'amount', type: 'long', nullable: false },
      { name: 'since', type: 'datetime', nullable: false },
    ],
    inputs: [
      { name: 'numeric', elementType: 'float32', columns: ['amount'] },
      { name: 'text', elementType: 'string', columns: ['plan'] },
      { name: 'datetime', elementType: 'int64', columns: ['since'] },
    ],
    output: { task: 'regression', target: 'value', value: 'value' },
    missingText: MISSING_TEXT,
  });
}

/** Random complete trees: answers nothing sensible, but costs what a trained one of the size costs. */
export function forestModel(options: {
  trees: number;
  depth: number;
  features: number;
  seed?: number;
  shift?: number;
}): Uint8Array {
  const { trees, depth, features, seed = 1, shift = 0 } = options;
  const random = seededRandom(seed);
  const names = Array.from({ length: features }, (_, i) => `feature_${i}`);
  const graph = new OnnxGraphBuilder();
  graph.input('numeric', 'float32', ['rows', features]);
  const grown = Array.from({ length: trees }, () => randomTree(depth, features, trees, random));
  const scores = addTreeEnsemble(graph, { input: 'numeric', trees: grown, targets: 1, baseValues: [shift] });
  graph.node('Sigmoid', [scores], 'probabilities');
  graph.output('probabilities', 'float32', ['rows', 1]);
  return encoded(graph, {
    columns: numericColumns(names, true),
    inputs: [{ name: 'numeric', elementType: 'float32', columns: names }],
    output: { task: 'binary', target: 'outcome', classes: ['no', 'yes'], probabilities: 'probabilities' },
  });
}

function randomTree(depth: number, features: number, trees: number, random: () => number): Tree {
  const inner = 2 ** depth - 1;
  const nodes = 2 ** (depth + 1) - 1;
  const tree = {
    features: new Int32Array(nodes).fill(-1),
    thresholds: new Float32Array(nodes),
    left: new Int32Array(nodes),
    right: new Int32Array(nodes),
    missingLeft: new Uint8Array(nodes),
    values: new Float32Array(nodes),
  };
  for (let node = 0; node < nodes; node++) {
    if (node < inner) {
      tree.features[node] = Math.floor(random() * features);
      tree.thresholds[node] = random();
      tree.left[node] = 2 * node + 1;
      tree.right[node] = 2 * node + 2;
      tree.missingLeft[node] = random() < 0.5 ? 1 : 0;
    } else tree.values[node] = ((random() - 0.5) * 4) / Math.sqrt(trees);
  }
  return { ...tree, target: 0 };
}

function encoded(graph: OnnxGraphBuilder, signature: Signature): Uint8Array {
  return graph.encode({
    metadata: { [SIGNATURE_KEY]: writeSignature(signature), [FRAMEWORK_KEY]: 'tidemill' },
  });
}

/** The model with an example that it answered here, as the trainer records one. */
export async function withExample(model: Uint8Array, rows: Record<string, unknown>[]): Promise<Uint8Array> {
  const session = await createSession(model);
  const { labels, probabilities, values } = await session.run(createRowCoder(session.signature).encode(rows));
  const width = (probabilities?.length ?? 0) / rows.length;
  const outputs = {
    labels,
    probabilities:
      probabilities && rows.map((_, i) => Array.from(probabilities.subarray(i * width, (i + 1) * width))),
    values: values && [...values],
  };
  await session.release();
  return addMetadata(model, { [EXAMPLE_KEY]: JSON.stringify({ rows, outputs }) });
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The model with an example, and with a profile spec of its columns, its score and its class, as the trainer makes one. */
export async function withProfile(
  model: Uint8Array,
  rows: Record<string, unknown>[],
): Promise<{ bytes: Uint8Array; spec: ProfileSpec }> {
  const session = await createSession(model);
  const { columns, output } = session.signature;
  await session.release();
  const random = seededRandom(7);
  const numbers = (scale: number) => columnOf(Float64Array.from({ length: 2000 }, () => random() * scale));
  const spec = specOf(
    [
      ...columns.map(({ name, type, categories = [] }) => ({
        name,
        values:
          type === 'string'
            ? columnOf(Array.from({ length: 2000 }, (_, i) => categories[i % categories.length] ?? null))
            : numbers(8),
      })),
      { name: SCORE_COLUMN, values: numbers(1) },
      ...(output.task === 'regression'
        ? []
        : [
            {
              name: CLASS_COLUMN,
              values: columnOf(
                Array.from({ length: 2000 }, (_, i) => String(output.classes[i % output.classes.length])),
              ),
            },
          ]),
    ],
    2000,
  );
  const bytes = addMetadata(await withExample(model, rows), { [PROFILE_KEY]: encodeSpec(spec) });
  return { bytes, spec };
}
