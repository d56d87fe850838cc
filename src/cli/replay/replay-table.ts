import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HttpClient } from '../http/http-client.ts';
import { CliError } from '../terminal/cli-error.ts';

/** A row of the past, with the moment at which it would have been asked, and what was found out later. */
export interface ReplayRow {
  /** Milliseconds since the epoch. */
  at: number;
  features: Record<string, unknown>;
  label: string | number | boolean;
}

/** One answered request of a replay. */
export interface ReplayAnswer {
  prediction_id: string;
  prediction: unknown;
  probabilities?: Record<string, number>;
  model_version: string;
  variant: string;
}

export interface ReplayStep {
  from: number;
  to: number;
  rows: { row: ReplayRow; answer: ReplayAnswer | undefined }[];
  labels: number;
  /** Labels of answered rows that come after the step. */
  labelsLater: number;
  errors: number;
  /** How far the platform's own time is ahead of the step's newest event; left out when it was not waited for. */
  aheadMs?: number;
}

/**
 * Reads a dated table as rows to replay, in the order of their time.
 *
 * @param target a column or an expression such as `delay > 15`; rows without it are left out
 */
export async function readReplayRows(
  path: string,
  { target, time }: { target: string; time: string },
): Promise<ReplayRow[]> {
  const { exportLabelled, ingestFile, planTarget, readHeldOut } = await import('../../datasets/index.ts');
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-replay-'));
  try {
    const parquetPath = join(folder, 'rows.parquet');
    const table = await ingestFile({ path, outPath: parquetPath, time });
    const plan = await planTarget({ parquetPath, schema: table.schema, target });
    const columns = table.schema.map(({ name }) => name).filter((name) => !plan.targetColumns.includes(name));
    const outPath = join(folder, 'labelled.parquet');
    await exportLabelled({ parquetPath, plan, columns, outPath, maxRows: table.rows });
    const text = table.schema.filter(({ type }) => type === 'string').map(({ name }) => name);
    const { rows, targets } = await readHeldOut(outPath, { targetName: plan.targetName, text });
    const replay = rows.map((features, i) => {
      const at = Date.parse(String(features[time]));
      if (Number.isNaN(at)) throw new CliError(`row ${i + 1} of ${path} has no date in column ${time}`);
      return { at, features, label: targets[i] as ReplayRow['label'] };
    });
    return replay.sort((a, b) => a.at - b.at);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export interface ReplayOptions {
  model: string;
  serveUrl: string;
  /** The control plane: each step waits until it has done all that the step made due. */
  client: HttpClient;
  rows: readonly ReplayRow[];
  /** What `waitUntilAnswered` heard for the first row, which is then not sent again. */
  firstAnswer?: ReplayAnswer;
  /** How long after its row a label comes. */
  labelDelayMs: number;
  stepMs: number;
  connections: number;
  signal: AbortSignal;
  /** Waits for the platform after each step, unless false. */
  isPaced?: boolean;
}

const LOOP_WAIT_MS = 30_000;
/** A retraining on a large table may take long, but one that moves nothing for so long hangs. */
const SETTLE_LIMIT_MS = 600_000;

/**
 * Sends the rows as requests with their own timestamps, step by step, and the labels when they would have been known.
 * Yields each step when the platform has settled: a platform under `--clock events` lives through the same days.
 */
export async function* replayTable(options: ReplayOptions): AsyncGenerator<ReplayStep> {
  const {
    model,
    rows,
    firstAnswer,
    labelDelayMs,
    stepMs,
    connections,
    signal,
    client,
    isPaced = true,
  } = options;
  const serve = createJsonPoster(options.serveUrl, connections);
  const path = `/models/${encodeURIComponent(model)}`;
  const waiting: { dueAt: number; body: { prediction_id: string; label: unknown; timestamp: number } }[] = [];
  let at = 0;
  try {
    while (at < rows.length) {
      signal.throwIfAborted();
      const first = rows[at] as ReplayRow;
      const from = Math.floor(first.at / stepMs) * stepMs;
      const to = from + stepMs;
      let end = at;
      while (end < rows.length && (rows[end] as ReplayRow).at < to) end += 1;
      const step: ReplayStep = { from, to, rows: [], labels: 0, labelsLater: 0, errors: 0 };
      const batch = rows.slice(at, end);
      step.rows = await inParallel(batch, connections, async (row) => {
        if (row === rows[0] && firstAnswer !== undefined) return { row, answer: firstAnswer };
        const timestamp = new Date(row.at).toISOString();
        const sent = await serve(`${path}/predict`, { features: row.features, timestamp }, signal);
        if (sent.status === 200) return { row, answer: sent.body as ReplayAnswer };
        step.errors += 1;
        return { row, answer: undefined };
      });
      for (const { row, answer } of step.rows) {
        if (answer === undefined) continue;
        const dueAt = row.at + labelDelayMs;
        waiting.push({
          dueAt,
          body: { prediction_id: answer.prediction_id, label: row.label, timestamp: dueAt },
        });
      }
      const known = waiting.findIndex(({ dueAt }) => dueAt >= to);
      const due = waiting.splice(0, known < 0 ? waiting.length : known);
      if (due.length > 0) {
        const sent = await serve(
          `${path}/feedback`,
          due.map(({ body }) => body),
          signal,
        );
        if (sent.status === 200) step.labels = due.length;
        else step.errors += 1;
      }
      step.labelsLater = waiting.length;
      const newest = Math.max(batch.at(-1)?.at ?? 0, due.at(-1)?.dueAt ?? 0);
      if (isPaced) step.aheadMs = (await waitUntilSettled(client, newest, signal)) - newest;
      yield step;
      at = end;
    }
  } finally {
    serve.close();
  }
}

/** Waits until the model answers: a first version may still be in training. */
export async function waitUntilAnswered(
  { serveUrl, model, rows, signal }: Pick<ReplayOptions, 'serveUrl' | 'model' | 'rows' | 'signal'>,
  limitMs: number,
): Promise<ReplayAnswer> {
  const [first] = rows;
  if (first === undefined) throw new CliError('there are no rows to replay');
  const post = createJsonPoster(serveUrl, 1);
  const end = performance.now() + limitMs;
  try {
    for (;;) {
      signal.throwIfAborted();
      // With the time of the first row, so that a clock that follows the events starts there.
      const body = { features: first.features, timestamp: first.at };
      const answer = await post(`/models/${encodeURIComponent(model)}/predict`, body, signal);
      if (answer.status === 200) return answer.body as ReplayAnswer;
      const { message = 'nothing answers' } = (answer.body ?? {}) as { message?: string };
      const isClientError = answer.status >= 400 && answer.status < 500 && answer.status !== 404;
      if (isClientError || performance.now() > end)
        throw new CliError(`${model} does not answer: ${message}`);
      await new Promise((again) => setTimeout(again, 200));
    }
  } finally {
    post.close();
  }
}

/**
 * Waits until the control plane has seen events up to `until` and has done all that they made due.
 *
 * @returns the platform's own time then
 */
export async function waitUntilSettled(
  client: HttpClient,
  until: number,
  signal: AbortSignal,
): Promise<number> {
  const end = performance.now() + SETTLE_LIMIT_MS;
  for (;;) {
    const loop = await client.request<{
      settled_until?: number;
      now: number;
      problems: Record<string, string>;
    }>('GET', '/api/v1/loop', {
      query: { until, wait_ms: LOOP_WAIT_MS },
      signal,
    });
    if ((loop.settled_until ?? Number.NEGATIVE_INFINITY) >= until) return loop.now;
    const [problem] = Object.entries(loop.problems);
    if (problem !== undefined) throw new CliError(`the platform cannot go on: ${problem[0]}: ${problem[1]}`);
    if (performance.now() > end) {
      throw new CliError(
        `the platform has not settled at ${new Date(until).toISOString()}; it is at ${new Date(loop.now).toISOString()}`,
      );
    }
  }
}

/** Applies `work` to all items, so many at a time, and keeps their order. */
async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const run = async () => {
    while (next < items.length) {
      const i = next;
      next += 1;
      results[i] = await work(items[i] as T);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, run));
  return results;
}

/** Posts JSON over kept-alive connections, for many small requests; a connection that breaks is status 0. */
function createJsonPoster(base: string, connections: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const url = new URL(base);

  function post(
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<{ status: number; body: unknown }> {
    const text = JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          agent,
          host: url.hostname.replace(/^\[|\]$/g, ''),
          port: url.port,
          method: 'POST',
          path,
          headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
        },
        (answer) => {
          let received = '';
          answer.setEncoding('utf8').on('data', (part: string) => {
            received += part;
          });
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: parsed(received) }));
          answer.on('error', () => resolve({ status: 0, body: undefined }));
        },
      );
      sent.on('error', () =>
        signal.aborted ? reject(signal.reason as Error) : resolve({ status: 0, body: undefined }),
      );
      sent.end(text);
    });
  }
  return Object.assign(post, { close: () => agent.destroy() });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
