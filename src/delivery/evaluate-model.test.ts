import { expect, it } from 'vitest';
import { lineModel } from '../../tests/support/served-models.ts';
import { tinyClassifier } from '../../tests/support/tiny-model.ts';
import { evaluateModel } from './index.ts';

it('measures a classifier on labelled rows', async () => {
  const rows = [
    { a: 1, b: 0 },
    { a: 0, b: 1 },
    { a: 2, b: 1 },
    { a: 1, b: 2 },
  ];
  const evaluation = await evaluateModel({
    onnx: tinyClassifier({ weights: [1, -1] }),
    rows,
    targets: ['yes', 'no', 'yes', 'yes'],
  });
  expect(evaluation).toMatchObject({ task: 'binary', target: 'answer', rows: 4 });
  expect(evaluation.metrics['accuracy']).toBe(0.75);
  // Three rows answer with probability 1/(1+e^-1) for the truth, one with its complement.
  expect(evaluation.metrics['log_loss']).toBeCloseTo(
    (3 * Math.log(1 + Math.exp(-1)) + Math.log(1 + Math.E)) / 4,
    5,
  );
  await expect(
    evaluateModel({ onnx: tinyClassifier({ weights: [1, 1] }), rows, targets: ['yes', 'no', 'maybe', 'no'] }),
  ).rejects.toThrow("has the value 'maybe', which is none of the model's classes (no, yes)");
  await expect(
    evaluateModel({ onnx: tinyClassifier({ weights: [1, 1] }), rows: [], targets: [] }),
  ).rejects.toThrow('no rows');
  await expect(evaluateModel({ onnx: new Uint8Array([1, 2]), rows, targets: [] })).rejects.toThrow('ONNX');
});

it('measures a regression on labelled rows', async () => {
  // The model is y = 2 a - 3 b.
  const rows = [
    { a: 1, b: 1 },
    { a: 2, b: 0 },
  ];
  const { task, metrics } = await evaluateModel({ onnx: lineModel(), rows, targets: [0, 4] });
  expect(task).toBe('regression');
  expect(metrics['mae']).toBeCloseTo(0.5, 6);
  expect(metrics['rmse']).toBeCloseTo(Math.SQRT1_2, 6);
  await expect(evaluateModel({ onnx: lineModel(), rows, targets: [0, 'four'] })).rejects.toThrow(
    "'four', which is no number",
  );
});
