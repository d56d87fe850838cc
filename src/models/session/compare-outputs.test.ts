import { describe, expect, it } from 'vitest';
import { syntheticForest } from '../../../tests/support/synthetic-models.ts';
import { createRowCoder } from '../rows/code-rows.ts';
import { addMetadata, EXAMPLE_KEY } from '../signature/read-signature.ts';
import { compareOutputs, exampleOf, recordExample, verifyExample } from './compare-outputs.ts';
import { createSession } from './create-session.ts';

const two = {
  labels: ['a', 'b'],
  probabilities: [
    [0.7, 0.3],
    [0.4, 0.6],
  ],
};

describe('compareOutputs', () => {
  it('finds nothing between equals, whichever form they have', () => {
    expect(compareOutputs(two, two)).toBeUndefined();
    expect(
      compareOutputs(two, { labels: ['a', 'b'], probabilities: Float32Array.of(0.7, 0.3, 0.4, 0.6) }),
    ).toBeUndefined();
    expect(
      compareOutputs({ values: [1000, Number.NaN] }, { values: Float32Array.of(1000.05, Number.NaN) }),
    ).toBeUndefined();
  });

  it.each([
    [two, { ...two, labels: ['a', 'a'] }, 'row 1: "a" instead of "b"'],
    [
      two,
      {
        ...two,
        probabilities: [
          [0.7, 0.3],
          [0.41, 0.59],
        ],
      },
      'row 1, probability 0: 0.41 instead of 0.4',
    ],
    [two, { labels: ['a'], probabilities: [[0.7, 0.3]] }, '1 rows instead of 2'],
    [two, { labels: ['a', 'b'] }, 'no probability was answered'],
    [two, { probabilities: two.probabilities }, 'no label was answered'],
    [{ labels: ['a', 'b'] }, { labels: ['a'] }, '1 rows instead of 2'],
    [two, { labels: ['a', 'b'], probabilities: [[1], [1]] }, '1 probabilities a row instead of 2'],
    [{ values: [1] }, { values: [1.1] }, 'row 0, value: 1.1 instead of 1'],
    [{ values: [1] }, { values: [Number.NaN] }, 'row 0, value: NaN instead of 1'],
    [{ values: [1, 2] }, { values: [1] }, '1 rows instead of 2'],
    [{ values: [1] }, two, 'no value was answered'],
  ])('%#: says what differs', (expected, actual, message) => {
    expect(compareOutputs(expected, actual)).toBe(message);
  });

  it('lets labels differ where probabilities tie', () => {
    const tie = { labels: ['a'], probabilities: [[0.50001, 0.49999]] };
    expect(compareOutputs(tie, { ...tie, labels: ['b'] })).toBeUndefined();
  });
});

describe('a recorded example', () => {
  const forest = syntheticForest({ trees: 5, depth: 3, features: 3, classes: ['no', 'yes'] });
  const rows = [{ f2: 0.1, f0: Number.NaN, f1: 0.9 }, [0.2, 0.3, null]];

  it('is verified by the session of the file that carries it', async () => {
    const maker = await createSession(forest.bytes);
    const example = await recordExample(maker, rows);
    expect(await verifyExample(maker)).toBeUndefined();
    await maker.release();
    expect(example.rows).toEqual([
      { f0: null, f1: 0.9, f2: 0.1 },
      { f0: 0.2, f1: 0.3, f2: null },
    ]);

    const session = await createSession(
      addMetadata(forest.bytes, { [EXAMPLE_KEY]: JSON.stringify(example) }),
    );
    expect(exampleOf(session.metadata)).toEqual(example);
    expect(await verifyExample(session)).toBeUndefined();
    await session.release();
  });

  it('that another model answered is told from it', async () => {
    const other = await createSession(
      syntheticForest({ trees: 5, depth: 3, features: 3, classes: ['no', 'yes'], seed: 9 }).bytes,
    );
    const example = await recordExample(other, rows);
    await other.release();
    const session = await createSession(
      addMetadata(forest.bytes, { [EXAMPLE_KEY]: JSON.stringify(example) }),
    );
    expect(await verifyExample(session)).toMatch(/^row 0, probability 0: /);
    await session.release();
  });

  it('of a regression holds values, and dates as text', async () => {
    const session = await createSession(syntheticForest({ trees: 5, depth: 3, features: 3 }).bytes);
    const example = await recordExample(session, [[0.5, 0.5, 0.5]]);
    const { values } = await session.run(createRowCoder(session.signature).encode(example.rows));
    expect(example.outputs).toEqual({ values: [...values!] });
    await session.release();
  });

  it('is none when it is broken', () => {
    for (const text of ['{', '1', 'null', '{"rows":[]}', '{"rows":[{}],"outputs":null}']) {
      expect(exampleOf({ [EXAMPLE_KEY]: text })).toBeUndefined();
    }
    expect(exampleOf({})).toBeUndefined();
  });
});
