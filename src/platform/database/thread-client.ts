import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { ApiError } from '../errors.ts';
import type { EditedLook } from './applied-migrations.ts';
import type { Answer } from './group-commit.ts';
import type { FromThread, ToThread } from './thread-messages.ts';
import { decodeError } from './wire-error.ts';

/** How often waiting calls are checked against their time limit. */
const SWEEP_MS = 1000;
/** Calls that may wait at once; more are refused, so that an overload does not eat the memory. */
const MOST_WAITING = 20_000;

interface Waiting {
  resolve(output: unknown): void;
  reject(error: Error): void;
  deadline: number;
}

/** Calls into one thread: requests of one turn travel in one message, answers come back in one. */
export interface ThreadClient {
  /** Calls that wait for an answer. */
  readonly pending: number;
  call(request: Record<string, unknown>): Promise<unknown>;
  /** Resolves with the migrations that were applied when it is open; rejects if it cannot open. */
  opened: Promise<string[]>;
  close(): Promise<void>;
}

/** A thread of its own (`worker`), or the caller's thread behind a message channel (`serve`). */
export type ThreadStart = { worker: URL; workerData: unknown } | { serve: (port: MessagePort) => unknown };

export function startThread(
  start: ThreadStart,
  options: {
    name: string;
    timeoutMs: number;
    /** When the requests that came together are sent: `setImmediate` gathers those of a whole turn. */
    schedule: (send: () => void) => unknown;
    onFatal: (error: Error) => void;
    /** Hears, some time after the opening, which migrations were edited after they ran. */
    onLooked?: (look: EditedLook) => void;
  },
): ThreadClient {
  const waiting = new Map<number, Waiting>();
  let outbox: { id: number }[] = [];
  let nextId = 1;
  let ended: Error | undefined;
  let sweep: NodeJS.Timeout | undefined;
  const opened = Promise.withResolvers<string[]>();
  const closed = Promise.withResolvers<void>();
  // The one who opens awaits this; a thread that dies later must not raise an unhandled rejection.
  opened.promise.catch(() => {});

  function receive(message: FromThread): void {
    if (message === 'closed') finish(new ApiError('TEMPORARILY_UNAVAILABLE', 'The database is closed'));
    else if (Array.isArray(message)) for (const answer of message) settle(answer);
    else if ('opened' in message) opened.resolve(message.opened);
    else if ('looked' in message) options.onLooked?.(message.looked);
    else finish(decodeError(message.failed));
  }

  function settle(answer: Answer): void {
    const call = waiting.get(answer.id);
    if (call === undefined) return;
    waiting.delete(answer.id);
    if (answer.error === undefined) call.resolve(answer.output);
    else call.reject(decodeError(answer.error));
  }

  /** Nothing more will be answered. */
  function finish(error: Error): void {
    ended ??= error;
    opened.reject(ended);
    for (const call of waiting.values()) call.reject(ended);
    waiting.clear();
    clearInterval(sweep);
    closed.resolve();
  }

  function crash(reason: string): void {
    if (ended !== undefined) return;
    const error = new ApiError(
      'TEMPORARILY_UNAVAILABLE',
      `The database's ${options.name} thread stopped: ${reason}. Start Tidemill again; what was acknowledged is on disk.`,
    );
    finish(error);
    options.onFatal(error);
  }

  function flush(): void {
    const requests = outbox;
    outbox = [];
    try {
      port.postMessage(requests);
    } catch {
      // One of them cannot be cloned: find it, the others go on.
      for (const request of requests) {
        try {
          port.postMessage([request]);
        } catch (error) {
          waiting.get(request.id)?.reject(error as Error);
          waiting.delete(request.id);
        }
      }
    }
  }

  function expire(): void {
    const now = performance.now();
    for (const [id, call] of waiting) {
      if (call.deadline > now) break;
      waiting.delete(id);
      call.reject(
        new ApiError(
          'TEMPORARILY_UNAVAILABLE',
          `The database's ${options.name} did not answer within ${options.timeoutMs} ms; it may still do what was asked`,
        ),
      );
    }
    if (waiting.size === 0) {
      clearInterval(sweep);
      sweep = undefined;
    }
  }

  const port = connect(start, receive, crash);

  return {
    get pending() {
      return waiting.size;
    },
    opened: opened.promise,
    call(request) {
      if (ended !== undefined) return Promise.reject(ended);
      if (waiting.size >= MOST_WAITING)
        return Promise.reject(
          new ApiError('TEMPORARILY_UNAVAILABLE', `${MOST_WAITING} calls already wait for the database`),
        );
      const id = nextId++;
      if (outbox.length === 0) options.schedule(flush);
      outbox.push({ ...request, id });
      sweep ??= setInterval(expire, Math.min(SWEEP_MS, options.timeoutMs)).unref();
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject, deadline: performance.now() + options.timeoutMs });
      });
    },
    close() {
      if (ended === undefined) {
        if (outbox.length > 0) flush();
        port.postMessage('close' satisfies ToThread);
      }
      return closed.promise;
    },
  };
}

function connect(
  start: ThreadStart,
  receive: (message: FromThread) => void,
  crash: (reason: string) => void,
) {
  if ('serve' in start) {
    const { port1, port2 } = new MessageChannel();
    port1.on('message', receive);
    Promise.resolve(start.serve(port2)).catch((error: Error) => crash(error.message));
    return port1;
  }
  const worker = new Worker(start.worker, { workerData: start.workerData });
  worker.on('message', receive);
  worker.on('error', (error: Error) => crash(error.message));
  worker.on('exit', (code) => crash(`exit code ${code}`));
  return worker;
}
