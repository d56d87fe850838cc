import { describe, expect, it } from 'vitest';
import { fc } from '../../../tests/support/properties.ts';
import type { BatchOutput, Signature } from '../../models/index.ts';
import { createPredictionWriter, floatText, probabilityText } from './write-prediction.ts';

function write(output: Signature['output'], answer: BatchOutput): any {
  const writer = createPredictionWriter({ output, version: '7"' });
  const place = writer.places(answer)[0] as number;
  const answers = { output: answer, offset: 0, rows: 1, inferenceMs: 0.123456 };
  const written = writer.write(answers, 0, place, 'id', 'previous');
  return { ...JSON.parse(written.answer), place, logged: JSON.parse(`{${written.logged}}`) };
}

const classifier = (classes: (string | number | boolean)[]): Signature['output'] => ({
  task: 'multiclass',
  target: 'y',
  classes,
  probabilities: 'p',
});

describe('a written prediction', () => {
  it('is JSON, whatever the classes are', () => {
    const classes = ['a "quoted" one', 'line\nbreak', '__proto__', 'ü'];
    const answer = write(classifier(classes), { probabilities: Float32Array.of(0.1, 0.2, 0.6, 0.1) });
    expect(answer.prediction).toBe('__proto__');
    expect(Object.keys(answer.probabilities)).toEqual(classes);
    expect(answer).toMatchObject({
      prediction_id: 'id',
      model_version: '7"',
      variant: 'previous',
      confidence: 0.6,
    });
    expect(answer.inference_time_ms).toBe(0.123);
    expect(answer.place).toBe(2);
    expect(answer.logged).toEqual({ p: '__proto__', pr: [0.1, 0.2, 0.6, 0.1] });
  });

  it('keeps the type of the classes, and takes the label that the model says', () => {
    expect(write(classifier([10, 20]), { probabilities: Float32Array.of(0.3, 0.7) }).prediction).toBe(20);
    const labelled = { labels: [false], probabilities: Float32Array.of(0.4, 0.6) };
    expect(write(classifier([false, true]), labelled)).toMatchObject({ prediction: false, confidence: 0.4 });
    expect(write(classifier(['a', 'b']), { labels: ['b'] })).toEqual({
      prediction_id: 'id',
      prediction: 'b',
      model_version: '7"',
      variant: 'previous',
      inference_time_ms: 0.123,
      place: 1,
      logged: { p: 'b' },
    });
  });

  it('writes null for what JSON has no number for', () => {
    const regression: Signature['output'] = { task: 'regression', target: 'y', value: 'v' };
    expect(write(regression, { values: Float32Array.of(Number.NaN) }).prediction).toBeNull();
    expect(write(regression, { values: Float32Array.of(Number.NEGATIVE_INFINITY) }).prediction).toBeNull();
    const labels = ['b'];
    const broken = write(classifier(['a', 'b']), { labels, probabilities: Float32Array.of(Number.NaN, 1) });
    expect(broken.probabilities).toEqual({ a: null, b: 1 });
    expect(broken.logged).toEqual({ p: 'b' });
  });
});

describe('numbers in answers', () => {
  it('are the shortest text of the same float32', () => {
    expect(floatText(Math.fround(0.1))).toBe('0.1');
    expect(floatText(Math.fround(123.456))).toBe('123.456');
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(Math.fround(Number(floatText(value)))).toBe(value === 0 ? 0 : value);
      }),
    );
  });

  it('keep probabilities to seven decimals, and small ones to seven digits', () => {
    expect(probabilityText(Math.fround(0.9))).toBe('0.9');
    expect(probabilityText(1)).toBe('1');
    expect(probabilityText(0)).toBe('0');
    expect(Number(probabilityText(1.5e-9))).toBe(1.5e-9);
    fc.assert(
      fc.property(fc.float({ min: 0, max: 1, noNaN: true }), (value) => {
        expect(Math.abs(Number(probabilityText(value)) - value)).toBeLessThanOrEqual(5e-8);
      }),
    );
  });
});
