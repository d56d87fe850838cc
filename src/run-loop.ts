import type { Clock, Logger } from './platform/index.ts';

/** A slice's part of the loop: does what is due by the clock, and says whether that was anything. */
export interface LoopPart {
  name: string;
  advance(): Promise<{ didSomething: boolean }>;
}

export interface RunLoopOptions {
  /** In the order in which they go: what one finds, the next acts on in the same pass. */
  parts: LoopPart[];
  clock: Clock;
  logger: Logger;
  /** Whether work goes on that will wake the loop when it ends, such as a running job. */
  isBusy: () => boolean;
  /** Whether this process is the one of several that runs the loop now. */
  isMine?: () => Promise<boolean>;
  /** Whether the clock tells the time of events by now; before, nothing is settled for anybody who waits. */
  hasBegun?: () => boolean;
  everyMs?: number;
}

/** Passes in a row at most, when each finds something to do; then the others of this process get their turn. */
const PASSES_AT_ONCE = 50;

export type RunLoop = ReturnType<typeof createRunLoop>;

/**
 * Moves the platform on: watch, notice, retrain, roll out. A pass runs each second and at once when poked. A part
 * that fails is told and tried again in the next pass; it does not keep the others from theirs.
 */
export function createRunLoop(options: RunLoopOptions) {
  const {
    parts,
    clock,
    logger,
    isBusy,
    isMine = async () => true,
    hasBegun = () => true,
    everyMs = 1000,
  } = options;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let isPoked = false;
  let isStopped = true;
  let settledUntil: number | undefined;
  let waiting: (() => void)[] = [];
  const problems = new Map<string, string>();

  /** @returns whether there is nothing left to do until the clock moves on */
  async function pass(): Promise<boolean> {
    let isQuiet = true;
    for (const part of parts) {
      const { name } = part;
      if (isStopped) return false;
      try {
        if ((await part.advance()).didSomething) isQuiet = false;
        if (problems.delete(name)) logger.warn({ part: name }, 'this part of the loop goes on again');
      } catch (error) {
        isQuiet = false;
        const message = error instanceof Error ? error.message : String(error);
        if (problems.get(name) !== message) {
          logger.error({ err: error, part: name }, 'a part of the loop failed; it is tried again');
        }
        problems.set(name, message);
      }
    }
    return isQuiet;
  }

  async function run(): Promise<void> {
    for (let passes = 0; passes < PASSES_AT_ONCE && !isStopped; passes++) {
      isPoked = false;
      if (!(await isMine().catch(() => false))) return;
      const until = clock.now();
      const isQuiet = await pass();
      if (isQuiet && !isPoked && !isBusy() && hasBegun()) {
        settledUntil = until;
        const told = waiting;
        waiting = [];
        for (const tell of told) tell();
      }
      if (problems.size > 0 || (isQuiet && !isPoked)) return;
    }
  }

  function start(): void {
    if (isStopped) return;
    if (running !== undefined) {
      isPoked = true;
      return;
    }
    running = run()
      .catch((error: unknown) => logger.error({ err: error }, 'the loop failed; it is tried again'))
      .finally(() => {
        running = undefined;
        // A poke during the last pass must not wait for the timer, unless something is broken.
        if (isPoked && problems.size === 0) start();
      });
  }

  return {
    begin(): void {
      if (!isStopped) return;
      isStopped = false;
      timer = setInterval(start, everyMs);
      timer.unref();
      start();
    },
    /** Something came in or ended: look at once. */
    poke: start,
    status: () => ({ settledUntil, problems: Object.fromEntries(problems) }),
    /** Waits until all that is due at `until` has been done and nothing runs, or the time is over. */
    async waitUntilSettled(until: number, waitMs: number, signal: AbortSignal): Promise<void> {
      const end = performance.now() + waitMs;
      while (!signal.aborted && (settledUntil === undefined || settledUntil < until)) {
        const left = end - performance.now();
        if (left <= 0) return;
        await new Promise<void>((resolve) => {
          const done = () => {
            clearTimeout(timeout);
            signal.removeEventListener('abort', done);
            resolve();
          };
          const timeout = setTimeout(done, left);
          signal.addEventListener('abort', done, { once: true });
          waiting.push(done);
        });
      }
    },
    async stop(): Promise<void> {
      isStopped = true;
      clearInterval(timer);
      await running;
    },
  };
}
