import { describe, expect, it } from 'vitest';
import { syntheticForest } from '../../../tests/support/synthetic-models.ts';
import { ApiError } from '../../platform/index.ts';
import { type Dimension, OnnxGraphBuilder } from '../onnx/build-onnx-graph.ts';
import { createRowCoder } from '../rows/code-rows.ts';
import {
  addMetadata,
  readMetadata,
  readSignature,
  SIGNATURE_KEY,
  writeSignature,
} from '../signature/read-signature.ts';
import { type Signature, signatureSchema } from '../signature/signature.ts';
import { createSession } from './create-session.ts';
import { readOutputs } from './read-outputs.ts';

const signature: Signature = {
  columns: [
    { name: 'a', type: 'double', nullable: false },
    { name: 'b', type: 'long', nullable: false },
  ],
  inputs: [{ name: 'numeric', elementType: 'float32', columns: ['a', 'b'] }],
  output: { task: 'binary', target: 'y', classes: [false, true], probabilities: 'p' },
};

/** P(true) = sigmoid(a + b). */
function model({
  rows = 'rows' as Dimension,
  signed = signature as unknown,
  dims = [rows, 2] as Dimension[],
} = {}) {
  const graph = new OnnxGraphBuilder();
  graph.input('numeric', 'float32', dims);
  graph.initializer('axis', 'int64', [1], [1]);
  graph.node('ReduceSum', ['numeric', 'axis'], 'sum');
  graph.node('Sigmoid', ['sum'], 'p');
  graph.output('p', 'float32', [rows, 1]);
  return graph.encode({ metadata: { [SIGNATURE_KEY]: JSON.stringify(signed) } });
}

describe('a session', () => {
  it('answers labels of the classes’ own type, and both probabilities', async () => {
    const session = await createSession(model());
    expect(session.signature).toEqual(signature);
    expect(session.metadata[SIGNATURE_KEY]).toBeDefined();
    const { labels, probabilities } = await session.run(
      createRowCoder(signature).encode([{ b: 1, a: 0.5 }, [-3, 0]]),
    );
    expect(labels).toEqual([true, false]);
    expect(probabilities!.map((value) => Math.round(value * 1000))).toEqual(
      Float32Array.of(182, 818, 953, 47),
    );
    await session.release();
  });

  it('hands out the derived columns that the graph has as outputs, and no other outputs', async () => {
    const build = (rows: Dimension) => {
      const graph = new OnnxGraphBuilder();
      graph.input('numeric', 'float32', [rows, 2]);
      graph.initializer('axis', 'int64', [1], [1]);
      graph.node('ReduceSum', ['numeric', 'axis'], 'feature:sum');
      graph.node('Sigmoid', ['feature:sum'], 'p');
      graph.node('Identity', ['numeric'], 'feature:wide');
      graph.initializer('words', 'string', [2, 1], ['less', 'more']);
      graph.initializer('half', 'float32', [], [0.5]);
      graph.node('Less', ['half', 'p'], 'above');
      graph.initializer('flat', 'int64', [1], [-1]);
      graph.node('Reshape', ['above', 'flat'], 'above_list');
      graph.node('Cast', ['above_list'], 'index', { to: { int: 7 } });
      graph.node('Gather', ['words', 'index'], 'feature:word', { axis: { int: 0 } });
      graph.output('p', 'float32', [rows, 1]);
      graph.output('feature:sum', 'float32', [rows, 1]);
      graph.output('feature:wide', 'float32', [rows, 2]);
      graph.output('feature:word', 'string', [rows, 1]);
      return graph.encode({ metadata: { [SIGNATURE_KEY]: JSON.stringify(signature) } });
    };
    const rows = createRowCoder(signature).encode([
      [0.5, 1],
      [-3, 0],
    ]);
    for (const dimension of ['rows', 1]) {
      const session = await createSession(build(dimension));
      const { features } = await session.run(rows);
      expect({ ...features }).toEqual({ sum: Float32Array.of(1.5, -3), word: ['more', 'less'] });
      await session.release();
    }
  });

  it('runs a graph that fixes one row, row by row', async () => {
    const session = await createSession(model({ rows: 1 }));
    const coder = createRowCoder(signature);
    const free = await createSession(model());
    const rows = [
      [1, 2],
      [-1, 0],
      [0, 0],
    ];
    expect(await session.run(coder.encode(rows))).toEqual(await free.run(coder.encode(rows)));
    await Promise.all([session.release(), free.release()]);
  });

  it('refuses a graph that fixes another number of rows', async () => {
    await expect(createSession(model({ rows: 5 }))).rejects.toThrow('takes exactly 5 rows');
  });

  it('feeds a graph whose inputs are lists', async () => {
    const graph = new OnnxGraphBuilder();
    graph.input('a', 'float32', ['rows']);
    graph.input('b', 'float32', ['rows']);
    graph.node('Sub', ['a', 'b'], 'y');
    graph.output('y', 'float32', ['rows']);
    const session = await createSession(graph.encode());
    expect(session.signature.columns.map(({ name }) => name)).toEqual(['a', 'b']);
    const { values } = await session.run(
      createRowCoder(session.signature).encode([
        { b: 1, a: 3 },
        { a: 0, b: 5 },
      ]),
    );
    expect(values).toEqual(Float32Array.of(2, -5));
    await session.release();
  });

  it('answers several runs that wait at once', async () => {
    const forest = syntheticForest({ trees: 10, depth: 3, features: 2 });
    const session = await createSession(forest.bytes);
    const coder = createRowCoder(session.signature);
    const rows = Array.from({ length: 20 }, (_, index) => [index / 20, 1 - index / 20]);
    const answers = await Promise.all(rows.map((row) => session.run(coder.encode([row]))));
    answers.forEach(({ values }, index) => {
      expect(values![0]).toBeCloseTo(forest.score(rows[index]!)[0]!, 5);
    });
    await session.release();
  });
});

describe('a file that cannot be served', () => {
  it.each([
    [
      'a signature that is no JSON',
      addMetadata(model(), { [SIGNATURE_KEY]: '{' }),
      'tidemill.signature is no JSON',
    ],
    ['a signature of the wrong form', model({ signed: { columns: [] } }), 'tidemill.signature is broken'],
    [
      'another input than the signature’s',
      model({ signed: { ...signature, inputs: [{ ...signature.inputs[0], name: 'text' }] } }),
      'it has no input "text"',
    ],
    [
      'another output than the signature’s',
      model({ signed: { ...signature, output: { ...signature.output, probabilities: 'q' } } }),
      'it has no output "q"',
    ],
    [
      'another element type',
      model({ signed: { ...signature, inputs: [{ ...signature.inputs[0], elementType: 'float64' }] } }),
      'takes float32, not float64',
    ],
    ['another width', model({ dims: ['rows', 3] }), 'takes 3 columns, not 2'],
  ])('has %s, and says so', async (_, bytes, message) => {
    const refusal = await createSession(bytes).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(ApiError);
    expect((refusal as ApiError).code).toBe('INVALID_PARAMETER_VALUE');
    expect((refusal as ApiError).message).toContain(message);
  });

  it('has an input that the signature does not feed', async () => {
    const graph = new OnnxGraphBuilder();
    graph.input('numeric', 'float32', ['rows', 2]);
    graph.input('more', 'float32', ['rows', 1]);
    graph.node('Add', ['numeric', 'more'], 'p');
    graph.output('p', 'float32', ['rows', 2]);
    const bytes = graph.encode({ metadata: { [SIGNATURE_KEY]: writeSignature(signature) } });
    await expect(createSession(bytes)).rejects.toThrow('its input "more" is not in it');
  });

  it('is cut off, and ONNX Runtime’s places in C++ are not shown', async () => {
    const whole = model();
    const cut = Buffer.concat([whole.subarray(0, 60), whole.subarray(200)]);
    await expect(createSession(cut)).rejects.toThrow(ApiError);
    const graph = new OnnxGraphBuilder();
    graph.input('x', 'float32', ['rows', 1]);
    graph.node('Conv', ['x'], 'y');
    graph.output('y', 'float32', ['rows', 1]);
    const refusal = (await createSession(graph.encode()).catch((error: unknown) => error)) as Error;
    expect(refusal.message).toMatch(/^ONNX Runtime refuses the model: /);
    expect(refusal.message).not.toContain('onnxruntime_src');
  });

  it('brings operators of its own, which are named', async () => {
    const graph = new OnnxGraphBuilder();
    graph.input('x', 'float32', ['rows', 1]);
    graph.node('Evil', ['x'], 'y', {}, 'my.ops');
    graph.output('y', 'float32', ['rows', 1]);
    await expect(createSession(graph.encode())).rejects.toThrow('operators of its own (my.ops.Evil)');
  });

  it('fails on a batch, and says on how many rows', async () => {
    const session = await createSession(model());
    await expect(session.run({ rows: 3, tensors: { numeric: new Float32Array(4) } })).rejects.toThrow(
      'failed on 3 rows',
    );
    await session.release();
  });
});

describe('metadata', () => {
  it('are read and added without touching the graph; the last of a key counts', () => {
    const bytes = addMetadata(addMetadata(model(), { note: 'first', other: 'ü' }), { note: 'second' });
    expect(readMetadata(bytes)).toMatchObject({ note: 'second', other: 'ü' });
    expect(readSignature(bytes)).toEqual(signature);
  });
});

describe('readOutputs', () => {
  const spec = { task: 'multiclass', target: 'y', classes: ['a', 'b', 'c'], probabilities: 'p' } as const;
  const tensor = (data: unknown, dims: number[]) => ({ data, dims });
  const read = (data: ArrayLike<number>, rows: number) =>
    readOutputs(
      { ...spec, classes: [...spec.classes] },
      { p: tensor(Float32Array.from(data), [rows, 3]) },
      rows,
    );

  it('clamps what float32 sums push out of [0, 1], and lets the first of equals win', () => {
    const { labels, probabilities } = read([-1e-7, 1 + 1e-6, 0, 0.4, 0.4, 0.2], 2);
    expect([...probabilities!.subarray(0, 3)]).toEqual([0, 1, 0]);
    expect(labels).toEqual(['b', 'a']);
  });

  it('reads labels as the classes are typed, and keeps one that is no class', () => {
    const classes = [10, 20];
    const results = {
      l: tensor(BigInt64Array.of(20n, 30n), [2]),
      p: tensor(Float64Array.of(0.1, 0.9, 0.5, 0.5), [2, 2]),
    };
    const output = readOutputs(
      { task: 'binary', target: 'y', classes, probabilities: 'p', label: 'l' },
      results,
      2,
    );
    expect(output.labels).toEqual([20, 30]);
    expect(output.probabilities).toEqual(Float32Array.of(0.1, 0.9, 0.5, 0.5));
  });

  it('refuses outputs of another size', () => {
    expect(() => read([0.1, 0.9], 1)).toThrow('has the shape [1, 3], where [1, 3] was expected');
    expect(() =>
      readOutputs({ task: 'regression', target: 'y', value: 'v' }, { v: tensor(['x'], [1]) }, 1),
    ).toThrow('holds no numbers');
    const results = { l: tensor(['a'], [1]), p: tensor(Float32Array.of(1, 0, 0, 1, 0, 0), [2, 3]) };
    expect(() => readOutputs({ ...spec, classes: [...spec.classes], label: 'l' }, results, 2)).toThrow('"l"');
  });
});

describe('the signature', () => {
  const problems = (changes: object): string[] =>
    signatureSchema.safeParse({ ...signature, ...changes }).error?.issues.map(({ message }) => message) ?? [];

  it.each([
    [{ columns: [signature.columns[0], signature.columns[0]] }, 'two columns are called "a"'],
    [
      { columns: [...signature.columns, { name: 'c', type: 'double', nullable: true }] },
      'column "c" is fed to no input',
    ],
    [{ inputs: [...signature.inputs, ...signature.inputs] }, 'two inputs are called "numeric"'],
    [{ inputs: [{ ...signature.inputs[0], columns: ['a', 'b', 'a'] }] }, 'column "a" is fed twice'],
    [{ inputs: [{ ...signature.inputs[0], columns: ['a', 'b', 'x'] }] }, 'takes "x", which is no column'],
    [
      { inputs: [{ ...signature.inputs[0], elementType: 'int64' }] },
      'column "a" is double, which int64 cannot hold',
    ],
    [{ inputs: [{ ...signature.inputs[0], name: '__proto__' }] }, 'an input cannot be called __proto__'],
    [{ output: { ...signature.output, classes: ['x', 'x'] } }, 'a class is named twice'],
    [{ output: { ...signature.output, classes: ['x'] } }, 'a binary model has 2 classes, not 1'],
    [
      {
        columns: [{ name: 'a', type: 'string', nullable: true }],
        inputs: [{ name: 't', elementType: 'string', columns: ['a'] }],
      },
      'column "a" may be missing, but missingText does not say how',
    ],
  ])('refuses what contradicts itself: %#', (changes, message) => {
    expect(problems(changes).join('; ')).toContain(message);
  });

  it('accepts itself', () => {
    expect(problems({})).toEqual([]);
  });
});
