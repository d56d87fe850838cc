import { type ChildProcess, fork } from 'node:child_process';
import { ApiError, type ErrorCode } from '../../platform/index.ts';
import { judgeChallenger } from './judge-challenger.ts';
import type { JudgeInput, Judgement } from './judge-input.ts';

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

/** A process that nobody needed for so long gives its memory back. */
const IDLE_MS = 60_000;

/** Ends that native code brings about by itself; every other signal comes from outside and says nothing of a model. */
const CRASHES: ReadonlySet<string> = new Set(['SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGILL', 'SIGFPE']);

/**
 * Judges in a process of its own, which ends with the judgement: a model file that brings the runtime down takes
 * nothing else with it.
 *
 * @throws ApiError TEMPORARILY_UNAVAILABLE when the process cannot be started, takes too long, or is ended from
 * outside or for want of memory.
 */
export async function judgeInProcess(
  input: JudgeInput,
  options: JudgeProcessOptions = {},
): Promise<Judgement> {
  options.signal?.throwIfAborted();
  const judging = startProcess(options.execPath);
  try {
    return await askProcess(judging, input, options);
  } finally {
    if (judging.child.connected) judging.child.disconnect();
  }
}

export interface WarmJudge {
  judge: Judge;
  /** Ends the process, and a judgement that is under way. */
  close(): void;
}

/**
 * Judges as `judgeInProcess` does, one at a time, but keeps the process for the next judgement, since loading ONNX
 * Runtime and DuckDB takes longer than most judgements. A process that met a broken file, that judged often, or that
 * nobody needed for a while is ended.
 */
export function createWarmJudge({ idleMs = IDLE_MS, judgements = 50 } = {}): WarmJudge {
  let idle: JudgeProcess | undefined;
  let idleTimer: NodeJS.Timeout | undefined;
  const all = new Set<JudgeProcess>();

  function forget(judging: JudgeProcess): void {
    if (idle === judging) idle = undefined;
    all.delete(judging);
    if (judging.child.connected) judging.child.disconnect();
  }

  function take(): JudgeProcess {
    clearTimeout(idleTimer);
    const known = idle;
    idle = undefined;
    if (known?.child.connected) {
      holdLoop(known, true);
      return known;
    }
    const judging = startProcess();
    all.add(judging);
    judging.child.once('exit', () => forget(judging));
    return judging;
  }

  return {
    async judge(input, options = {}) {
      options.signal?.throwIfAborted();
      const judging = take();
      let isGood = false;
      try {
        const judgement = await askProcess(judging, input, options);
        isGood = judgement.broken === undefined && ++judging.judgements < judgements;
        return judgement;
      } finally {
        if (isGood && idle === undefined && judging.child.connected) {
          idle = judging;
          holdLoop(judging, false);
          idleTimer = setTimeout(() => forget(judging), idleMs).unref();
        } else forget(judging);
      }
    },
    close() {
      clearTimeout(idleTimer);
      for (const judging of all) {
        judging.child.kill('SIGKILL');
        forget(judging);
      }
    },
  };
}

interface JudgeProcess {
  child: ChildProcess;
  judgements: number;
  /** The last of what it wrote to its error output. */
  tail: string;
}

/** A process that waits for work keeps nothing else alive. */
function holdLoop({ child }: JudgeProcess, isBusy: boolean): void {
  const stderr = child.stderr as (typeof child.stderr & { ref?(): void; unref?(): void }) | null;
  for (const handle of [child, child.channel, stderr]) {
    if (isBusy) handle?.ref?.();
    else handle?.unref?.();
  }
}

function askProcess(
  judging: JudgeProcess,
  input: JudgeInput,
  { timeLimitMs = TIME_LIMIT_MS, trialLimitMs = TRIAL_LIMIT_MS, signal, onStart }: JudgeProcessOptions,
): Promise<Judgement> {
  const { child } = judging;
  return new Promise((resolve, reject) => {
    let trialTimer: NodeJS.Timeout | undefined;
    const settle = (outcome: () => void) => {
      clearTimeout(timer);
      clearTimeout(trialTimer);
      signal?.removeEventListener('abort', stop);
      child.off('message', hear).off('error', fail).off('close', hearEnd);
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
    const giveUpTrial = () => {
      child.kill('SIGKILL');
      const broken = `a prediction took longer than ${trialLimitMs / 1000} s`;
      settle(() => resolve({ broken, example: 'none recorded', checks: [], notes: [] }));
    };
    const hear = (answer: JudgeAnswer) => {
      if ('trial' in answer) {
        clearTimeout(trialTimer);
        if (answer.trial === 'begun') trialTimer = setTimeout(giveUpTrial, trialLimitMs);
        return;
      }
      settle(() => {
        if ('judgement' in answer) resolve(answer.judgement);
        else reject(new ApiError(answer.error.code, answer.error.message));
      });
    };
    const fail = (error: Error) => settle(() => reject(notStarted(error)));
    const hearEnd = (code: number | null, killedBy: string | null) => {
      settle(() => {
        try {
          resolve(judgeTheEnd({ code, signal: killedBy, tail: judging.tail }));
        } catch (error) {
          reject(error as Error);
        }
      });
    };
    signal?.addEventListener('abort', stop, { once: true });
    child.on('message', hear).on('error', fail).on('close', hearEnd);
    // A child that is gone already is told by its end; one that never was has nothing to send with.
    if (child.connected) child.send(input, () => {});
    onStart?.(child);
  });
}

function startProcess(execPath = process.execPath): JudgeProcess {
  try {
    const child = fork(new URL(`./judge-process${import.meta.url.slice(-3)}`, import.meta.url), {
      execPath,
      serialization: 'advanced',
      execArgv: [],
      // The standard input carries nothing: its end is how the child learns of its parent's.
      stdio: ['pipe', 'ignore', 'pipe', 'ipc'],
    });
    const judging: JudgeProcess = { child, judgements: 0, tail: '' };
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      judging.tail = (judging.tail + text).slice(-TAIL_CHARS);
    });
    // Told to who asks; a process that waits for work may fail too, and then nobody listens.
    child.on('error', () => {});
    return judging;
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
      checks: [],
      notes: [],
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

/** What the child process does with a message. */
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
