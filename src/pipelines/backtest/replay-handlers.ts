import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HandlerContext } from '../../jobs/index.ts';
import { ApiError } from '../../platform/index.ts';
import { valuesOfSpec } from './count-answers.ts';
import type {
  LoadedTimes,
  ReplayedJudging,
  ReplayedServing,
  ReplayedTraining,
  ReplayJudging,
  ReplayServing,
  ReplayTable,
  ReplayTraining,
} from './replay-tasks.ts';

type Row = Record<string, unknown>;

/** Rows a run of a model. */
const BATCH_ROWS = 1024;
/** Windows with fewer rows are not tested; the same border as where a platform watches. */
const LEAST_TESTED_ROWS = 200;

/** One process replays one table; its rows are read once. */
let loaded: { path: string; rows: Row[] } | undefined;

async function rowsOf({ parquetPath, schema }: ReplayTable): Promise<Row[]> {
  if (loaded?.path === parquetPath) return loaded.rows;
  const { readRows } = await import('../../datasets/index.ts');
  const rows: Row[] = [];
  const text = schema.filter(({ type }) => type === 'string').map(({ name }) => name);
  for await (const batch of readRows(parquetPath, { text })) for (const row of batch) rows.push(row);
  loaded = { path: parquetPath, rows };
  return rows;
}

/** What a backtest's child processes do. */
export const replayHandlers = {
  'replay-table': async (table: ReplayTable): Promise<LoadedTimes> => {
    const rows = await rowsOf(table);
    const times = Float64Array.from(rows, (row) => {
      const value = row[table.time];
      return typeof value === 'number' ? value : Date.parse(String(value));
    });
    return { times, targets: rows.map((row) => row[table.target] as string | number | boolean) };
  },

  'replay-train': async (
    { folder, table, from, to, options }: ReplayTraining,
    { signal }: HandlerContext,
  ): Promise<ReplayedTraining> => {
    const { composeTable } = await import('../../datasets/index.ts');
    const { trainInto } = await import('../../training/index.ts');
    const { id, time, target } = table;
    const composed = await composeTable({
      sources: [{ parquetPath: table.parquetPath, from, to, targetIsComputed: true }],
      schema: table.schema,
      target,
      time,
      ...(id !== undefined && { id }),
      outPath: join(folder, 'window.parquet'),
      signal,
    });
    const { testFrom, ...rest } = options;
    const trained = await trainInto(folder, {
      ...rest,
      table: { ...composed, parquetPath: composed.path, name: table.name },
      target: composed.targetName,
      time,
      ...(id !== undefined && { id }),
      split: { kind: 'time', testFrom },
      signal,
    });
    const { modelPath, heldOutPath, referencePath, metrics, heldOutRows } = trained;
    return {
      modelPath,
      heldOutPath,
      heldOutSha256: createHash('sha256')
        .update(await readFile(heldOutPath))
        .digest('hex'),
      referencePath,
      metrics,
      heldOutRows,
      trainedRows: composed.rows - heldOutRows,
    };
  },

  'replay-judge': async (input: ReplayJudging): Promise<ReplayedJudging> => {
    const { judgeChallenger } = await import('../../delivery/index.ts');
    return judgeChallenger(input);
  },

  'replay-serve': async (
    { modelPath, referencePath, table, firstRow, windows }: ReplayServing,
    { signal }: HandlerContext,
  ): Promise<ReplayedServing> => {
    const { createRowCoder, createSession } = await import('../../models/index.ts');
    const { createProfile, decodeReference } = await import('../../profiles/index.ts');
    const { prepareReference, testWindow } = await import('../../monitoring/index.ts');
    const all = await rowsOf(table);
    const reference = decodeReference(await readFile(referencePath, 'utf8'));
    const prepared = prepareReference(reference);
    const session = await createSession(await readFile(modelPath));
    try {
      const { signature } = session;
      const coder = createRowCoder(signature);
      const { output } = signature;
      const width = output.task === 'regression' ? 1 : output.classes.length;
      const answers = new Float32Array((all.length - firstRow) * width);
      const answer = async (first: number, last: number, profile?: ReturnType<typeof createProfile>) => {
        for (let start = first; start < last; start += BATCH_ROWS) {
          signal.throwIfAborted();
          const rows = all.slice(start, Math.min(last, start + BATCH_ROWS));
          const batch = await session.run(coder.encode(rows));
          const values = batch.probabilities ?? batch.values;
          if (!values)
            throw new ApiError('INTERNAL_ERROR', 'The model answers neither probabilities nor values');
          answers.set(values, (start - firstRow) * width);
          profile?.add(rows.length, valuesOfSpec(reference.spec, signature, rows, batch));
        }
      };
      const tests: ReplayedServing['tests'] = [];
      let at = firstRow;
      for (const { index, first, last } of windows) {
        if (first > at) await answer(at, first);
        const profile = createProfile(reference.spec);
        await answer(first, last, profile);
        at = last;
        if (last - first < LEAST_TESTED_ROWS) continue;
        tests.push({
          index,
          // The others are shown where a platform watches, and raise no alarm.
          tests: testWindow(reference.spec, prepared, profile)
            .filter(({ isWatched }) => isWatched)
            .map(({ column, aspect, p }) => ({ column, aspect, p })),
        });
      }
      if (at < all.length) await answer(at, all.length);
      return {
        firstRow,
        answers,
        ...(output.task === 'regression' ? {} : { classes: output.classes }),
        testCount: prepared.tests,
        tests,
      };
    } finally {
      await session.release();
    }
  },
};
