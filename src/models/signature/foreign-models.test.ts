import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fc } from '../../../tests/support/properties.ts';
import { ApiError } from '../../platform/index.ts';
import { type Dimension, OnnxGraphBuilder } from '../onnx/build-onnx-graph.ts';
import { encodeMessage } from '../onnx/encode-message.ts';
import {
  attributeMessage,
  graphMessage,
  modelHeaderMessage,
  tensorMessage,
  type valueInfoMessage,
} from '../onnx/onnx-schema.ts';
import { readOnnx, refuseExternalData } from '../onnx/read-onnx.ts';
import { createRowCoder } from '../rows/code-rows.ts';
import { compareOutputs, type RecordedExample } from '../session/compare-outputs.ts';
import { createSession } from '../session/create-session.ts';
import { describeOnnx } from './describe-onnx.ts';
import { inferSignature, type SignatureHints } from './infer-signature.ts';

const fixture = (name: string): Uint8Array => readFileSync(new URL(`../fixtures/${name}`, import.meta.url));
const expected = JSON.parse(Buffer.from(fixture('expected.json')).toString('utf8')) as Record<
  string,
  RecordedExample
>;

async function predict(bytes: Uint8Array, rows: RecordedExample['rows'], hints?: SignatureHints) {
  const session = await createSession(bytes, { hints });
  try {
    return await session.run(createRowCoder(session.signature).encode(rows));
  } finally {
    await session.release();
  }
}

const infer = (bytes: Uint8Array, hints?: SignatureHints) => inferSignature(readOnnx(bytes), hints);

describe('models of other makers, without a signature', () => {
  it.each(
    Object.keys(expected).filter((name) => name !== 'sklearn-zipmap' && name !== 'sklearn-boosted-binary'),
  )('%s answers as where it was made', async (name) => {
    const { rows, outputs } = expected[name]!;
    expect(compareOutputs(outputs, await predict(fixture(`${name}.onnx`), rows), 1e-5)).toBeUndefined();
  });

  it('answers booleans where ONNX holds 0 and 1, when told so', async () => {
    const { rows, outputs } = expected['sklearn-boosted-binary']!;
    const answer = await predict(fixture('sklearn-boosted-binary.onnx'), rows, { classes: [false, true] });
    expect(answer.labels).toEqual(outputs.labels);
    expect(new Set(answer.labels)).toEqual(new Set([false, true]));
  });

  it('takes the names of columns, classes and target from who knows them', () => {
    const columns = ['a', 'b', 'c', 'd'];
    const { signature, notes } = infer(fixture('sklearn-forest.onnx'), { columns, target: 'species' });
    expect(signature.columns.map(({ name }) => name)).toEqual(columns);
    expect(signature.inputs[0]!.columns).toEqual(columns);
    expect(signature.output.target).toBe('species');
    expect(notes).toEqual([]);
    expect(() => infer(fixture('sklearn-forest.onnx'), { columns: ['a'] })).toThrow(
      'takes 4 columns, and 1 names',
    );
  });

  it('takes missing values only where the model says what to do with them', () => {
    const nullable = (name: string) => infer(fixture(`${name}.onnx`)).signature.columns[0]!.nullable;
    expect(nullable('xgboost-binary')).toBe(true);
    expect(nullable('lightgbm-binary')).toBe(true);
    expect(nullable('sklearn-forest')).toBe(false);
    expect(nullable('sklearn-logistic')).toBe(false);
  });

  it('says how to export a ZipMap, in words', async () => {
    await expect(createSession(fixture('sklearn-zipmap.onnx'))).rejects.toThrow(
      'export it with zipmap=False',
    );
  });
});

describe('describeOnnx', () => {
  it('tells what a file holds', () => {
    const description = describeOnnx(fixture('sklearn-columns.onnx'));
    expect(description).toMatchObject({
      irVersion: 8,
      producer: 'skl2onnx 1.20.0',
      opsets: { 'ai.onnx': 13, 'ai.onnx.ml': 1 },
      inputs: [
        { name: 'width', type: 'float32', dims: [null, 1] },
        { name: 'count', type: 'int64', dims: [null, 1] },
        { name: 'colour', type: 'string', dims: [null, 1] },
      ],
      nodeCounts: { 'ai.onnx.ml.OneHotEncoder': 1, Concat: 2 },
      signatureSource: 'inferred',
    });
    expect(description.signature!.columns.map(({ type }) => type)).toEqual(['double', 'long', 'string']);
    expect(description.parametersBytes).toBeGreaterThan(100);
    expect(description.parametersBytes).toBeLessThan(description.sizeBytes);
  });

  it('tells why a file cannot be served', () => {
    const description = describeOnnx(fixture('sklearn-zipmap.onnx'));
    expect(description).toMatchObject({ signatureSource: 'none', notes: [] });
    expect(description.outputs[1]).toEqual({
      name: 'output_probability',
      type: 'sequence(map(string, float32))',
    });
    expect(description.problem).toContain('zipmap=False');
  });
});

/** A graph of one node, as PyTorch and others export them. */
function network(
  opType: string,
  outputDims: Dimension[],
  { inputDims = ['batch', 3] as Dimension[], inputName = 'input', elementType = 'float32' as const } = {},
): Uint8Array {
  const graph = new OnnxGraphBuilder();
  graph.input(inputName, elementType, inputDims);
  const width = typeof outputDims[1] === 'number' ? outputDims[1] : 1;
  graph.initializer(
    'w',
    'float32',
    [3, width],
    Array.from({ length: 3 * width }, (_, index) => (index - 2) / 2),
  );
  graph.node('MatMul', [inputName, 'w'], 'scores');
  graph.node(opType, ['scores'], 'answer');
  graph.output('answer', 'float32', outputDims);
  return graph.encode();
}

describe('a graph with one output', () => {
  it('is a regression when it is one number wide', async () => {
    const bytes = network('Identity', ['batch', 1]);
    expect(infer(bytes).signature.output).toEqual({ task: 'regression', target: 'target', value: 'answer' });
    expect((await predict(bytes, [[1, 2, 3]])).values).toEqual(Float32Array.of(-2));
  });

  it('is a binary classifier when Sigmoid makes it', async () => {
    const bytes = network('Sigmoid', ['batch', 1]);
    expect(infer(bytes).signature.output).toMatchObject({ task: 'binary', classes: [0, 1] });
    const { labels, probabilities } = await predict(bytes, [[1, 2, 3]]);
    expect(labels).toEqual([0]);
    expect(probabilities![1]).toBeCloseTo(1 / (1 + Math.exp(2)), 6);
  });

  it('is a classifier when Softmax makes it, and its scores are turned by softmax when not', async () => {
    const rows = [[1, 2, 3]];
    const finished = network('Softmax', ['batch', 4]);
    const scores = network('Identity', ['batch', 4]);
    const { signature, notes } = infer(scores);
    expect(signature.output).toMatchObject({
      task: 'multiclass',
      classes: [0, 1, 2, 3],
      activation: 'softmax',
    });
    expect(notes.join()).toContain('softmax turns into probabilities');
    expect(infer(finished).signature.output).not.toHaveProperty('activation');
    expect(compareOutputs(await predict(finished, rows), await predict(scores, rows), 1e-6)).toBeUndefined();
  });

  it('is a binary classifier by sigmoid when classes are named for one score', async () => {
    const { labels, probabilities } = await predict(network('Identity', ['batch', 1]), [[0, 0, 3]], {
      classes: ['no', 'yes'],
    });
    expect(labels).toEqual(['no']);
    expect(probabilities![0]! + probabilities![1]!).toBeCloseTo(1, 6);
  });
});

describe('a graph that is no model of a table', () => {
  it.each([
    [
      'a picture',
      network('Identity', ['batch', 1], { inputDims: ['batch', 3, 224, 224] }),
      'it is not tabular: its input "input" has the shape [batch, 3, 224, 224]',
    ],
    [
      'a free width',
      network('Identity', ['batch', 1], { inputDims: ['batch', 'columns'] }),
      'does not say how many columns it takes',
    ],
    ['a free number of classes', network('Softmax', ['batch', 'k']), 'does not say its classes'],
    ['an answer of three dimensions', network('Identity', ['batch', 1, 1]), 'has 3 dimensions'],
  ])('%s is refused', (_, bytes, message) => {
    expect(() => infer(bytes)).toThrow(message);
  });

  it.each([
    ['uint8', 'its input "x" is uint8'],
    ['float32', 'none of its outputs holds numbers with a fraction'],
  ] as const)('with %s in and whole numbers out', (elementType, message) => {
    const graph = new OnnxGraphBuilder();
    graph.input('x', elementType, ['rows', 2]);
    graph.node('Cast', ['x'], 'y', { to: { int: 7 } });
    graph.output('y', 'int64', ['rows', 2]);
    expect(() => infer(graph.encode())).toThrow(message);
  });

  it('with several answers', () => {
    const graph = new OnnxGraphBuilder();
    graph.input('x', 'float32', ['rows', 1]);
    for (const name of ['a', 'b']) {
      graph.node('Identity', ['x'], name);
      graph.output(name, 'float32', ['rows', 1]);
    }
    expect(() => infer(graph.encode())).toThrow(
      'not clear which of its outputs is the answer: a (float32), b',
    );
  });

  it('with another number of classes than probabilities', () => {
    const bytes = network('Softmax', ['batch', 4]);
    expect(() => infer(bytes, { classes: ['a', 'b'] })).toThrow(
      'it has 2 classes, but its output "answer" is 4 wide',
    );
  });

  it('without inputs', () => {
    const graph = new OnnxGraphBuilder();
    graph.initializer('c', 'float32', [1, 1], [1]);
    graph.node('Identity', ['c'], 'y');
    graph.output('y', 'float32', [1, 1]);
    expect(() => infer(graph.encode())).toThrow('it has no inputs');
  });
});

describe('files that are no ONNX', () => {
  it.each([
    ['', 'empty'],
    ['\x80\x04\x95', 'a pickle'],
    ['PK\x03\x04', 'a ZIP archive'],
    ['{"learner": {}}', 'text (XGBoost'],
    ['tree\nversion=v4', 'text (XGBoost and LightGBM'],
    ['\x89HDF', 'an HDF5 file'],
    ['\x18\x00\x00\x00ORTM', "ONNX Runtime's own format"],
    ['\x08\x08', 'it has no graph'],
    ['\x08', 'ModelProto is broken'],
  ])('%j are named', (text, message) => {
    expect(() => readOnnx(Buffer.from(text, 'latin1'))).toThrow(message);
    expect(() => readOnnx(Buffer.from(text, 'latin1'))).toThrow(ApiError);
  });

  it('are named by a session too', async () => {
    await expect(createSession(Buffer.from('\x80\x04\x95', 'latin1'))).rejects.toThrow(
      'a pickle, which can run any code',
    );
  });

  it('broken anywhere end in an ApiError or in a readable file, never in anything else', () => {
    const originals = ['sklearn-columns.onnx', 'sklearn-mlp.onnx', 'sklearn-zipmap.onnx'].map(fixture);
    const damage = fc.record({
      original: fc.constantFrom(...originals),
      length: fc.double({ min: 0, max: 1, noNaN: true }),
      changes: fc.array(
        fc.tuple(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat(255)),
        { maxLength: 8 },
      ),
    });
    fc.assert(
      fc.property(damage, ({ original, length, changes }) => {
        const bytes = Uint8Array.from(original.subarray(0, Math.ceil(original.length * length)));
        for (const [place, value] of changes) bytes[Math.floor(place * bytes.length)] = value;
        try {
          describeOnnx(bytes);
          refuseExternalData(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(ApiError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('external data', () => {
  const utf8 = new TextEncoder();
  const elsewhere = encodeMessage(tensorMessage, {
    dims: [1],
    dataType: 1,
    name: 'w',
    externalData: [utf8.encode('\n\blocation\x12\v/etc/passwd')],
    dataLocation: 1,
  });
  const value = (
    name: string,
  ): NonNullable<Parameters<typeof encodeMessage<typeof valueInfoMessage>>[1]> => ({
    name,
    type: { tensor: { elementType: 1, shape: { dimensions: [{ parameter: 'n' }, { value: 1 }] } } },
  });
  const model = (graph: Parameters<typeof encodeMessage<typeof graphMessage>>[1]) =>
    encodeMessage(modelHeaderMessage, {
      irVersion: 8,
      opsets: [{ domain: '', version: 17 }],
      graph: encodeMessage(graphMessage, { inputs: [value('x')], outputs: [value('y')], ...graph }),
    });
  const constant = (attribute: Parameters<typeof encodeMessage<typeof attributeMessage>>[1]) =>
    model({
      nodes: [
        { opType: 'Constant', outputs: ['c'], attributes: [encodeMessage(attributeMessage, attribute)] },
      ],
    });
  const nest = (depth: number): Uint8Array =>
    encodeMessage(graphMessage, {
      nodes: [
        {
          opType: 'If',
          attributes: [
            encodeMessage(attributeMessage, {
              name: 'then_branch',
              graph: depth > 0 ? nest(depth - 1) : encodeMessage(graphMessage, { initializers: [elsewhere] }),
            }),
          ],
        },
      ],
    });

  it.each([
    ['an initialiser', model({ initializers: [elsewhere] })],
    ['an attribute', constant({ name: 'value', tensor: elsewhere, type: 4 })],
    ['a list of tensors', constant({ name: 'values', tensors: [elsewhere], type: 9 })],
    ['a graph in a graph', constant({ name: 'body', graph: nest(2), type: 5 })],
  ])('in %s is refused before ONNX Runtime opens the path', async (_, bytes) => {
    await expect(createSession(bytes)).rejects.toThrow('keeps "w" in another file');
  });

  it('behind graphs nested without end is refused too', () => {
    expect(() => refuseExternalData(constant({ name: 'body', graph: nest(40), type: 5 }))).toThrow(
      'nests graphs',
    );
  });

  it('is not seen where a column is called location', () => {
    const bytes = network('Identity', ['batch', 1], { inputName: 'location' });
    expect(() => refuseExternalData(bytes)).not.toThrow();
  });
});

it.each([2_147_483_647, 10_001])(
  'refuses a file that declares %i columns before it counts them out',
  (columns) => {
    const graph = new OnnxGraphBuilder();
    graph.input('x', 'float32', ['rows', columns]);
    graph.output('y', 'float32', ['rows', 1]);
    graph.node('ReduceSum', ['x'], ['y']);
    expect(() => infer(graph.encode({}))).toThrow(
      `it declares ${columns} columns, and at most 10000 are taken`,
    );
  },
);
