import { describe, expect, it } from 'vitest';
import { createRowCoder, MISSING_TEXT, type Signature } from '../../../models/index.ts';
import { columnOf, createProfile, type NamedColumn, specOf } from '../../../profiles/index.ts';
import { createColumnViews } from './profile-columns.ts';

const signature: Signature = {
  columns: [
    { name: 'size', type: 'double', nullable: true },
    { name: 'precise', type: 'double', nullable: true },
    { name: 'count', type: 'long', nullable: false },
    { name: 'is_new', type: 'boolean', nullable: false },
    { name: 'day', type: 'datetime', nullable: true },
    { name: 'plan', type: 'string', nullable: true },
  ],
  inputs: [
    { name: 'numeric', elementType: 'float32', columns: ['size', 'is_new'] },
    { name: 'double', elementType: 'float64', columns: ['precise'] },
    { name: 'whole', elementType: 'int64', columns: ['count', 'day'] },
    { name: 'texts', elementType: 'string', columns: ['plan'] },
  ],
  output: { task: 'multiclass', target: 'y', classes: ['a', 'b', 'c'], probabilities: 'p' },
  missingText: MISSING_TEXT,
};

const even = (most: number) => columnOf(Float64Array.from({ length: 100 }, (_, i) => (i * most) / 100));
const texts = (...values: string[]) =>
  columnOf(Array.from({ length: 100 }, (_, i) => values[i % values.length] ?? ''));
const COLUMNS: NamedColumn[] = [
  { name: 'size', values: even(10) },
  { name: 'precise', values: even(10) },
  { name: 'count', values: even(10) },
  { name: 'is_new', values: texts('false', 'true') },
  { name: 'day', values: even(1e12) },
  { name: 'plan', values: texts('free', 'pro') },
  { name: 'hour', values: even(24) },
  { name: 'weekday', values: texts('mon', 'tue') },
  { name: '@score', values: even(1) },
  { name: '@class', values: texts('a', 'b', 'c') },
  { name: 'gone', values: even(1) },
];

describe('the columns of a profile in a batch', () => {
  it('are found in the tensors, in what the graph derives, and in the answer', () => {
    const spec = specOf(COLUMNS, 100);
    const batch = createRowCoder(signature).encode([
      { size: 1, precise: 0.5, count: 3, is_new: true, day: 1e11, plan: 'pro' },
      { size: null, precise: 1, count: 4, is_new: false, day: null, plan: null },
      { size: 99, precise: null, count: 5, is_new: true, day: '2001-04-01', plan: 'team' },
    ]);
    const output = {
      probabilities: Float32Array.of(0.7, 0.2, 0.1, 0.1, 0.2, 0.7, 0.25, 0.5, 0.25),
      features: { hour: Float32Array.of(7, Number.NaN, 23), weekday: ['mon', MISSING_TEXT, 'sun'] },
    };
    const profile = createProfile(spec);
    profile.add(3, createColumnViews(spec, signature)({ batch, output, classCodes: Int32Array.of(0, 2, 1) }));
    const of = (name: string) => profile.columns[COLUMNS.findIndex((column) => column.name === name)]!;
    expect(profile.rows).toBe(3);
    expect(of('size')).toMatchObject({ count: 2, missing: 1, mean: 50 });
    expect(of('size').bins.at(-1)).toBe(1);
    expect(of('precise')).toMatchObject({ count: 2, missing: 1, mean: 0.75 });
    expect(of('count')).toMatchObject({ count: 3, missing: 0, mean: 4 });
    expect([...of('is_new').bins].slice(0, 2)).toEqual([1, 2]);
    expect(of('day')).toMatchObject({ count: 2, missing: 1 });
    expect(of('plan')).toMatchObject({ count: 2, missing: 1, unseen: 1 });
    expect(of('hour')).toMatchObject({ count: 2, missing: 1, mean: 15 });
    expect(of('weekday')).toMatchObject({ count: 2, missing: 1, unseen: 1 });
    expect(of('@score').mean).toBeCloseTo((0.7 + 0.7 + 0.5) / 3, 6);
    expect([...of('@class').bins].slice(0, 3)).toEqual([1, 1, 1]);
    expect(of('gone')).toMatchObject({ count: 0, missing: 0 });
  });

  it('are the second probability of two classes, and the value of a regression', () => {
    const spec = specOf([{ name: '@score', values: even(10) }], 100);
    const scoreOf = (task: Signature['output'], output: object) => {
      const profile = createProfile(spec);
      const batch = { rows: 2, tensors: {} };
      const views = createColumnViews(spec, { ...signature, output: task });
      profile.add(2, views({ batch, output, classCodes: new Int32Array(2) }));
      return profile.columns[0]?.mean;
    };
    const binary = { task: 'binary' as const, target: 'y', classes: [false, true], probabilities: 'p' };
    expect(scoreOf(binary, { probabilities: Float32Array.of(0.75, 0.25, 0.5, 0.5) })).toBe(0.375);
    const regression = { task: 'regression' as const, target: 'y', value: 'v' };
    expect(scoreOf(regression, { values: Float32Array.of(1, 4) })).toBe(2.5);
  });
});
