import { CliError } from '../terminal/cli-error.ts';
import type { HttpClient } from './http-client.ts';
import { measureLoad } from './measure-load.ts';

const CONNECTIONS = 16;
/** Long enough for connections to be open before, and for a late failure to show after. */
const SETTLE_MS = 500;
/** The load ends by itself where nobody stops it. */
const LOAD_LIMIT_MS = 60_000;

export interface RollbackUnderLoad {
  from: string;
  to: string;
  /** From the command until the predecessor answered, milliseconds. */
  ms: number;
  requests: number;
  errors: number;
  p50_ms: number;
  p99_ms: number;
  /** What the first request that failed was answered, where one failed. */
  first_error?: string;
}

/** Undoes the last promotion of a model while requests run, and says what they met. */
export async function rollBackUnderLoad({
  client,
  serve,
  model,
  body,
  reason,
}: {
  client: HttpClient;
  serve: HttpClient;
  model: string;
  /** The request that runs all the time. */
  body: object;
  reason: string;
}): Promise<RollbackUnderLoad> {
  const path = `/models/${encodeURIComponent(model)}`;
  const stop = new AbortController();
  const load = measureLoad({
    url: `${serve.url}${path}/predict`,
    body: JSON.stringify(body),
    concurrency: CONNECTIONS,
    durationMs: LOAD_LIMIT_MS,
    signal: stop.signal,
  });
  const settle = () => new Promise((done) => setTimeout(done, SETTLE_MS));
  try {
    await settle();
    const startedAt = performance.now();
    const { from, to } = await client.post<{ from: string; to: string }>(`/api/v1${path}/rollback`, {
      reason,
    });
    for (;;) {
      const answer = await serve.post<{ model_version: string }>(`${path}/predict`, body);
      if (answer.model_version === to) break;
      if (performance.now() - startedAt > LOAD_LIMIT_MS)
        throw new CliError(
          `version ${answer.model_version} still answers ${LOAD_LIMIT_MS / 1000} s after the rollback to version ${to}`,
        );
    }
    const ms = Math.round(performance.now() - startedAt);
    await settle();
    stop.abort();
    const { requests, errors, p50_ms, p99_ms, first_error } = await load;
    return { from, to, ms, requests, errors, p50_ms, p99_ms, ...(first_error && { first_error }) };
  } finally {
    stop.abort();
  }
}
