import { describe, expect, it } from 'vitest';
import { makeTable } from '../../../tests/support/make-table.ts';
import type { Table } from '../../datasets/index.ts';
import { parseFeatures } from '../../features/index.ts';
import { createSession, type ModelSession } from '../../models/index.ts';
import type { Answers } from '../score-answers.ts';
import { train } from '../train.ts';
import { compareExport, everyNth } from './compare-export.ts';
import { encodeTable } from './graph-inputs.ts';

/** A model, and its own answers for every row of a table. */
async function prepare(task: 'binary' | 'regression') {
  const table = makeTable({ rows: 300, seed: 1, task, categories: [3], dates: 1 });
  const { onnx } = await train({ train: table, test: table, algorithm: 'linear', seed: 1 });
  const session = await createSession(onnx);
  const { probabilities, values } = await session.run(encodeTable(table, session.signature.inputs, 0, 300));
  const one = everyNth(table, 300);
  return {
    session,
    probabilities: Float64Array.from(probabilities ?? []),
    values: Float64Array.from(values ?? []),
    check: (testAnswers: Answers, checked = session) =>
      compareExport(checked, { train: one, test: table, testAnswers, answer: () => testAnswers }),
  };
}

describe('the check of an export', () => {
  it('fails on one probability that is off, and names the row', async () => {
    const { session, probabilities, check } = await prepare('binary');
    expect(await check({ probabilities })).toMatchObject({ rows: 301, labelMismatches: 0 });
    probabilities[2 * 123 + 1]! += 1e-3;
    await expect(check({ probabilities })).rejects.toThrow(
      /probability 0\.\d+ of yes instead of 0\.\d+, at held-out row 123/,
    );
    await session.release();
  });

  it('fails on a label that is another, though the probabilities agree', async () => {
    const { session, probabilities, check } = await prepare('binary');
    const sure = Array.from({ length: 300 }, (_, i) => i).find(
      (i) => Math.abs(probabilities[2 * i]! - 0.5) > 0.1,
    )!;
    const lying: ModelSession = {
      ...session,
      run: async (batch) => {
        const output = await session.run(batch);
        if (batch.rows > 1) output.labels![sure] = output.labels![sure] === 'yes' ? 'no' : 'yes';
        return output;
      },
    };
    await expect(check({ probabilities }, lying)).rejects.toThrow(`at held-out row ${sure}`);
    await session.release();
  });

  it('fails on one value that is off by a visible part of the spread', async () => {
    const { session, values, check } = await prepare('regression');
    expect((await check({ values })).maxValueDifference).toBe(0);
    values[7]! += 0.01;
    await expect(check({ values })).rejects.toThrow(/value \S+ instead of \S+, at held-out row 7/);
    await session.release();
  });

  it('fails on a feature that the graph computes otherwise than the table has it', async () => {
    const made = makeTable({ rows: 200, seed: 2, numeric: 1 });
    const values = Float64Array.from({ length: 200 }, (_, i) => i - 100);
    const table: Table = {
      ...made,
      columns: [
        ...made.columns,
        {
          name: 'half',
          type: 'numeric',
          source: 'double',
          derived: true,
          values: Float32Array.from(values, (x) => x / 2),
        },
        {
          name: 'side',
          type: 'category',
          derived: true,
          codes: Int32Array.from(values, (x) => (x < 0 ? 0 : 1)),
          categories: ['left', 'right'],
        },
      ],
      raw: [{ name: 'x', type: 'numeric', source: 'double', values }],
    };
    const trainWith = (half: string, side: string) =>
      train({
        train: table,
        test: table,
        algorithm: 'gradient-boosting',
        params: { trees: 3 },
        seed: 1,
        features: parseFeatures({ half, side }, [{ name: 'x', type: 'double' }]),
      });
    const side = "if(x < 0, 'left', 'right')";
    expect((await trainWith('x / 2', side)).exportCheck).toMatchObject({ labelMismatches: 0 });
    await expect(trainWith('x / 2 + if(x = 7, 1e-5, 0)', side)).rejects.toThrow(
      "feature 'half' 3.5000100135803223 instead of 3.5, at held-out row 107",
    );
    await expect(trainWith('x / 2', "if(x <= 0, 'left', 'right')")).rejects.toThrow(
      "feature 'side' 'left' instead of 'right', at held-out row 100",
    );
  });
});
