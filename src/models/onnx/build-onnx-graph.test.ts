import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { OnnxGraphBuilder } from './build-onnx-graph.ts';
import { addCategoryCodes, addCategorySets } from './category-splits.ts';
import { readAttribute, readOnnx, readTensor, tensorValues } from './read-onnx.ts';

async function runGraph(
  bytes: Uint8Array,
  feeds: Record<string, ort.Tensor>,
): Promise<ort.InferenceSession.OnnxValueMapType> {
  const session = await ort.InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 4 });
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}

const values = (result: ort.InferenceSession.OnnxValueMapType, name: string) =>
  Array.from((result[name] as ort.Tensor).data as Iterable<unknown>);

describe('OnnxGraphBuilder', () => {
  it('writes a linear model that ONNX Runtime computes', async () => {
    const graph = new OnnxGraphBuilder();
    graph.input('x', 'float32', ['rows', 2]);
    graph.initializer('w', 'float32', [2, 1], [2, -3]);
    graph.initializer('b', 'float32', [1], [0.5]);
    graph.node('Gemm', ['x', 'w', 'b'], 'y', { alpha: { float: 2 } });
    graph.output('y', 'float32', ['rows', 1]);
    const result = await runGraph(graph.encode(), { x: new ort.Tensor('float32', [1, 1, 2, 0], [2, 2]) });
    expect(values(result, 'y')).toEqual([-1.5, 8.5]);
  });

  it('writes every element type and attribute type', async () => {
    const graph = new OnnxGraphBuilder();
    graph.input('x', 'int64', ['rows']);
    graph.initializer('f64', 'float64', [1], [1.5]);
    graph.initializer('i32', 'int32', [1], [7]);
    graph.initializer('i64', 'int64', [2], [-(2n ** 63n), 2n ** 63n - 1n]);
    graph.initializer('flag', 'bool', [2], [1, 0]);
    graph.initializer('bytes', 'uint8', [2], [0, 255]);
    graph.initializer('texts', 'string', [2], ['ä', '']);
    for (const name of ['f64', 'i32', 'i64', 'flag', 'bytes', 'texts'])
      graph.node('Identity', [name], `${name}_out`);
    const encoder = {
      keys_int64s: { ints: [1, 2] },
      values_floats: { floats: [0.5, 0.25] },
      default_float: { float: -1 },
    };
    graph.node('LabelEncoder', ['x'], 'coded', encoder, 'ai.onnx.ml');
    const tensor = { elementType: 'float32', dims: [1], data: [9] } as const;
    graph.node('ConstantOfShape', [graph.initializer('shape', 'int64', [1], [2])], 'filled', {
      value: { tensor },
    });
    graph.output('f64_out', 'float64', [1]);
    graph.output('i32_out', 'int32', [1]);
    graph.output('i64_out', 'int64', [2]);
    graph.output('flag_out', 'bool', [2]);
    graph.output('bytes_out', 'uint8', [2]);
    graph.output('texts_out', 'string', [2]);
    graph.output('coded', 'float32', ['rows']);
    graph.output('filled', 'float32', [2]);
    const result = await runGraph(graph.encode(), {
      x: new ort.Tensor('int64', BigInt64Array.of(2n, 3n, 1n), [3]),
    });
    expect(values(result, 'f64_out')).toEqual([1.5]);
    expect(values(result, 'i32_out')).toEqual([7]);
    expect(values(result, 'i64_out')).toEqual([-(2n ** 63n), 2n ** 63n - 1n]);
    expect(values(result, 'flag_out').map(Number)).toEqual([1, 0]);
    expect(values(result, 'bytes_out')).toEqual([0, 255]);
    expect(values(result, 'texts_out')).toEqual(['ä', '']);
    expect(values(result, 'coded')).toEqual([0.25, -1, 0.5]);
    expect(values(result, 'filled')).toEqual([9, 9]);
  });

  it('is read back with its operator sets, nodes, attributes, constants and metadata', () => {
    const graph = new OnnxGraphBuilder('named');
    graph.input('x', 'float32', ['rows', 3]);
    graph.initializer('w', 'float32', [3], [1, 2, 3]);
    graph.node('Mul', ['x', 'w'], 'y');
    const attributes = { offset: { floats: [0.5] }, scale: { floats: Float32Array.of(2) } };
    graph.node('Scaler', ['y'], 'z', attributes, 'ai.onnx.ml');
    graph.output('z', 'float32', ['rows', 3]);
    const model = readOnnx(
      graph.encode({ metadata: { a: '1', b: 'ü' }, opset: 18, mlOpset: 4, irVersion: 9 }),
    );
    expect(model.irVersion).toBe(9);
    expect(model.opsets).toEqual([
      { domain: '', version: 18 },
      { domain: 'ai.onnx.ml', version: 4 },
    ]);
    expect(model.metadata).toEqual([
      { key: 'a', value: '1' },
      { key: 'b', value: 'ü' },
    ]);
    expect(model.graph.name).toBe('named');
    expect(model.graph.nodes.map(({ opType }) => opType)).toEqual(['Mul', 'Scaler']);
    expect(readAttribute(model.graph.nodes[1]!, 'scale')?.floats).toEqual([2]);
    expect(readAttribute(model.graph.nodes[1]!, 'nothing')).toBeUndefined();
    expect(tensorValues(readTensor(model.graph.initializers[0]!))).toEqual([1, 2, 3]);
  });

  it('refuses a graph that cannot run, by name', () => {
    const graph = new OnnxGraphBuilder();
    graph.input('x', 'float32', ['rows', 1]);
    expect(() => graph.node('Relu', ['y'], 'z')).toThrow('takes "y", which nothing before it makes');
    expect(() => graph.input('x', 'float32', [1])).toThrow('Two values of the graph are called "x"');
    expect(() => graph.initializer('w', 'float32', [2, 2], [1, 2, 3])).toThrow(
      '[2, 2] needs 4 values, and has 3',
    );
    expect(graph.freshName('x')).toBe('x_2');
    graph.output('missing', 'float32', [1]);
    expect(() => graph.encode()).toThrow('Output "missing" is made by no node');
  });
});

describe('category splits', () => {
  it('code known, missing and unseen text, and look sets up', async () => {
    const graph = new OnnxGraphBuilder();
    const text = graph.input('text', 'string', ['rows', 2]);
    const codes = addCategoryCodes(
      graph,
      { text, column: 1, categories: ['red', 'blue'], missingText: '?' },
      'codes',
    );
    addCategorySets(graph, { codes, levels: 4, sets: [[0], [1, 2], new Set([3])] }, 'sets');
    graph.output('codes', 'int64', ['rows']);
    graph.output('sets', 'float32', ['rows', 3]);
    const rows = ['x', 'blue', 'x', 'red', 'x', '?', 'x', 'green'];
    const result = await runGraph(graph.encode(), { text: new ort.Tensor('string', rows, [4, 2]) });
    expect(values(result, 'codes')).toEqual([1n, 0n, 2n, 3n]);
    expect(values(result, 'sets')).toEqual([1, 0, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0]);
  });

  it('keep a large table as bytes, with the same answers', async () => {
    const levels = 1100;
    const graph = new OnnxGraphBuilder();
    const codes = graph.input('codes', 'int64', ['rows']);
    const sets = Array.from({ length: 1000 }, (_, index) => [index]);
    addCategorySets(graph, { codes, levels, sets }, 'sets');
    graph.output('sets', 'float32', ['rows', 1000]);
    const bytes = graph.encode();
    expect(bytes.byteLength).toBeLessThan(1.2e6);
    const result = await runGraph(bytes, {
      codes: new ort.Tensor('int64', BigInt64Array.of(5n, 1099n), [2]),
    });
    const answer = values(result, 'sets');
    expect(answer.flatMap((value, index) => (value === 0 ? [index] : []))).toEqual([5]);
    expect(() => addCategorySets(graph, { codes, levels: 2, sets: [[2]] })).toThrow(
      'Code 2 is not among 2 levels',
    );
  });
});
