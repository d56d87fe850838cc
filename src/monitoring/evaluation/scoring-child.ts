import { type ChildProcess, fork } from 'node:child_process';
import type { MeasuredWindow } from '../windows/measure-performance.ts';
import type { EvaluationRequest } from './score-evaluation.ts';

/** A set takes a second or two; what takes longer than this is given up. */
const TIME_LIMIT_MS = 120_000;
/** So long the process waits for another question: versions that follow each other need not start it anew. */
const IDLE_MS = 30_000;

type Answer = { windows: MeasuredWindow[] } | { problem: string };

/**
 * Scores in a process of its own, which takes the memory of model, runtime and table with it when it ends. One
 * question at a time.
 */
export function createScoringChild() {
  let child: ChildProcess | undefined;
  let idle: NodeJS.Timeout | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  let isStopped = false;

  function start(): ChildProcess {
    const started = fork(new URL(`./evaluation-process${import.meta.url.slice(-3)}`, import.meta.url), {
      serialization: 'advanced',
      execArgv: [],
      // The standard input carries nothing: its end is how the child learns of its parent's.
      stdio: ['pipe', 'ignore', 'inherit', 'ipc'],
    });
    started.once('exit', () => {
      if (child === started) child = undefined;
    });
    started.unref();
    started.channel?.unref();
    return started;
  }

  function ask(request: EvaluationRequest): Promise<MeasuredWindow[]> {
    if (isStopped) return Promise.reject(new Error('stopped'));
    clearTimeout(idle);
    child ??= start();
    const asked = child;
    return new Promise<MeasuredWindow[]>((resolve, reject) => {
      const timer = setTimeout(() => asked.kill('SIGKILL'), TIME_LIMIT_MS);
      const settle = (outcome: () => void) => {
        clearTimeout(timer);
        asked.off('message', onAnswer).off('error', onError).off('exit', onExit);
        outcome();
      };
      const onAnswer = (answer: unknown) => {
        const { windows, problem } = answer as Answer & { windows?: MeasuredWindow[]; problem?: string };
        settle(() => (windows === undefined ? reject(new Error(problem)) : resolve(windows)));
      };
      const onError = (error: Error) => settle(() => reject(error));
      const onExit = (code: number | null, killedBy: string | null) =>
        settle(() =>
          reject(
            new Error(`The process that scores evaluation sets died (${killedBy ?? `exit code ${code}`})`),
          ),
        );
      asked.on('message', onAnswer).on('error', onError).on('exit', onExit);
      asked.send(request, () => {});
    }).finally(() => {
      idle = setTimeout(() => child?.kill('SIGKILL'), IDLE_MS).unref();
    });
  }

  return {
    score(request: EvaluationRequest): Promise<MeasuredWindow[]> {
      const answered = turn.then(() => ask(request));
      turn = answered.catch(() => {});
      return answered;
    },
    stop(): void {
      isStopped = true;
      clearTimeout(idle);
      child?.kill('SIGKILL');
    },
  };
}
