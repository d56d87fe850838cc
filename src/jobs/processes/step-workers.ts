import { ApiError, type Logger } from '../../platform/index.ts';
import { type StepChild, startStepChild, type TaskListener } from './step-child.ts';
import type { StepTask } from './step-messages.ts';

export interface StepWorkersOptions {
  /** The module that calls `serveSteps`. */
  entry: URL;
  /** Processes, and so tasks at a time. */
  size: number;
  logger: Logger;
  /** The children's environment; without it this process's own. */
  env?: Record<string, string | undefined>;
  /** Between SIGTERM and SIGKILL, of a child whose task is given up. Default 2000. */
  killAfterMs?: number;
  /** A child that has grown beyond this is replaced after its task. Default 1 GiB. */
  recycleRssBytes?: number;
}

export interface TaskOptions extends TaskListener {
  signal?: AbortSignal;
  /** From the moment a process takes the task. */
  timeoutMs?: number;
}

export type StepWorkers = ReturnType<typeof createStepWorkers>;

const GIBIBYTE = 1024 ** 3;
const MOST_RESTART_PAUSE_MS = 30_000;

/**
 * Child processes for the heavy steps, started at the first task and warm from then on: their memory and their crashes
 * are their own, and a task that is given up ends with its process. A task waits until one is free.
 */
export function createStepWorkers({
  entry,
  size,
  logger,
  env,
  killAfterMs = 2000,
  recycleRssBytes = GIBIBYTE,
}: StepWorkersOptions) {
  const children = new Set<StepChild>();
  const waiting: { begin: (child: StepChild) => void; refuse: (error: Error) => void }[] = [];
  let restartPauseMs = 0;
  let restartTimer: NodeJS.Timeout | undefined;
  let stopped: Promise<void> | undefined;

  function startMissing(): void {
    while (stopped === undefined && restartTimer === undefined && children.size < size) start();
  }

  function start(): void {
    const child = startStepChild({
      entry,
      killAfterMs,
      recycleRssBytes,
      ...(env && { env }),
      onReady() {
        restartPauseMs = 0;
        assign();
      },
      onExit({ wasReady, why }) {
        children.delete(child);
        if (stopped !== undefined) return;
        if (!wasReady) {
          // One that dies at its start would else be started again without end.
          logger.error({ entry: entry.href, why }, 'a step process ended at its start');
          restartPauseMs = Math.min(MOST_RESTART_PAUSE_MS, Math.max(200, restartPauseMs * 2));
          for (const task of waiting.splice(0)) task.refuse(why);
          restartTimer ??= setTimeout(() => {
            restartTimer = undefined;
            startMissing();
          }, restartPauseMs).unref();
        }
        startMissing();
      },
    });
    children.add(child);
  }

  /** Gives tasks that wait to processes that are free. */
  function assign(): void {
    for (const child of children) {
      if (waiting.length === 0) return;
      if (child.isFree()) waiting.shift()?.begin(child);
    }
    if (waiting.length > 0) startMissing();
  }

  return {
    /**
     * Does a task in a process of its own. Input and result are copied as by structuredClone.
     *
     * @throws What the handler threw; ApiError TEMPORARILY_UNAVAILABLE when the process died, with the last of what it
     * wrote to its error output, or when the task took too long; the signal's reason when it was aborted.
     */
    run<T>(task: StepTask, { signal, timeoutMs, ...listener }: TaskOptions = {}): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        if (stopped !== undefined) return reject(stopping());
        if (signal?.aborted) return reject(signal.reason as Error);
        const leave = () => {
          waiting.splice(waiting.indexOf(entryOf), 1);
          reject(signal?.reason as Error);
        };
        const entryOf = {
          refuse(error: Error) {
            signal?.removeEventListener('abort', leave);
            reject(error);
          },
          begin(child: StepChild) {
            signal?.removeEventListener('abort', leave);
            const limit = new AbortController();
            const timer =
              timeoutMs === undefined
                ? undefined
                : setTimeout(() => limit.abort(tooLong(task.name, timeoutMs)), timeoutMs);
            const signals = signal === undefined ? [limit.signal] : [signal, limit.signal];
            child
              .run(task, listener, AbortSignal.any(signals))
              .then((result) => resolve(result as T), reject)
              .finally(() => {
                clearTimeout(timer);
                assign();
              });
          },
        };
        signal?.addEventListener('abort', leave, { once: true });
        waiting.push(entryOf);
        assign();
      });
    },

    /** Starts the processes before there is a task. */
    warm: startMissing,

    /** The processes there are. */
    pids: (): number[] => [...children].flatMap(({ pid }) => (pid === undefined ? [] : [pid])),

    /** Ends every process; settles when they have ended. */
    stop(): Promise<void> {
      stopped ??= (async () => {
        clearTimeout(restartTimer);
        for (const task of waiting.splice(0)) task.refuse(stopping());
        await Promise.all([...children].map((child) => child.end()));
      })();
      return stopped;
    },
  };
}

const stopping = () => new ApiError('TEMPORARILY_UNAVAILABLE', 'The step processes are stopping');

const tooLong = (name: string, timeoutMs: number) =>
  new ApiError('TEMPORARILY_UNAVAILABLE', `The step process took longer than ${timeoutMs} ms for '${name}'`);
