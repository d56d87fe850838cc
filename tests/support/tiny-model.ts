import {
  EXAMPLE_KEY,
  FRAMEWORK_KEY,
  OnnxGraphBuilder,
  SIGNATURE_KEY,
  type Signature,
} from '../../src/models/index.ts';

export interface TinyModel {
  /** Two weights of the logistic regression on the columns `a` and `b`. */
  weights: [number, number];
  bias?: number;
  columns?: [string, string];
  /** Left out: the probability that the weights give for the example row; else a wrong record. */
  recordedProbability?: number;
  /** More of the file's metadata. */
  metadata?: Record<string, string>;
}

/** An ONNX file of a few hundred bytes: binary logistic regression on two numeric columns, classes 'no' and 'yes'. */
export function tinyClassifier({
  weights,
  bias = 0,
  columns = ['a', 'b'],
  recordedProbability,
  metadata,
}: TinyModel): Uint8Array {
  const graph = new OnnxGraphBuilder();
  graph.input('numeric', 'float32', ['rows', 2]);
  graph.initializer('weights', 'float32', [2, 1], weights);
  graph.initializer('bias', 'float32', [1], [bias]);
  graph.initializer('one', 'float32', [1], [1]);
  const score = graph.node(
    'Add',
    [graph.node('MatMul', ['numeric', 'weights'], ['product']), 'bias'],
    ['score'],
  );
  const yes = graph.node('Sigmoid', [score], ['yes']);
  const no = graph.node('Sub', ['one', yes], ['no']);
  graph.node('Concat', [no, yes], ['probabilities'], { axis: { int: 1 } });
  graph.output('probabilities', 'float32', ['rows', 2]);
  const signature: Signature = {
    columns: columns.map((name) => ({ name, type: 'double', nullable: false })),
    inputs: [{ name: 'numeric', elementType: 'float32', columns: [...columns] }],
    output: { task: 'binary', target: 'answer', classes: ['no', 'yes'], probabilities: 'probabilities' },
  };
  const p = recordedProbability ?? 1 / (1 + Math.exp(-(weights[0] * 1 + weights[1] * 2 + bias)));
  const example = {
    rows: [{ [columns[0]]: 1, [columns[1]]: 2 }],
    outputs: { labels: [p > 0.5 ? 'yes' : 'no'], probabilities: [[1 - p, p]] },
  };
  return graph.encode({
    metadata: {
      [SIGNATURE_KEY]: JSON.stringify(signature),
      [EXAMPLE_KEY]: JSON.stringify(example),
      [FRAMEWORK_KEY]: 'test',
      ...metadata,
    },
  });
}
