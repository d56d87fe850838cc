import { describe, expect, it } from 'vitest';
import { fc } from '../../../tests/support/properties.ts';
import { seededRandom, syntheticForest } from '../../../tests/support/synthetic-models.ts';
import { createRowCoder } from '../rows/code-rows.ts';
import { createSession } from '../session/create-session.ts';
import { SIGNATURE_KEY, writeSignature } from '../signature/read-signature.ts';
import { OnnxGraphBuilder } from './build-onnx-graph.ts';
import { addTreeEnsemble, type Tree } from './tree-ensemble.ts';

const FEATURES = 5;

function rawRows(count: number, seed: number): number[][] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () =>
    Array.from({ length: FEATURES }, () => (random() < 0.1 ? Number.NaN : random())),
  );
}

const softmax = (scores: number[]): number[] => {
  const powers = scores.map(Math.exp);
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
};

const sigmoid = ([score]: number[]): number[] => {
  const positive = 1 / (1 + Math.exp(-score!));
  return [1 - positive, positive];
};

describe('tree ensembles', () => {
  it.each([
    ['two classes', ['no', 'yes'], sigmoid],
    ['three classes', [10, 20, 30], softmax],
  ])('of %s answer what the trees say, labels and probabilities', async (_, classes, link) => {
    const forest = syntheticForest({ trees: 30, depth: 4, features: FEATURES, classes });
    const session = await createSession(forest.bytes);
    const rows = rawRows(200, 7);
    const { labels, probabilities } = await session.run(createRowCoder(session.signature).encode(rows));
    await session.release();
    const expected = rows.map((row) => link(forest.score(row)));
    expected.flat().forEach((value, at) => {
      expect(probabilities![at]).toBeCloseTo(value, 6);
    });
    expect(labels).toEqual(expected.map((row) => classes[row.indexOf(Math.max(...row))]));
  });

  it('of a regression answer what the trees say, on one row and on many', async () => {
    const forest = syntheticForest({ trees: 20, depth: 5, features: FEATURES, seed: 3 });
    const session = await createSession(forest.bytes);
    const coder = createRowCoder(session.signature);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 80 }), fc.integer(), async (count, seed) => {
        const rows = rawRows(count, seed);
        const { values } = await session.run(coder.encode(rows));
        rows.forEach((row, index) => {
          expect(values![index]).toBeCloseTo(forest.score(row)[0]!, 5);
        });
      }),
      { numRuns: 20 },
    );
    await session.release();
  });

  it('average leaves that hold a value for each class', async () => {
    const stump = (threshold: number, left: number[], right: number[]): Tree => ({
      features: Int32Array.of(0, -1, -1),
      thresholds: Float32Array.of(threshold, 0, 0),
      left: Int32Array.of(1, 0, 0),
      right: Int32Array.of(2, 0, 0),
      missingLeft: Uint8Array.of(1, 0, 0),
      values: Float32Array.of(0, 0, 0, ...left, ...right),
    });
    const graph = new OnnxGraphBuilder();
    const input = graph.input('numeric', 'float32', ['rows', 1]);
    const trees = [stump(0.5, [1, 0, 0], [0, 1, 0]), stump(1.5, [0.5, 0.5, 0], [0, 0, 1])];
    addTreeEnsemble(graph, { input, trees, targets: 3, baseValues: [0, 0, 0], aggregate: 'AVERAGE' }, 'p');
    graph.output('p', 'float32', ['rows', 3]);
    const signature = writeSignature({
      columns: [{ name: 'a', type: 'double', nullable: true }],
      inputs: [{ name: 'numeric', elementType: 'float32', columns: ['a'] }],
      output: { task: 'multiclass', target: 't', classes: ['x', 'y', 'z'], probabilities: 'p' },
    });
    const session = await createSession(graph.encode({ metadata: { [SIGNATURE_KEY]: signature } }));
    const output = await session.run(createRowCoder(session.signature).encode([[0.5], [1], [2], [null]]));
    await session.release();
    expect([...output.probabilities!]).toEqual([0.75, 0.25, 0, 0.25, 0.75, 0, 0, 0.5, 0.5, 0.75, 0.25, 0]);
    expect(output.labels).toEqual(['x', 'y', 'y', 'x']);
  });

  it('refuse base values that do not match the sums', () => {
    const graph = new OnnxGraphBuilder();
    const input = graph.input('x', 'float32', ['rows', 1]);
    expect(() => addTreeEnsemble(graph, { input, trees: [], targets: 2, baseValues: [0] })).toThrow(
      '2 base values',
    );
  });
});
