import { ApiError } from '../platform/index.ts';
import type { StepContext, StepOptions } from './flow.ts';
import { never } from './never.ts';
import { pause } from './pause.ts';
import type { StepHost } from './step-host.ts';
import { isWorthRetrying, type RecordedError, recallError, recordError } from './store/job-error.ts';
import { fromJson, toJson } from './store/run-json.ts';
import { beginStep, endStep, giveUpStep } from './store/step-commands.ts';
import type { StepRow } from './store/tables.ts';

const HOUR_MS = 3_600_000;
const MOST_BACKOFF_MS = 300_000;
/** setTimeout takes no more. */
const MOST_TIMEOUT_MS = 2 ** 31 - 1;
/** A step in which its process dies so often in a row is what kills it. */
const MOST_INTERRUPTIONS = 20;

interface StepRequest<T> {
  flow: string;
  name: string;
  position: number;
  known: StepRow | undefined;
  options: StepOptions;
  work: (step: StepContext) => Promise<T>;
}

/** Answers what a recorded step answered; else makes attempts until one succeeds or none is left, and records each. */
export async function runStep<T>(host: StepHost, request: StepRequest<T>): Promise<T> {
  const { name, known, position } = request;
  const { retries = 0, backoffMs = 1000 } = request.options;
  const { runId } = host.claim;
  const key = `${runId}/${name}`;
  if (known?.status === 'succeeded') return fromJson<T>(known.result);
  if (known?.status === 'failed') throw recallError(JSON.parse(known.error ?? '{}') as RecordedError);
  if (known !== undefined && known.interruptions >= MOST_INTERRUPTIONS) {
    const error = {
      message: `The process ended ${known.interruptions} times in a row in the step '${name}', without a result`,
    };
    await host.write(giveUpStep, { step: name, now: host.clock.now(), error: JSON.stringify(error) });
    throw recallError(error);
  }
  let failures = known?.failures ?? 0;
  for (let attempt = (known?.attempts ?? 0) + 1; ; attempt++) {
    await host.write(beginStep, { step: name, position, attempt, now: host.clock.now() });
    host.changed();
    host.crash?.('before-effect', key);
    const outcome = await makeAttempt(host, request, attempt);
    if (host.isOver()) return never(); // Another goes on with the run, or nobody.
    host.crash?.('after-effect', key);
    const failed = 'error' in outcome;
    const willRetry = failed && failures < retries && isWorthRetrying(outcome.error);
    const error = failed ? recordError(outcome.error) : undefined;
    if (failed) {
      const { error: err } = outcome;
      host.logger.warn({ err, run: runId, step: name, attempt, willRetry }, 'a step of a job has failed');
      host.notes.log(name, attempt, `attempt ${attempt} failed: ${error?.message}`);
    }
    await host.write(endStep, {
      step: name,
      attempt,
      now: host.clock.now(),
      workMs: outcome.workMs,
      outcome: failed ? ('failed' as const) : ('succeeded' as const),
      result: failed ? null : outcome.result,
      error: error === undefined ? null : JSON.stringify(error),
      willRetry,
      notes: await host.notes.takeAll(),
    });
    host.metrics.stepEnded(request.flow, name, failed ? 'failed' : 'succeeded', outcome.workMs);
    host.crash?.('after-record', key);
    host.changed();
    // The first run of a flow and its repetition meet the same values.
    if (!failed) return fromJson<T>(outcome.result);
    if (!willRetry) throw recallError(error as RecordedError);
    failures++;
    const backoff = Math.min(MOST_BACKOFF_MS, backoffMs * 2 ** (failures - 1));
    await pause(backoff * (0.75 + Math.random() * 0.5), host.signal);
  }
}

const inWords = (ms: number): string =>
  ms < 1000 ? `${ms} ms` : ms < 120_000 ? `${ms / 1000} s` : `${Math.round(ms / 60_000)} min`;

type Outcome = { workMs: number } & ({ result: string | null } | { error: unknown });

/** One attempt; it is over when its time is, whether the work heeds its signal or not. */
async function makeAttempt<T>(
  host: StepHost,
  { name, options, work }: StepRequest<T>,
  attempt: number,
): Promise<Outcome> {
  const { runId } = host.claim;
  const { timeoutMs = HOUR_MS } = options;
  const limit = new AbortController();
  const signal = AbortSignal.any([host.signal, limit.signal]);
  const timer = setTimeout(
    () =>
      limit.abort(
        new ApiError('TEMPORARILY_UNAVAILABLE', `The step '${name}' took longer than ${inWords(timeoutMs)}`),
      ),
    Math.min(timeoutMs, MOST_TIMEOUT_MS),
  );
  let isOver = false;
  const context: StepContext = {
    key: `${runId}/${name}`,
    runId,
    step: name,
    attempt,
    signal,
    log(line) {
      if (!isOver) host.notes.log(name, attempt, line);
    },
    progress(done, note) {
      if (!isOver) host.notes.progress(name, done, note);
    },
  };
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const began = performance.now();
  const elapsed = () => performance.now() - began;
  try {
    const working = (async () => work(context))();
    host.track(working);
    const value = await Promise.race([working, aborted.promise]);
    return { result: toJson(value, `The result of the step '${name}'`), workMs: elapsed() };
  } catch (error) {
    return { error, workMs: elapsed() };
  } finally {
    isOver = true;
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    aborted.promise.catch(() => {});
  }
}
