import { type ChildProcess, fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { ApiError } from '../../platform/index.ts';
import { type FromChild, fromWire, type StepTask, type ToChild } from './step-messages.ts';

export interface TaskListener {
  onLog?: (line: string) => void;
  onProgress?: (done: number, note: string | undefined) => void;
}

export interface ChildOptions {
  entry: URL;
  env?: Record<string, string | undefined>;
  /** Between SIGTERM and SIGKILL. */
  killAfterMs: number;
  /** Once it has grown beyond this it is ended after its task. */
  recycleRssBytes: number;
  /** It has loaded, and takes tasks. */
  onReady: () => void;
  onExit: (end: { wasReady: boolean; why: ApiError }) => void;
}

/** Of what a child wrote to its error output, what is kept for the message of its end. */
const TAIL_CHARS = 2000;
/** How long the last of its output is waited for when something that it started holds it open. */
const OUTPUT_MS = 1000;

export type StepChild = ReturnType<typeof startStepChild>;

/** A step process: warm from its start, one task at a time. */
export function startStepChild({ entry, env, killAfterMs, recycleRssBytes, onReady, onExit }: ChildOptions) {
  // A group of its own: what a step starts can be ended with it, and Ctrl-C reaches the platform alone.
  const isLeader = process.platform !== 'win32';
  const child: ChildProcess = fork(entry, [], {
    serialization: 'advanced',
    execArgv: [],
    // The standard input carries nothing: its end is how the child learns of its parent's.
    stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
    detached: isLeader,
    ...(env && { env }),
  });
  const exited = Promise.withResolvers<void>();
  let current:
    | {
        id: number;
        listener: TaskListener;
        resolve: (result: unknown) => void;
        reject: (error: Error) => void;
      }
    | undefined;
  let tail = '';
  let tasks = 0;
  let isReady = false;
  let isEnding = false;
  let hasExited = false;
  let killTimer: NodeJS.Timeout | undefined;

  function killGroup(signal: NodeJS.Signals): void {
    try {
      if (isLeader && child.pid !== undefined) process.kill(-child.pid, signal);
      else child.kill(signal);
    } catch {
      // It is gone.
    }
  }

  const readLines = (stream: Readable | null) => {
    if (stream === null) return;
    createInterface({ input: stream }).on('line', (line) => current?.listener.onLog?.(line));
  };
  readLines(child.stdout);
  readLines(child.stderr);
  child.stderr?.on('data', (bytes: Buffer) => {
    tail = (tail + bytes.toString()).slice(-TAIL_CHARS);
  });
  child.stdin?.on('error', () => {});

  child.on('message', (message: FromChild) => {
    if (message.type === 'ready') {
      isReady = true;
      return onReady();
    }
    if (current === undefined || message.id !== current.id) return;
    const { listener, resolve, reject } = current;
    if (message.type === 'log') listener.onLog?.(message.line);
    else if (message.type === 'progress') listener.onProgress?.(message.done, message.note);
    else {
      current = undefined;
      if (message.rssBytes > recycleRssBytes) void end();
      if (message.type === 'result') resolve(message.result);
      else reject(fromWire(message.error));
    }
  });

  function ended(why: string): void {
    if (hasExited) return;
    hasExited = true;
    clearTimeout(killTimer);
    const said = tail.trim();
    const error = new ApiError(
      'TEMPORARILY_UNAVAILABLE',
      `The step process ${why}${said === '' ? '' : `: ${said}`}`,
    );
    current?.reject(error);
    current = undefined;
    exited.resolve();
    onExit({ wasReady: isReady, why: error });
  }
  // A process that cannot be started fails twice: to start, and to be written to.
  child.on('error', () => {});
  child.once('error', (error) => {
    if (child.pid === undefined) ended(`could not be started (${error.message})`);
  });
  child.once('exit', (code, signal) => {
    const why = signal === null ? `ended with exit code ${code} and no answer` : `was ended by ${signal}`;
    // Nothing that it started may stay behind, or hold its output open.
    if (isLeader) killGroup('SIGKILL');
    // 'close' comes after the last of its output.
    const timer = setTimeout(() => ended(why), OUTPUT_MS);
    child.once('close', () => {
      clearTimeout(timer);
      ended(why);
    });
  });

  /** Asks it to end, and kills it when it does not. */
  function end(): Promise<void> {
    if (!isEnding && !hasExited) {
      isEnding = true;
      killGroup('SIGTERM');
      killTimer = setTimeout(() => killGroup('SIGKILL'), killAfterMs);
    }
    return exited.promise;
  }

  return {
    pid: child.pid,
    end,
    /** Warm, and without a task. */
    isFree: () => isReady && current === undefined && !isEnding && !hasExited && child.connected,

    /** Does one task. When `signal` is aborted the process is ended, and the task is over when it has. */
    run(task: StepTask, listener: TaskListener, signal: AbortSignal): Promise<unknown> {
      return new Promise((resolve, reject) => {
        const id = ++tasks;
        tail = '';
        const stop = () => {
          end().then(() => reject(signal.reason as Error), reject);
          // What the child says of its end is not why it ended.
          if (current?.id === id) current.reject = () => {};
        };
        const settle =
          <T>(act: (value: T) => void) =>
          (value: T) => {
            signal.removeEventListener('abort', stop);
            act(value);
          };
        current = { id, listener, resolve: settle(resolve), reject: settle(reject) };
        signal.addEventListener('abort', stop, { once: true });
        const message: ToChild = { type: 'run', id, task };
        try {
          // A child that is gone by now is told by its end.
          child.send(message, () => {});
        } catch (error) {
          current = undefined; // The input cannot be copied.
          settle(reject)(error as Error);
        }
      });
    },
  };
}
