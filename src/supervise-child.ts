import { type ChildProcess, fork } from 'node:child_process';

/** What the supervised process tells its parent. */
export type ChildMessage =
  | { type: 'listening'; url: string }
  | { type: 'ready' }
  | { type: 'failed'; message: string };

export interface SupervisedChild<Options> {
  /** Settles at the first time that the child listens; rejects when its very first start fails. */
  listening: Promise<string>;
  /** Settles when the child has said that it is ready. */
  ready: Promise<void>;
  /** The present child's process id. */
  pid(): number | undefined;
  /** Tells the child, and every later one, the options that were not known at the first start. */
  update(options: Partial<Options>): void;
  /** Asks the child to drain and end, kills it when that takes longer than `graceMs`; idempotent. */
  stop(): Promise<void>;
}

/**
 * Runs `entry` as a child process and starts it again when it dies, after a pause that doubles from 200 ms to 10 s
 * and falls back once the child has been ready. `options` are sent to the child as `{type: 'start', options}`, what
 * becomes known later as `{type: 'update', options}`. After the first start a port of 0 is replaced by the port that
 * the child got, so that its URL stays.
 */
export function superviseChild<Options extends { port: number }>({
  entry,
  options,
  say,
  graceMs = 35_000,
  env,
}: {
  entry: URL;
  options: Options;
  say: (message: string) => void;
  graceMs?: number;
  env?: Record<string, string | undefined>;
}): SupervisedChild<Options> {
  let child: ChildProcess | undefined;
  let isStopping = false;
  let hasListened = false;
  let pauseMs = 200;
  let timer: NodeJS.Timeout | undefined;
  let stopped: Promise<void> | undefined;
  const listening = Promise.withResolvers<string>();
  const ready = Promise.withResolvers<void>();
  // Whoever only waits for `listening` must not be told twice.
  ready.promise.catch(() => {});
  const current = { ...options };

  const start = () => {
    const started = fork(entry, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], ...(env && { env }) });
    child = started;
    let failure: string | undefined;
    started.send({ type: 'start', options: current }, () => {});
    started.on('message', (message: ChildMessage) => {
      if (message.type === 'listening') {
        hasListened = true;
        current.port = Number(new URL(message.url).port);
        listening.resolve(message.url);
      } else if (message.type === 'ready') {
        pauseMs = 200;
        ready.resolve();
      } else {
        failure = message.message;
      }
    });
    started.on('error', (error) => {
      failure = error.message;
    });
    started.on('exit', (code, signal) => {
      if (isStopping) return;
      const why = failure ?? `ended with ${signal ?? `status ${code}`}`;
      if (!hasListened) {
        const error = new Error(failure ?? `The model server ${why} before it listened`);
        listening.reject(error);
        ready.reject(error);
        return;
      }
      say(`the model server ${why}; starting it again in ${pauseMs} ms`);
      timer = setTimeout(start, pauseMs);
      pauseMs = Math.min(10_000, pauseMs * 2);
    });
  };
  start();

  return {
    listening: listening.promise,
    ready: ready.promise,
    pid: () => child?.pid,
    update(known) {
      Object.assign(current, known);
      if (child?.connected) child.send({ type: 'update', options: known }, () => {});
    },
    stop() {
      stopped ??= stopChild();
      return stopped;
    },
  };

  async function stopChild(): Promise<void> {
    isStopping = true;
    clearTimeout(timer);
    const stopping = child;
    if (!stopping || stopping.exitCode !== null || stopping.signalCode !== null) return;
    const exited = new Promise<void>((resolve) => stopping.once('exit', () => resolve()));
    if (stopping.connected) stopping.send({ type: 'stop' }, () => {});
    const kill = setTimeout(() => stopping.kill('SIGKILL'), graceMs);
    await exited;
    clearTimeout(kill);
  }
}
