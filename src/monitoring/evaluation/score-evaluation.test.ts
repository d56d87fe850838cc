import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { tinyClassifier } from '../../../tests/support/tiny-model.ts';
import { ingestFile } from '../../datasets/index.ts';
import { createScoringChild } from './scoring-child.ts';

const DAY_MS = 86_400_000;
const FIRST_DAY = 20_000;
const scoring = createScoringChild();
let request: Parameters<typeof scoring.score>[0];

afterAll(() => scoring.stop());

/** Four days of 60 rows and a fifth that is cut off; on the third the labels are turned round. */
beforeAll(async () => {
  const folder = tempDir();
  const lines = Array.from({ length: 250 }, (_, i) => {
    const day = Math.floor(i / 60);
    const a = ((i * 37) % 100) / 25 - 2;
    const b = ((i * 61) % 100) / 25 - 2;
    const isYes = a > b !== (day === 2);
    return `${a},${b},${isYes ? 'yes' : 'no'},${(FIRST_DAY + day) * DAY_MS + (i % 60) * 60_000}`;
  });
  writeFileSync(join(folder, 'rows.csv'), `a,b,answer,__time\n${lines.join('\n')}\n`);
  const heldOutPath = join(folder, 'heldout.parquet');
  await ingestFile({ path: join(folder, 'rows.csv'), outPath: heldOutPath });
  const modelPath = join(folder, 'model.onnx');
  writeFileSync(modelPath, tinyClassifier({ weights: [1, -1] }));
  request = { modelPath, heldOutPath, metric: 'roc_auc', everyMs: DAY_MS, rows: 60 };
});

it('measures a model on its evaluation set, window by window as it will serve', async () => {
  const windows = await scoring.score(request);
  expect(windows.map(({ from, to, rows }) => [from / DAY_MS, to / DAY_MS, rows])).toEqual(
    [0, 1, 2, 3].map((day) => [FIRST_DAY + day, FIRST_DAY + day + 1, 60]),
  );
  expect(windows.map(({ value }) => value)).toEqual([1, 1, 0, 1]);
  expect(windows[0]!.loss).toBeLessThan(windows[0]!.baseline!);
  expect(windows[2]!.loss).toBeGreaterThan(windows[2]!.baseline!);
});

it('answers one question after the other, and goes on after one that cannot be answered', async () => {
  const [broken, loss] = await Promise.allSettled([
    scoring.score({ ...request, heldOutPath: '/nowhere.parquet' }),
    scoring.score({ ...request, metric: 'log_loss' }),
  ]);
  expect(broken).toMatchObject({ status: 'rejected' });
  expect(loss).toMatchObject({ status: 'fulfilled' });
  const [first] = loss.status === 'fulfilled' ? loss.value : [];
  expect(first!.value).toBeCloseTo(first!.loss!, 12);
});
