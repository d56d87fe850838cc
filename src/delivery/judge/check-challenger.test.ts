import { describe, expect, it } from 'vitest';
import { TRAINING_KEY } from '../../models/index.ts';
import { checkCalibration, checkReproducibility } from './check-challenger.ts';
import type { ScoredModel } from './score-model.ts';

describe('reproducibility', () => {
  const told = {
    data: { digest: 'sha256:1' },
    split: { kind: 'time' },
    algorithm: 'linear',
    parameters: {},
    seed: 0,
    code_version: '1.0.0',
    environment: { node: 'v24' },
  };
  const check = (training: object) => checkReproducibility({ [TRAINING_KEY]: JSON.stringify(training) });

  it('asks of the file what training it again takes', () => {
    expect(check(told).state).toBe('passed');
    expect(check({ ...told, seed: undefined, split: undefined })).toEqual({
      name: 'reproducibility',
      state: 'unknown',
      words: 'its file does not tell split, seed',
    });
  });

  it("does not know of another maker's file", () => {
    expect(checkReproducibility({})).toMatchObject({
      state: 'unknown',
      words: 'its file does not tell how it was trained',
    });
  });
});

describe('calibration', () => {
  /** Ten rows, of which the first is right in so many. */
  const scored = (answers: number[], classes: string[], right: number) =>
    ({
      answers: Float32Array.from(Array.from({ length: 10 }, () => answers).flat()),
      labels: Int32Array.from({ length: 10 }, (_, row) => (row < right ? 1 : 0)),
      classes,
      rows: 10,
    }) as unknown as ScoredModel;

  it('is told of two classes, and of the likeliest of more', () => {
    const two = (right: number) => scored([0.25, 0.75], ['no', 'yes'], right);
    expect(checkCalibration(two(5), two(3))?.words).toBe('expected calibration error 0.25, champion 0.45');
    const three = scored([0.125, 0.75, 0.125], ['a', 'b', 'c'], 5);
    expect(checkCalibration(three, three)?.words).toBe('expected calibration error 0.25, champion 0.25');
  });

  it('is not told of values', () => {
    const values = { ...scored([1], [], 0), classes: undefined } as unknown as ScoredModel;
    expect(checkCalibration(values, values)).toBeUndefined();
  });
});
