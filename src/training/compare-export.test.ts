import { describe, expect, it } from 'vitest';
import { makeTable } from '../../tests/support/make-table.ts';
import { createSession, type ModelSession } from '../models/index.ts';
import { compareExport, everyNth } from './compare-export.ts';
import { encodeTable } from './graph-inputs.ts';
import type { Answers } from './score-answers.ts';
import { train } from './train.ts';

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
});
