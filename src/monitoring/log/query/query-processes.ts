import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ApiError, type Logger } from '../../../platform/index.ts';
import { fromSentError } from '../sent-error.ts';
import type { FromQueryProcess, QueryOrder, QuerySetUp } from './query-messages.ts';
import { startedTooLate, tookTooLong, tooLarge } from './refuse-query.ts';

const START_LIMIT_MS = 60_000;
/** A process that nobody needed for so long ends; another one is there in half a second. */
const IDLE_MS = 60_000;
/** What Node and its threads have of writable address space before any query, hardly used: measured 1210, and some more. */
const RESERVED_MB = 1500;

interface QueryProcess {
  child: ChildProcess;
  ready: Promise<void>;
  /** Takes the next message, or the end of the process. */
  take(message: FromQueryProcess | { ended: string }): void;
  idle?: NodeJS.Timeout;
  isGone?: boolean;
}

export interface QueryProcessesDeps {
  setUp: Omit<QuerySetUp, 'workFolder'>;
  workFolder: string;
  logger: Logger;
  idleMs?: number;
  /** Starts a process; for tests of one that does not come up. */
  fork?: typeof forkLimited;
}

/**
 * Processes for users' SQL, each for one query at a time: what a query does to its process it does to nobody else. Started when
 * they are needed, kept warm for a while.
 */
export function createQueryProcesses({
  setUp,
  workFolder,
  logger,
  idleMs = IDLE_MS,
  fork: forkProcess = forkLimited,
}: QueryProcessesDeps) {
  const all = new Map<QueryProcess, Promise<void>>();
  const free: QueryProcess[] = [];
  let number = 0;
  let isClosed = false;

  function start(): QueryProcess {
    const folder = join(workFolder, `query-${++number}`);
    const child = forkProcess(setUp.processLimitMb + RESERVED_MB);
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    ready.catch(() => {});
    const limit = setTimeout(() => child.kill('SIGKILL'), START_LIMIT_MS);
    const started: QueryProcess = { child, ready, take: () => {} };
    child.on('message', (message: FromQueryProcess) => {
      if (!('ready' in message)) return started.take(message);
      clearTimeout(limit);
      resolve();
    });
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const leave = (how: string) => {
      started.isGone = true;
      clearTimeout(limit);
      clearTimeout(started.idle);
      if (free.includes(started)) free.splice(free.indexOf(started), 1);
      reject(
        new ApiError('TEMPORARILY_UNAVAILABLE', `The process for queries of the log did not start (${how})`),
      );
      started.take({ ended: how });
      void rm(folder, { recursive: true, force: true })
        .catch((error: unknown) => logger.warn({ err: error, folder }, 'a folder of queries stays'))
        .then(() => all.delete(started))
        .then(() => end());
    };
    // Of a process that was never there more than one error comes, and no end; of all others the end.
    child.on('error', (error) => {
      if (child.pid === undefined) leave(error.message);
    });
    child.once('exit', (code, killedBy) => leave(killedBy ?? `exit code ${code}`));
    all.set(started, ended);
    child.send({ ...setUp, workFolder: folder } satisfies QuerySetUp);
    return started;
  }

  function giveBack(used: QueryProcess): void {
    used.take = () => {};
    if (used.isGone || used.child.killed) return;
    used.idle = setTimeout(() => used.child.kill('SIGKILL'), idleMs);
    used.idle.unref();
    free.push(used);
  }

  /** @param stopped rejects when the query is no longer waited for; a process that starts is then there for the next one */
  async function takeFree(stopped: Promise<never>): Promise<QueryProcess> {
    for (;;) {
      if (isClosed) throw new ApiError('TEMPORARILY_UNAVAILABLE', 'The prediction log is closed');
      const found = free.pop() ?? start();
      clearTimeout(found.idle);
      try {
        await Promise.race([found.ready, stopped]);
      } catch (error) {
        giveBack(found);
        throw error;
      }
      if (found.child.connected) return found;
    }
  }

  async function runOnce(order: QueryOrder, timeoutMs: number, signal?: AbortSignal): Promise<string> {
    signal?.throwIfAborted();
    const { promise: stopped, reject: stop } = Promise.withResolvers<never>();
    stopped.catch(() => {});
    let at: QueryProcess | undefined;
    const leave = () => stop(signal!.reason as Error);
    const limit = setTimeout(() => stop((at ? tookTooLong : startedTooLate)(timeoutMs)), timeoutMs);
    signal?.addEventListener('abort', leave, { once: true });
    try {
      at = await takeFree(stopped);
      return await runIn(at, order, stopped);
    } finally {
      clearTimeout(limit);
      signal?.removeEventListener('abort', leave);
      if (at) giveBack(at);
    }
  }

  async function runIn(at: QueryProcess, order: QueryOrder, stopped: Promise<never>): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    // What runs is not asked to stop: it may not be able to.
    const stop = (error: Error) => {
      at.child.kill('SIGKILL');
      reject(error);
    };
    stopped.catch(stop);
    at.take = (message) => {
      // What one query has blown up stays large.
      if ('isSpent' in message && message.isSpent) at.child.kill('SIGKILL');
      if ('answer' in message) resolve(message.answer);
      else if ('error' in message) reject(fromSentError(message.error));
      else if ('isTooLarge' in message) stop(tooLarge(setUp.memoryLimitMb));
      else if ('ended' in message) reject(new QueryProcessEnded(message.ended));
    };
    at.child.send(order, (error) => {
      if (error) reject(new QueryProcessEnded('SIGKILL'));
    });
    return await promise;
  }

  return {
    /**
     * Answers a query as JSON text.
     *
     * @throws ApiError INVALID_PARAMETER_VALUE when it needs more time or memory than it may have.
     */
    async run(order: QueryOrder, options: { timeoutMs: number; signal?: AbortSignal }): Promise<string> {
      for (let attempt = 1; ; attempt++) {
        try {
          return await runOnce(order, options.timeoutMs, options.signal);
        } catch (error) {
          if (!(error instanceof QueryProcessEnded)) throw error;
          // Killed by none of us: by a person, or by a machine without memory. The query may be innocent, once.
          if (error.how !== 'SIGKILL' || attempt === 2) throw tooLarge(setUp.memoryLimitMb, error.how);
        }
      }
    },

    /** The processes that run; for tests of their death. */
    pids: (): number[] => [...all.keys()].flatMap(({ child }) => child.pid ?? []),

    async close(): Promise<void> {
      isClosed = true;
      for (const { child } of all.keys()) child.kill('SIGKILL');
      await Promise.all(all.values());
    },
  };
}

export type QueryProcesses = ReturnType<typeof createQueryProcesses>;

class QueryProcessEnded extends Error {
  readonly how: string;
  constructor(how: string) {
    super(`The process of the query ended (${how})`);
    this.how = how;
  }
}

/**
 * DuckDB does not count the memory of every function, so the kernel counts it where it can: an allocation beyond the limit
 * fails, which DuckDB tells as an error. Its environment is empty, so that there is nothing to be read there.
 */
function forkLimited(limitMb: number): ChildProcess {
  const isLimited = process.platform === 'linux' && existsSync('/bin/sh');
  const nodeOptions = ['--max-old-space-size=384'];
  const start = `ulimit -d ${limitMb * 1024} 2>/dev/null; exec "$0" "$@"`;
  return fork(new URL(`./process/query-process${import.meta.url.slice(-3)}`, import.meta.url), {
    serialization: 'advanced',
    ...(isLimited && { execPath: '/bin/sh', env: {} }),
    execArgv: isLimited ? ['-c', start, process.execPath, ...nodeOptions] : nodeOptions,
    // The standard input carries nothing: its end is how the child learns of its parent's. Of its errors only the end is told.
    stdio: ['pipe', 'ignore', 'ignore', 'ipc'],
  });
}
