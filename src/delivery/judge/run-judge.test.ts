import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { endlessLoopModel } from '../../../tests/support/hostile-models.ts';
import { tempDir } from '../../../tests/support/index.ts';
import { tinyClassifier } from '../../../tests/support/tiny-model.ts';
import { OnnxGraphBuilder } from '../../models/index.ts';
import { answerJudgeRequest, judgeInProcess, judgeTheEnd } from './run-judge.ts';

function write(bytes: Uint8Array | string): string {
  const path = join(tempDir(), 'model.onnx');
  writeFileSync(path, bytes);
  return path;
}

it('judges in a process of its own, and tells what is wrong with a broken file', async () => {
  expect(await judgeInProcess({ challengerPath: write(tinyClassifier({ weights: [1, 2] })) })).toEqual({
    example: 'reproduced',
    checks: [
      { name: 'example', state: 'passed', words: expect.any(String) },
      { name: 'reproducibility', state: 'unknown', words: expect.any(String) },
    ],
    notes: [],
  });
  const { broken } = await judgeInProcess({ challengerPath: write('no model') });
  expect(broken).toBeTypeOf('string');
});

it.each(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
  'says nothing of the version when the child is ended by %s',
  async (signal) => {
    const input = { challengerPath: write(tinyClassifier({ weights: [1, 2] })) };
    await expect(judgeInProcess(input, { onStart: (child) => child.kill(signal) })).rejects.toMatchObject({
      code: 'TEMPORARILY_UNAVAILABLE',
      message: expect.stringContaining(`was ended by ${signal}; try again`),
    });
  },
);

it('takes a child that crashes as a broken version', async () => {
  const input = { challengerPath: write(tinyClassifier({ weights: [1, 2] })) };
  const judgement = await judgeInProcess(input, { onStart: (child) => child.kill('SIGSEGV') });
  expect(judgement.broken).toContain('SIGSEGV');
});

it('tells a want of memory and a failed process from a broken version, with what they said last', () => {
  const tail = 'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n';
  expect(() => judgeTheEnd({ code: null, signal: 'SIGABRT', tail })).toThrow('heap out of memory');
  expect(() => judgeTheEnd({ code: 1, signal: null, tail: 'no module' })).toThrow(
    'The judging process ended with exit code 1 and no answer: no module',
  );
  expect(judgeTheEnd({ code: null, signal: 'SIGABRT', tail: 'invalid pointer' }).broken).toContain(
    'invalid pointer',
  );
});

it('says nothing of the version when no process can be started', async () => {
  const input = { challengerPath: write(tinyClassifier({ weights: [1, 2] })) };
  await expect(judgeInProcess(input, { execPath: '/nowhere/node' })).rejects.toMatchObject({
    code: 'TEMPORARILY_UNAVAILABLE',
    message: expect.stringContaining('ENOENT'),
  });
});

it('ends the child when nobody waits for it any longer', async () => {
  const input = { challengerPath: write(tinyClassifier({ weights: [1, 2] })) };
  const controller = new AbortController();
  const ended = Promise.withResolvers<string | null>();
  const judging = judgeInProcess(input, {
    signal: controller.signal,
    onStart: (child) => child.once('exit', (_code, signal) => ended.resolve(signal)),
  });
  controller.abort(new Error('stopping'));
  await expect(judging).rejects.toThrow('stopping');
  expect(await ended.promise).toBe('SIGKILL');
  await expect(judgeInProcess(input, { signal: controller.signal })).rejects.toThrow('stopping');
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
    { trial: 'begun' },
    { trial: 'ended' },
    { error: { code: 'INTERNAL_ERROR', message: expect.stringContaining('nowhere') } },
  ]);
});

it('takes a challenger whose predictions never end as broken', async () => {
  const input = { challengerPath: write(endlessLoopModel()) };
  const { broken } = await judgeInProcess(input, { trialLimitMs: 500 });
  expect(broken).toBe('a prediction took longer than 0.5 s');
});

it('tries a challenger without a recorded example on a row and a batch', async () => {
  const graph = new OnnxGraphBuilder();
  graph.input('x', 'float32', ['rows', 2]);
  graph.node('ReduceSum', ['x'], 'y', { keepdims: { int: 1 } });
  graph.output('y', 'float32', ['rows', 1]);
  const { broken } = await judgeInProcess({ challengerPath: write(graph.encode()) });
  expect(broken).toMatch(/64/);
});

it('refuses a challenger whose file is not the one that was registered, and compares with no such champion', async () => {
  const challengerPath = write(tinyClassifier({ weights: [1, 2] }));
  const damaged = '0'.repeat(64);
  expect((await judgeInProcess({ challengerPath, challengerSha256: damaged })).broken).toContain(
    `not the recorded ${damaged}`,
  );
  const heldOut = { path: '/nowhere.parquet', sha256: '' };
  const input = { challengerPath, championPath: challengerPath, championSha256: damaged, heldOut };
  expect((await judgeInProcess(input)).incomparable).toContain("the champion's file is damaged");
});
