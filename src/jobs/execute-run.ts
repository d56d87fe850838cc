import { setImmediate } from 'node:timers';
import { ApiError, type Command } from '../platform/index.ts';
import type { Flow, FlowContext } from './flow.ts';
import { never } from './never.ts';
import { pause } from './pause.ts';
import { createRunNotes } from './run-notes.ts';
import { runStep } from './run-step.ts';
import type { RunDeps, StepHost } from './step-host.ts';
import { type ClaimedRun, finishRun, parkRun } from './store/holder-commands.ts';
import { recordError } from './store/job-error.ts';
import { toJson } from './store/run-json.ts';
import { type Claim, isLeaseLost } from './store/run-writes.ts';
import { awaitStep, endSleep, noteRun } from './store/step-commands.ts';
import type { StepKind, StepRow } from './store/tables.ts';

/** How an execution ended: the run is over, it waits, it is free to go on, or it is another's. */
export type ExecutionEnd = 'finished' | 'waiting' | 'pending' | 'lost';

export interface Execution {
  readonly claim: Claim;
  readonly ended: Promise<ExecutionEnd>;
  /** Aborts what is under way and writes nothing more. */
  abandon(reason: Error): void;
  /** Settles when no step is under way any longer. */
  settled(): Promise<unknown>;
}

const MOST_PAUSE_MS = 2000;
const NO_APPROVAL = { question: null, deciders: null, forbidSelf: false };

/** A step that fails before its flow looks at it must not end the process. */
function guarded<T>(work: () => Promise<T>): Promise<T> {
  const promise = work();
  promise.catch(() => {});
  return promise;
}

/**
 * Runs a claimed run's flow from its start: steps that are recorded answer what they answered. When nothing is left but
 * waiting, the execution is abandoned and the run let go; it starts over when its time has come.
 */
export function executeRun(deps: RunDeps, { run, steps }: ClaimedRun, flow: Flow): Execution {
  const claim: Claim = { runId: run.run_id, epoch: run.epoch };
  const history = new Map(steps.map((step) => [step.step, step]));
  const used = new Set<string>();
  const failedAt = new WeakMap<Error, string>();
  const abort = new AbortController();
  const ended = Promise.withResolvers<ExecutionEnd>();
  const works = new Set<Promise<unknown>>();
  let isAlive = true;
  /** The last write of the execution is under way: its steps have nothing more to say. */
  let isClosing = false;
  let busy = 0;
  let waits = 0;
  let positions = Math.max(0, ...steps.map((step) => step.position));

  function end(how: ExecutionEnd, reason?: Error): void {
    if (!isAlive) return;
    isAlive = false;
    notes.stop();
    if (how === 'lost') {
      abort.abort(reason ?? new ApiError('RESOURCE_CONFLICT', `The run ${claim.runId} goes on elsewhere`));
    }
    ended.resolve(how);
  }

  /** A database that is away is waited for; a lease that is lost ends the execution. */
  async function writeNow<I extends object, O>(command: Command<I & Claim, O>, input: I): Promise<O> {
    for (let pauseMs = 50; ; pauseMs = Math.min(MOST_PAUSE_MS, pauseMs * 2)) {
      if (!isAlive) return never();
      try {
        const output = await deps.database.execute(command, { ...input, ...claim });
        return isAlive ? output : never();
      } catch (error) {
        if (isLeaseLost(error)) {
          end('lost');
          return never();
        }
        if (!(error instanceof ApiError && error.code === 'TEMPORARILY_UNAVAILABLE')) throw error;
        if (pauseMs === 50)
          deps.logger.warn({ err: error, run: claim.runId }, 'a job waits for the database');
        await pause(pauseMs, abort.signal);
      }
    }
  }

  const isOver = () => !isAlive || isClosing;

  function write<I extends object, O>(command: Command<I & Claim, O>, input: I): Promise<O> {
    return isOver() ? never() : writeNow(command, input);
  }

  const notes = createRunNotes(
    () => deps.clock.now(),
    async (taken) => {
      await write(noteRun, { notes: taken });
      deps.changed();
    },
  );
  const host: StepHost = {
    ...deps,
    claim,
    signal: abort.signal,
    notes,
    write,
    isOver,
    track(work) {
      const settled: Promise<unknown> = work.catch(() => {}).finally(() => works.delete(settled));
      works.add(settled);
    },
  };

  function recall(name: string, kind: StepKind): StepRow | undefined {
    if (name === '' || name.length > 200) {
      throw new ApiError('INVALID_STATE', `A step's name has 1 to 200 characters, got '${name}'`);
    }
    if (used.has(name)) {
      throw new ApiError('INVALID_STATE', `The flow ${run.flow} has two steps named '${name}'`);
    }
    used.add(name);
    const known = history.get(name);
    if (known !== undefined && known.kind !== kind) {
      throw new ApiError(
        'INVALID_STATE',
        `'${name}' of the run ${claim.runId} is recorded as ${known.kind}, but is ${kind} now: the flow ${run.flow} was changed`,
      );
    }
    return known;
  }

  const positionOf = (known: StepRow | undefined) => known?.position ?? ++positions;

  /** What a flow does counts as busy until it is answered; then the run may have nothing left but to wait. */
  async function occupied<T>(work: () => Promise<T>): Promise<T> {
    if (isOver()) return never();
    busy++;
    try {
      const result = await work();
      return isOver() ? never() : result;
    } catch (error) {
      if (isOver()) return never();
      throw error;
    } finally {
      busy--;
      parkWhenIdle();
    }
  }

  function parkWhenIdle(): void {
    // A turn later: until then the flow may have begun its next step.
    setImmediate(() => {
      if (isOver() || busy > 0 || waits === 0) return;
      isClosing = true;
      writeLastNotes()
        .then(() => writeNow(parkRun, {}))
        .then(end, fail);
    });
  }

  async function writeLastNotes(): Promise<void> {
    const last = await notes.takeAll();
    if (last.lines.length > 0) await writeNow(noteRun, { notes: last });
  }

  /** Records that the run waits at a step; answers the step when it waits no longer. */
  async function waitAt(
    name: string,
    known: StepRow | undefined,
    wait: Omit<Parameters<typeof awaitStep.run>[1], 'step' | 'position' | 'now' | keyof Claim>,
    isOver: (step: StepRow) => boolean,
  ): Promise<StepRow> {
    const step = await occupied(() =>
      write(awaitStep, { ...wait, step: name, position: positionOf(known), now: deps.clock.now() }),
    );
    if (isOver(step)) return step;
    waits++;
    deps.changed();
    parkWhenIdle();
    return never();
  }

  const context: FlowContext = {
    runId: claim.runId,
    subject: run.subject,
    input: JSON.parse(run.input) as unknown,
    trigger: {
      kind: run.trigger_kind,
      ...(run.trigger_detail !== null && { detail: JSON.parse(run.trigger_detail) as unknown }),
    },
    actor: run.actor,

    step: (name, options, work) =>
      guarded(async () => {
        const known = recall(name, 'work');
        const position = positionOf(known);
        return occupied(async () => {
          try {
            return await runStep(host, { flow: run.flow, name, position, known, options, work });
          } catch (error) {
            if (error instanceof Error) failedAt.set(error, name);
            throw error;
          }
        });
      }),

    sleepUntil: (name, ms) =>
      guarded(async () => {
        if (!Number.isFinite(ms)) throw new ApiError('INVALID_STATE', `'${name}' cannot sleep until ${ms}`);
        const known = recall(name, 'sleep');
        if (known?.status === 'succeeded') return;
        const wait = { ...NO_APPROVAL, kind: 'sleep' as const, wakeAt: Math.round(ms) };
        await waitAt(name, known, wait, (step) => (step.wake_at ?? 0) <= deps.clock.now());
        await occupied(() => write(endSleep, { step: name, now: deps.clock.now() }));
      }),

    approval: (name, { question, deciders, forbidSelf = false }) =>
      guarded(async () => {
        const known = recall(name, 'approval');
        const wait = {
          kind: 'approval' as const,
          wakeAt: null,
          question,
          deciders: deciders ?? null,
          forbidSelf,
        };
        const isDecided = (step: StepRow) => step.approved !== null;
        const step = known && isDecided(known) ? known : await waitAt(name, known, wait, isDecided);
        return {
          approved: step.approved === 1,
          by: step.decided_by ?? 'unknown',
          ...(step.reason !== null && { reason: step.reason }),
        };
      }),
  };

  async function finish(
    status: 'succeeded' | 'failed',
    output: string | null,
    error?: unknown,
  ): Promise<void> {
    isClosing = true;
    // What else is under way has no one left who waits for it.
    if (busy > 0) abort.abort(new ApiError('RESOURCE_CONFLICT', `The run ${claim.runId} has ${status}`));
    await writeLastNotes();
    await writeNow(finishRun, {
      now: deps.clock.now(),
      status,
      output,
      error: error === undefined ? null : JSON.stringify(recordError(error)),
      failedStep: (error instanceof Error && failedAt.get(error)) || null,
    });
    deps.metrics.finished(run.flow, status);
    end('finished');
  }

  function fail(error: unknown): void {
    if (!isAlive) return;
    deps.logger.warn({ err: error, run: claim.runId, flow: run.flow }, 'a job has failed');
    finish('failed', null, error).catch((problem: unknown) => {
      deps.logger.error({ err: problem, run: claim.runId }, 'the end of a job could not be recorded');
      end('lost');
    });
  }

  async function runFlow(): Promise<void> {
    const output = await flow(context);
    await finish('succeeded', toJson(output, `The output of the flow ${run.flow}`));
  }
  runFlow().catch(fail);

  return {
    claim,
    ended: ended.promise,
    abandon: (reason) => end('lost', reason),
    settled: () => Promise.all(works),
  };
}
