import { type ChildProcess, fork } from 'node:child_process';
import { ApiError, type Logger } from '../../platform/index.ts';
import type { FromProcess, ProcessSetUp, RequestName, Requests, ToProcess } from './log-messages.ts';
import { fromSentError } from './sent-error.ts';

/** The process that holds the log died, or was ended, before it answered; what it knew is gone. */
export class LogProcessDied extends ApiError {
  constructor(message: string) {
    super('TEMPORARILY_UNAVAILABLE', message);
  }
}

export interface CallOptions {
  signal?: AbortSignal;
  /** After this the process is ended: what it does cannot be interrupted. */
  hardLimitMs?: number;
  /** Only this start of the process may answer: a later one does not know what this one was told. */
  start?: number;
}

/** Asks the process of the log about all that was taken so far. */
export type AskLog = <N extends RequestName>(
  name: N,
  input: Requests[N][0] | (() => Promise<Requests[N][0]>),
  options?: CallOptions,
) => Promise<Requests[N][1]>;

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

interface Running {
  child: ChildProcess;
  ready: Promise<void>;
  waiting: Map<number, Waiting>;
}

const START_LIMIT_MS = 60_000;
/** Longer than any honest work on the log takes. */
const HARD_LIMIT_MS = 600_000;

/** One warm process that works on the log: started when it is first asked, and again when it has died. */
export function createLogClient({ setUp, logger }: { setUp: ProcessSetUp; logger: Logger }) {
  let running: Running | undefined;
  let nextId = 1;
  let starts = 0;
  let isClosed = false;
  const stopped = new WeakSet<ChildProcess>();

  function start(): Running {
    starts++;
    const child = fork(new URL(`./process/log-process${import.meta.url.slice(-3)}`, import.meta.url), {
      serialization: 'advanced',
      execArgv: [],
      // The standard input carries nothing: its end is how the child learns of its parent's.
      stdio: ['pipe', 'ignore', 'inherit', 'ipc'],
    });
    const waiting = new Map<number, Waiting>();
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    ready.catch(() => {});
    const limit = setTimeout(() => child.kill('SIGKILL'), START_LIMIT_MS);
    const started: Running = { child, ready, waiting };
    const end = (error: Error) => {
      clearTimeout(limit);
      reject(error);
      if (running === started) running = undefined;
      for (const each of waiting.values()) each.reject(error);
      waiting.clear();
    };
    child.on('message', (message: FromProcess) => {
      if ('ready' in message) {
        clearTimeout(limit);
        resolve();
        return;
      }
      const asked = waiting.get(message.id);
      waiting.delete(message.id);
      if ('result' in message) asked?.resolve(message.result);
      else asked?.reject(fromSentError(message.error));
    });
    // More than one comes of a process that could not be started.
    child.on('error', (error) => end(new LogProcessDied(error.message)));
    child.once('exit', (code, killedBy) => {
      const how = killedBy ?? `exit code ${code}`;
      if (!stopped.has(child)) {
        logger.warn({ how }, 'the process of the prediction log ended; it starts again when it is needed');
      }
      end(new LogProcessDied(`The process of the prediction log ended (${how})`));
    });
    child.send(setUp);
    running = started;
    return started;
  }

  return {
    /** How often the process was started: what it knew before the last start is gone. */
    starts: () => starts,

    async call<N extends RequestName>(
      name: N,
      input: Requests[N][0],
      { signal, hardLimitMs = HARD_LIMIT_MS, start: wanted }: CallOptions = {},
    ): Promise<Requests[N][1]> {
      signal?.throwIfAborted();
      if (isClosed) throw new LogProcessDied('The prediction log is closed');
      if (wanted !== undefined && (running === undefined || wanted !== starts)) {
        throw new LogProcessDied('The process of the prediction log was started anew');
      }
      const at = running ?? start();
      await at.ready;
      const id = nextId++;
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      at.waiting.set(id, { resolve, reject });
      const cancel = () => {
        if (at.child.connected) at.child.send({ cancel: id } satisfies ToProcess);
      };
      signal?.addEventListener('abort', cancel, { once: true });
      const limit = setTimeout(() => at.child.kill('SIGKILL'), hardLimitMs);
      try {
        at.child.send({ id, name, input } as ToProcess, (error) => {
          if (error) reject(new LogProcessDied(error.message));
        });
        return (await promise) as Requests[N][1];
      } catch (error) {
        throw signal?.aborted ? signal.reason : error;
      } finally {
        clearTimeout(limit);
        signal?.removeEventListener('abort', cancel);
      }
    },

    /** Ends the process; the next call starts another one, unless the log is closed. */
    async stop({ forGood = false } = {}): Promise<void> {
      isClosed ||= forGood;
      const at = running;
      if (!at) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      at.child.once('exit', () => resolve());
      if (at.child.exitCode !== null || at.child.signalCode !== null) return;
      stopped.add(at.child);
      at.child.kill('SIGKILL');
      await promise;
    },

    /** The process's id, while it runs. */
    pid: () => running?.child.pid,
  };
}

export type LogClient = ReturnType<typeof createLogClient>;
