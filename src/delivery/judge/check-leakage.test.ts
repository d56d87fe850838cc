import { describe, expect, it } from 'vitest';
import { createRandom } from '../../platform/index.ts';
import { checkLeakage, compareWithClasses, compareWithValues } from './check-leakage.ts';

const random = createRandom(7);
const noise = () => random() + random() + random() - 1.5;
const values = Array.from({ length: 400 }, () => 20 + 8 * noise());
const labels = Float64Array.from(values);

describe('a column beside a target of values', () => {
  it.each([
    ['itself', (y: number) => y],
    ['on another scale', (y: number) => y * 1.8 + 32],
    ['with its sign turned', (y: number) => -3 * y],
    ['rounded', (y: number) => Math.round(y)],
    ['on another scale, rounded', (y: number) => Math.round(18 * y + 320) / 10],
  ])('is the target: %s', (_, of) => {
    expect(compareWithValues(values.map(of), labels)).toBe('same');
  });

  it.each([
    ['with a little noise', (y: number) => y + 0.1 * noise()],
    ['on a curve', (y: number) => Math.exp(y / 3)],
  ])('nearly predicts it: %s', (_, of) => {
    expect(compareWithValues(values.map(of), labels)).toBe('near');
  });

  it('goes by the same rule as training, so that what training takes is not blocked', () => {
    const levels = (count: number) => values.map((_, row) => Math.floor((row * count) / values.length));
    const ordered = Float64Array.from(values, (_, row) => row);
    expect(compareWithValues(levels(10), ordered)).toBe('same');
    expect(compareWithValues(levels(9), ordered)).not.toBe('same');
    const filled = (share: number) => values.map((y, row) => (row < share * values.length ? y : null));
    expect(compareWithValues(filled(0.5), labels)).toBe('same');
    expect(compareWithValues(filled(0.4), labels)).toBe('near');
  });

  it('is the target when it is exact and the target was rounded', () => {
    expect(compareWithValues(values, labels.map(Math.round))).toBe('same');
  });

  it('nearly predicts it as a text for each value', () => {
    const rounded = labels.map((y) => Math.round(y / 2));
    expect(
      compareWithValues(
        Array.from(rounded, (y) => `group ${y % 1000}`),
        rounded,
      ),
    ).toBe('near');
  });

  it('is none as a text whose values have the same mean, from which each row alone takes its own part away', () => {
    const half = values.slice(0, 200);
    const texts = [...half.map(() => 'a'), ...half.map(() => 'b')];
    expect(compareWithValues(texts, Float64Array.from([...half, ...half]))).toBeUndefined();
  });

  it.each([
    ['strong and honest', (y: number) => y + 2 * noise()],
    ['coarse', (y: number) => (y > 20 ? 1 : 0)],
    ['constant', () => 5],
    ['missing', () => null],
    ['unrelated', () => noise()],
    ['a name of each row', (y: number) => `id ${y}`],
  ])('is none: %s', (_, of) => {
    expect(compareWithValues(values.map<unknown>(of), labels)).toBeUndefined();
  });
});

describe('a column beside a target of classes', () => {
  const classes = Int32Array.from(values, (y) => (y < 15 ? 0 : y < 24 ? 1 : 2));
  const two = classes.map((each) => (each === 0 ? 0 : 1));

  it('is the target under another name, or nearly predicts it as number or as text', () => {
    expect(
      compareWithClasses(
        Array.from(classes, (each) => 'abc'[each]),
        classes,
        3,
      ),
    ).toBe('same');
    expect(compareWithClasses(values, two, 2)).toBe('near');
    const cities = Array.from(classes, (each, row) => `${'abc'[each]}${row % 5}`);
    expect(compareWithClasses(cities, classes, 3)).toBe('near');
    expect(compareWithClasses(cities, two, 2)).toBe('near');
  });

  it('is none when it only helps, or when every row has its own', () => {
    const helps = Array.from(classes, (each, row) => (row % 4 === 0 ? 'x' : 'abc'[each]));
    expect(compareWithClasses(helps, classes, 3)).toBeUndefined();
    expect(
      compareWithClasses(
        Array.from(classes, (_, row) => `id ${row}`),
        classes,
        3,
      ),
    ).toBeUndefined();
    expect(compareWithClasses(values.map(noise), two, 2)).toBeUndefined();
  });

  it('is no leak where one class is nearly all there is', () => {
    const rare = Int32Array.from(values, (_, row) => (row === 0 ? 1 : 0));
    expect(
      compareWithClasses(
        Array.from(values, (_, row) => row % 3),
        rare,
        2,
      ),
    ).toBeUndefined();
  });
});

it('blocks only what does not serve already', () => {
  const rows = values.map((y) => ({ price: y, cents: y * 100, size: noise() }));
  const signature = {
    columns: ['price', 'cents', 'size'].map((name) => ({ name, type: 'double' })),
  } as never;
  const scored = { labels, classes: undefined } as never;
  expect(checkLeakage(signature, rows, scored, new Set(['price']))).toEqual({
    name: 'leakage',
    state: 'blocked',
    words: 'the target under another name: price, cents',
  });
  expect(checkLeakage(signature, rows, scored, new Set(['price', 'cents'])).state).toBe('warning');
  expect(checkLeakage(signature, rows.slice(0, 49), scored, new Set()).state).toBe('unknown');
});
