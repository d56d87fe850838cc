import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tempDir } from '../../tests/support/index.ts';
import { tinyClassifier } from '../../tests/support/tiny-model.ts';
import { answerJudgeRequest, judgeInProcess } from './run-judge.ts';

function write(bytes: Uint8Array | string): string {
  const path = join(tempDir(), 'model.onnx');
  writeFileSync(path, bytes);
  return path;
}

it('judges in a process of its own, and tells what is wrong with a broken file', async () => {
  expect(await judgeInProcess({ challengerPath: write(tinyClassifier({ weights: [1, 2] })) })).toEqual({
    example: 'reproduced',
  });
  const { broken } = await judgeInProcess({ challengerPath: write('no model') });
  expect(broken).toBeTypeOf('string');
});

it('takes a child that dies as a broken version', async () => {
  const input = { challengerPath: write(tinyClassifier({ weights: [1, 2] })) };
  const judgement = await judgeInProcess(input, { onStart: (child) => child.kill('SIGKILL') });
  expect(judgement.broken).toContain('SIGKILL');
});

it('gives up a child that takes too long', async () => {
  const input = { challengerPath: write(tinyClassifier({ weights: [1, 2] })) };
  await expect(judgeInProcess(input, { timeLimitMs: 1 })).rejects.toThrow('took longer than 1 ms');
});

it('passes errors on with their code', async () => {
  const answers: unknown[] = [];
  const challengerPath = write(tinyClassifier({ weights: [1, 2] }));
  const missing = {
    challengerPath,
    championPath: '/nowhere.onnx',
    heldOut: { path: '/nowhere.parquet', sha256: '' },
  };
  await answerJudgeRequest(missing, (answer) => answers.push(answer));
  expect(answers).toMatchObject([
    { error: { code: 'INTERNAL_ERROR', message: expect.stringContaining('nowhere') } },
  ]);
});
