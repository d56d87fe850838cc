import { type ChildProcess, fork } from 'node:child_process';
import { ApiError, type ErrorCode } from '../platform/index.ts';
import { type JudgeInput, type Judgement, judgeChallenger } from './judge-challenger.ts';

export type Judge = (input: JudgeInput, options?: { signal?: AbortSignal }) => Promise<Judgement>;

type JudgeAnswer =
  | { trial: 'begun' | 'ended' }
  | { judgement: Judgement }
  | { error: { code: ErrorCode; message: string } };

interface JudgeProcessOptions {
  timeLimitMs?: number;
  /** For the few predictions that every challenger has to make. */
  trialLimitMs?: number;
  /** Ends the process. */
  signal?: AbortSignal;
  onStart?: (child: ChildProcess) => void;
  execPath?: string;
}

/** Two models and 20,000 rows take seconds; what takes longer than this is told, not waited for. */
const TIME_LIMIT_MS = 110_000;

/** A row and a batch take milliseconds; what takes longer than this would never answer anybody. */
const TRIAL_LIMIT_MS = 30_000;

/** Of what the process wrote to its error output, what is kept for the message. */
const TAIL_CHARS = 2000;

/** Ends that native code brings about by itself; every other signal comes from outside and says nothing of a model. */
const CRASHES: ReadonlySet<string> = new Set(['SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGILL', 'SIGFPE']);

/**
 * Judges in a process of its own: a model file that brings the runtime down takes nothing else with it, and the
 * memory of two models, of ONNX Runtime and of DuckDB goes when it ends.
 *
 * @throws ApiError TEMPORARILY_UNAVAILABLE when the process cannot be started, takes too long, or is ended from
 * outside or for want of memory.
 */
export function judgeInProcess(
  input: JudgeInput,
  {
    timeLimitMs = TIME_LIMIT_MS,
    trialLimitMs = TRIAL_LIMIT_MS,
    signal,
    onStart,
    execPath = process.execPath,
  }: JudgeProcessOptions = {},
): Promise<Judgement> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const child = startProcess(execPath);
    let tail = '';
    let trialTimer: NodeJS.Timeout | undefined;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      tail = (tail + text).slice(-TAIL_CHARS);
    });
    const settle = (outcome: () => void) => {
      clearTimeout(timer);
      clearTimeout(trialTimer);
      signal?.removeEventListener('abort', stop);
      outcome();
    };
    const end = (error: unknown) => {
      child.kill('SIGKILL');
      settle(() => reject(error as Error));
    };
    const timer = setTimeout(() => {
      end(unavailable(`Judging the version took longer than ${timeLimitMs} ms`));
    }, timeLimitMs);
    const stop = () => end(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    const giveUpTrial = () => {
      child.kill('SIGKILL');
      const broken = `a prediction took longer than ${trialLimitMs / 1000} s`;
      settle(() => resolve({ broken, example: 'none recorded' }));
    };
    child.on('message', (answer: JudgeAnswer) => {
      if ('trial' in answer) {
        clearTimeout(trialTimer);
        if (answer.trial === 'begun') trialTimer = setTimeout(giveUpTrial, trialLimitMs);
        return;
      }
      settle(() => {
        if ('judgement' in answer) resolve(answer.judgement);
        else reject(new ApiError(answer.error.code, answer.error.message));
      });
    });
    child.once('error', (error) => settle(() => reject(notStarted(error))));
    // After a message this changes nothing: the promise is settled.
    child.once('close', (code, killedBy) => {
      settle(() => {
        try {
          resolve(judgeTheEnd({ code, signal: killedBy, tail }));
        } catch (error) {
          reject(error as Error);
        }
      });
    });
    // A child that is gone already is told by its end; one that never was has nothing to send with.
    if (child.connected) child.send(input, () => {});
    onStart?.(child);
  });
}

function startProcess(execPath: string): ChildProcess {
  try {
    return fork(new URL(`./judge-process${import.meta.url.slice(-3)}`, import.meta.url), {
      execPath,
      serialization: 'advanced',
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
  } catch (error) {
    throw notStarted(error as Error);
  }
}

/** What a process says by its end that ended without an answer. */
export function judgeTheEnd(end: {
  code: number | null;
  signal: string | null;
  /** The last of what it wrote to its error output. */
  tail: string;
}): Judgement {
  const { code, signal } = end;
  const tail = end.tail.trim();
  const said = tail === '' ? '' : `: ${tail}`;
  if (signal !== null && CRASHES.has(signal) && !/out of memory|bad_alloc/i.test(tail)) {
    return {
      broken: `it brought down the process that ran it by ${signal}${said}`,
      example: 'none recorded',
    };
  }
  if (signal !== null) {
    throw unavailable(`The judging process was ended by ${signal}; try again${said}`);
  }
  throw new ApiError(
    'INTERNAL_ERROR',
    `The judging process ended with exit code ${code} and no answer${said}`,
  );
}

const unavailable = (message: string, cause?: unknown) =>
  new ApiError('TEMPORARILY_UNAVAILABLE', message, undefined, { cause });

const notStarted = (error: Error) =>
  unavailable(`The judging process could not be started (${error.message}); try again`, error);

/** What the child process does with its one message. */
export async function answerJudgeRequest(
  input: unknown,
  send: (answer: JudgeAnswer) => unknown,
): Promise<void> {
  try {
    // Waited for: a native run would keep the message from leaving.
    const onTrial = async (trial: 'begun' | 'ended') => void (await send({ trial }));
    await send({ judgement: await judgeChallenger(input as JudgeInput, { onTrial }) });
  } catch (error) {
    const { code, message } =
      error instanceof ApiError ? error : { code: 'INTERNAL_ERROR' as const, message: String(error) };
    await send({ error: { code, message } });
  }
}
