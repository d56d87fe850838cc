import { type ChildProcess, fork } from 'node:child_process';
import { ApiError, type ErrorCode } from '../platform/index.ts';
import { type JudgeInput, type Judgement, judgeChallenger } from './judge-challenger.ts';

export type Judge = (input: JudgeInput) => Promise<Judgement>;

type JudgeAnswer = { judgement: Judgement } | { error: { code: ErrorCode; message: string } };

/** Two models and 20,000 rows take seconds; what takes longer than this is told, not waited for. */
const TIME_LIMIT_MS = 110_000;

/**
 * Judges in a process of its own: a model file that brings the runtime down takes nothing else with it, and the
 * memory of two models, of ONNX Runtime and of DuckDB goes when it ends.
 */
export function judgeInProcess(
  input: JudgeInput,
  {
    timeLimitMs = TIME_LIMIT_MS,
    onStart,
  }: { timeLimitMs?: number; onStart?: (child: ChildProcess) => void } = {},
): Promise<Judgement> {
  return new Promise((resolve, reject) => {
    const child = fork(new URL(`./judge-process${import.meta.url.slice(-3)}`, import.meta.url), {
      serialization: 'advanced',
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(
        new ApiError('TEMPORARILY_UNAVAILABLE', `Judging the version took longer than ${timeLimitMs} ms`),
      );
    }, timeLimitMs);
    child.once('message', (answer: JudgeAnswer) => {
      clearTimeout(timer);
      if ('judgement' in answer) resolve(answer.judgement);
      else reject(new ApiError(answer.error.code, answer.error.message));
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      // After a message this changes nothing: the promise is settled.
      if (code !== 0) {
        resolve({
          broken: `the process that loaded it died (${signal ?? `exit code ${code}`})`,
          example: 'none recorded',
        });
      } else reject(new ApiError('INTERNAL_ERROR', 'The process that judges ended without an answer'));
    });
    // A child that is gone already is told by its exit.
    child.send(input, () => {});
    onStart?.(child);
  });
}

/** What the child process does with its one message. */
export async function answerJudgeRequest(input: unknown, send: (answer: JudgeAnswer) => void): Promise<void> {
  try {
    send({ judgement: await judgeChallenger(input as JudgeInput) });
  } catch (error) {
    const { code, message } =
      error instanceof ApiError ? error : { code: 'INTERNAL_ERROR' as const, message: String(error) };
    send({ error: { code, message } });
  }
}
