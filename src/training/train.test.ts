import { describe, expect, it } from 'vitest';
import { makeTable, sliceTable } from '../../tests/support/make-table.ts';
import { fc } from '../../tests/support/properties.ts';
import type { Table } from '../datasets/index.ts';
import { createRowCoder, createSession, EXAMPLE_KEY, readMetadata, TRAINING_KEY } from '../models/index.ts';
import { type TrainingProgress, train } from './index.ts';

const halves = (table: Table) => ({
  train: sliceTable(table, 0, Math.ceil(table.rows / 2)),
  test: sliceTable(table, Math.ceil(table.rows / 2), table.rows),
});

const tasks = ['regression', 'binary', 'multiclass'] as const;
const algorithms = ['gradient-boosting', 'linear'] as const;

describe('training', () => {
  it('exports what answers as the trainer does, on any table', async () => {
    const request = fc.record({
      rows: fc.integer({ min: 20, max: 300 }),
      seed: fc.nat(),
      task: fc.constantFrom(...tasks),
      numeric: fc.integer({ min: 0, max: 6 }),
      dates: fc.integer({ min: 0, max: 2 }),
      categories: fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 2 }),
      missingShare: fc.constantFrom(0, 0.1, 0.9),
    });
    const params = fc.record({
      trees: fc.integer({ min: 1, max: 12 }),
      learning_rate: fc.constantFrom(0.1, 1),
      max_depth: fc.integer({ min: 0, max: 5 }),
      min_leaf: fc.constantFrom(1, 5),
      bins: fc.constantFrom(2, 5, 255),
      subsample: fc.constantFrom(0.5, 1),
      column_sample: fc.constantFrom(0.5, 1),
      early_stopping_rounds: fc.constantFrom(0, 3),
      validation_share: fc.constantFrom(0.1, 0.4),
    });
    await fc.assert(
      fc.asyncProperty(
        request,
        params,
        fc.constantFrom(...algorithms),
        async (shape, boosting, algorithm) => {
          const anyColumn = shape.numeric + shape.dates + shape.categories.length > 0;
          const data = halves(makeTable({ ...shape, numeric: anyColumn ? shape.numeric : 1 }));
          fc.pre(!data.train.target.every((value) => value === data.train.target[0]));
          const model = await train({
            ...data,
            algorithm,
            params: algorithm === 'linear' ? { l2: boosting.learning_rate } : boosting,
            seed: shape.seed,
          });
          expect(model.exportCheck.rows).toBe(shape.rows);
          expect(model.importance.length).toBe(data.train.columns.length);
        },
      ),
      { numRuns: 60 },
    );
  }, 120_000);

  for (const algorithm of algorithms) {
    it(`learns every task far better than a guesser (${algorithm})`, async () => {
      const table = { rows: 4000, seed: 5, dates: 1, categories: [12], missingShare: 0.02 };
      for (const task of ['binary', 'multiclass'] as const) {
        const { metrics } = await train({ ...halves(makeTable({ ...table, task })), algorithm, seed: 1 });
        expect(metrics['roc_auc']).toBeGreaterThan(0.85);
        expect(metrics['log_loss']).toBeLessThan(0.8 * metrics['baseline_log_loss']!);
      }
      const { metrics } = await train({
        ...halves(makeTable({ ...table, task: 'regression' })),
        algorithm,
        seed: 1,
      });
      expect(metrics['r2']).toBeGreaterThan(algorithm === 'linear' ? 0.65 : 0.75);
      expect(metrics['baseline_r2']).toBeLessThan(0.01);
    });

    it(`gives the same bytes for the same seed (${algorithm})`, async () => {
      const data = halves(
        makeTable({ rows: 600, seed: 3, task: 'multiclass', categories: [5], missingShare: 0.1 }),
      );
      const params: Record<string, number> =
        algorithm === 'linear' ? {} : { trees: 5, subsample: 0.7, column_sample: 0.5 };
      const first = await train({ ...data, algorithm, params, seed: 7 });
      const second = await train({ ...data, algorithm, params, seed: 7 });
      expect(Buffer.from(first.onnx).equals(Buffer.from(second.onnx))).toBe(true);
    });

    it(`moves the answers towards the rare class with balanced weights (${algorithm})`, async () => {
      const table = makeTable({ rows: 4000, seed: 8 });
      const keep = Int32Array.from(table.target.keys()).filter((i) => table.target[i] === 0 || i % 10 === 0);
      const rare = { ...table, rows: keep.length, target: Float64Array.from(keep, (i) => table.target[i]!) };
      rare.columns = table.columns.map((column) =>
        column.type === 'numeric'
          ? { ...column, values: Float32Array.from(keep, (i) => column.values[i]!) }
          : column,
      );
      const data = halves(rare);
      const small: Record<string, number> = algorithm === 'linear' ? {} : { trees: 20, max_depth: 3 };
      const recallOf = async (classWeight: string) => {
        const { report } = await train({
          ...data,
          algorithm,
          params: { class_weight: classWeight, ...small },
          seed: 1,
        });
        return 'perClass' in report.heldOut ? report.heldOut.perClass[1]!.recall : Number.NaN;
      };
      expect(await recallOf('balanced')).toBeGreaterThan((await recallOf('none')) + 0.15);
    });
  }

  it('changes with the seed where rows are drawn', async () => {
    const data = halves(makeTable({ rows: 400, seed: 3 }));
    const params = { trees: 3, subsample: 0.5 };
    const [first, second] = await Promise.all(
      [1, 2].map((seed) => train({ ...data, algorithm: 'gradient-boosting', params, seed })),
    );
    expect(first!.metrics['log_loss']).not.toBe(second!.metrics['log_loss']);
  });

  it('stops early on validation rows, and tells the metric as it goes', async () => {
    const data = halves(makeTable({ rows: 600, seed: 2, numeric: 2 }));
    const seen: TrainingProgress[] = [];
    const { report } = await train({
      ...data,
      algorithm: 'gradient-boosting',
      params: { trees: 500, early_stopping_rounds: 5, learning_rate: 0.3 },
      seed: 1,
      onProgress: (progress) => seen.push(progress),
    });
    expect(report.iterations).toBeLessThan(100);
    expect(seen.length).toBe(report.iterations + 5);
    expect(seen[0]).toMatchObject({ iteration: 1, total: 500, metric: 'validation_log_loss' });
    const values = seen.map((progress) => progress.value);
    expect(values.indexOf(Math.min(...values)) + 1).toBe(report.iterations);
  });

  it('can be stopped by a signal', async () => {
    const data = halves(makeTable({ rows: 2000, seed: 2 }));
    for (const algorithm of algorithms) {
      const controller = new AbortController();
      const run = train({
        ...data,
        algorithm,
        seed: 1,
        signal: controller.signal,
        onProgress: () => controller.abort(new Error('enough')),
      });
      await expect(run).rejects.toThrow('enough');
    }
  });

  it('finds the columns that matter', async () => {
    const table = makeTable({ rows: 3000, seed: 4, numeric: 1, categories: [8] });
    const noise = makeTable({ rows: 3000, seed: 99, numeric: 1 }).columns[0]!;
    table.columns.push({ ...noise, name: 'noise' });
    for (const algorithm of algorithms) {
      const { importance } = await train({ ...halves(table), algorithm, seed: 1 });
      expect(importance.at(-1)!.column).toBe('noise');
      expect(importance.at(-1)!.share).toBeLessThan(0.1);
      expect(importance.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);
    }
  });

  it('writes into the file what a server compares and what made it', async () => {
    const table = makeTable({
      rows: 200,
      seed: 6,
      task: 'multiclass',
      dates: 1,
      categories: [4],
      missingShare: 0.2,
    });
    const model = await train({
      ...halves(table),
      algorithm: 'gradient-boosting',
      params: { trees: '3' },
      seed: 9,
      provenance: { data: 'sha256:abc' },
    });
    const metadata = readMetadata(model.onnx);
    expect(JSON.parse(metadata[TRAINING_KEY]!)).toMatchObject({
      algorithm: 'gradient-boosting',
      parameters: { trees: 3, learning_rate: 0.1 },
      seed: 9,
      data: 'sha256:abc',
    });
    const example = JSON.parse(metadata[EXAMPLE_KEY]!);
    expect(example.rows.length).toBe(5);
    const session = await createSession(model.onnx);
    const output = await session.run(createRowCoder(session.signature).encode(example.rows));
    expect(output.labels).toEqual(example.outputs.labels);
    expect([...output.probabilities!]).toEqual(example.outputs.probabilities.flat());
    await session.release();
  });

  it('says that a missing value may be sent only where the rows had some', async () => {
    const table = makeTable({ rows: 100, seed: 1, numeric: 2 });
    (table.columns[0] as { values: Float32Array }).values[3] = Number.NaN;
    const { signature } = await train({ ...halves(table), algorithm: 'linear', seed: 1 });
    expect(signature.columns.map((column) => column.nullable)).toEqual([true, false]);
  });
});

describe('hard tables', () => {
  const refusal = (table: Table, params = {}) =>
    train({ train: table, test: sliceTable(table, 0, 0), algorithm: 'gradient-boosting', params, seed: 1 });

  it('are refused in words when nothing can be learned', async () => {
    const table = makeTable({ rows: 50, seed: 1 });
    await expect(refusal({ ...table, columns: [] })).rejects.toThrow(/no column to learn 'target' from/);
    await expect(refusal(sliceTable(table, 0, 1))).rejects.toThrow(
      /at least 2 rows with a target, and there are 1/,
    );
    await expect(refusal({ ...table, target: new Float64Array(50) })).rejects.toThrow(
      /'target' is "no" in all 50 training rows/,
    );
    const numbers = makeTable({ rows: 50, seed: 1, task: 'regression' });
    await expect(refusal({ ...numbers, target: new Float64Array(50).fill(2.5) })).rejects.toThrow(
      /is 2.5 in all 50/,
    );
    await expect(refusal(numbers, { class_weight: 'balanced' })).rejects.toThrow(
      /class_weight is for classes/,
    );
  });

  for (const algorithm of algorithms) {
    it(`with columns that are all missing or constant are learned without them (${algorithm})`, async () => {
      for (const task of tasks) {
        const table = makeTable({ rows: 300, seed: 1, task, numeric: 3, categories: [2], dates: 1 });
        (table.columns[0] as { values: Float32Array }).values.fill(Number.NaN);
        (table.columns[1] as { values: Float32Array }).values.fill(4);
        const { importance } = await train({ ...halves(table), algorithm, seed: 1 });
        const share = Object.fromEntries(importance.map((column) => [column.column, column.share]));
        expect(share['number 0']).toBe(0);
        expect(share['number 1']).toBeLessThan(1e-6);
      }
    });

    it(`with a thousand levels keep the frequent ones apart (${algorithm})`, async () => {
      const table = makeTable({ rows: 6000, seed: 2, numeric: 1, categories: [1000] });
      const { metrics, exportCheck } = await train({ ...halves(table), algorithm, seed: 1 });
      expect(metrics['roc_auc']).toBeGreaterThan(0.75);
      expect(exportCheck.rows).toBe(6000);
    });

    it(`with text outside the categories take it as one level of its own (${algorithm})`, async () => {
      const table = makeTable({ rows: 2000, seed: 3, numeric: 1, categories: [8], missingShare: 0.1 });
      const kind = table.columns[1] as { codes: Int32Array; categories: string[] };
      kind.categories.length = 3;
      kind.codes = kind.codes.map((code) => Math.min(code, 3));
      const { onnx } = await train({ ...halves(table), algorithm, seed: 1 });
      const session = await createSession(onnx);
      const answer = async (value: string | null) =>
        (
          await session.run(
            createRowCoder(session.signature).encode([{ 'number 0': 0.5, 'category 0': value }]),
          )
        ).probabilities![1]!;
      expect(await answer('never seen')).toBe(await answer('level 7'));
      expect(await answer('never seen')).not.toBe(await answer(null));
      await session.release();
    });

    it(`with infinite and huge numbers still agree (${algorithm})`, async () => {
      const table = makeTable({ rows: 400, seed: 2, numeric: 2 });
      const { values } = table.columns[0] as { values: Float32Array };
      values[0] = Number.POSITIVE_INFINITY;
      values[1] = Number.NEGATIVE_INFINITY;
      values[2] = 3e38;
      values[3] = -3e38;
      values[4] = -0;
      const { exportCheck } = await train({ train: table, test: table, algorithm, params: {}, seed: 1 });
      expect(exportCheck.rows).toBe(800);
    });
  }

  it('are learned alike in every unit of the target', async () => {
    const table = makeTable({ rows: 1000, seed: 2, task: 'regression' });
    const scoreOf = async (factor: number, offset: number) => {
      const moved = { ...table, target: table.target.map((value) => value * factor + offset) };
      const data = halves(moved);
      return train({ ...data, algorithm: 'gradient-boosting', params: { trees: 30 }, seed: 1 });
    };
    const { metrics } = await scoreOf(1, 0);
    for (const [factor, offset] of [
      [1e-6, 0],
      [1e9, 0],
      [1e-2, 100],
    ] as const) {
      expect((await scoreOf(factor, offset)).metrics['r2']).toBeCloseTo(metrics['r2']!, 3);
    }
    expect((await scoreOf(1e-3, 1e6)).warnings[0]).toMatch(/'target' varies by 0.00\d+ around 1000000/);
  });

  it('with two rows give a model that guesses, and say so', async () => {
    const table = makeTable({ rows: 40, seed: 1, task: 'regression' });
    const model = await train({
      train: sliceTable(table, 0, 2),
      test: table,
      algorithm: 'gradient-boosting',
      seed: 1,
    });
    expect(model.warnings[0]).toMatch(
      /No split of any column was worth making \(2 rows, at least 20 in a leaf\)/,
    );
  });

  it('with a class that has no training rows never answer it', async () => {
    const table = makeTable({ rows: 400, seed: 1, task: 'multiclass' });
    table.classes!.push('never');
    const { report } = await train({ ...halves(table), algorithm: 'gradient-boosting', seed: 1 });
    expect('confusion' in report.heldOut && report.heldOut.confusion.every((row) => row[3] === 0)).toBe(true);
  });
});
