import net from 'node:net';
import { performance } from 'node:perf_hooks';
import tls from 'node:tls';

/** So much of an answer explains a failure. */
const ERROR_LENGTH = 300;

export interface LoadResult {
  concurrency: number;
  requests: number;
  errors: number;
  requests_per_second: number;
  p50_ms: number;
  p95_ms: number;
  p99_ms: number;
  max_ms: number;
  /** What the first request that failed was answered, where one failed. */
  first_error?: string;
}

/**
 * Sends the same POST over `concurrency` kept-alive connections for `durationMs`, each connection the next request
 * when the last one is answered. An answer other than 2xx and a broken connection count as errors. The client
 * writes a prepared buffer and reads no more than status and length of an answer, so that it costs little beside
 * the server. `onSecond` hears the number of answers so far.
 */
export async function measureLoad({
  url,
  body,
  concurrency,
  durationMs,
  warmUpMs = 300,
  signal,
  onProgress,
}: {
  url: string;
  body: string;
  concurrency: number;
  durationMs: number;
  warmUpMs?: number;
  signal?: AbortSignal;
  onProgress?: (progress: { elapsedMs: number; requests: number }) => void;
}): Promise<LoadResult> {
  const target = new URL(url);
  const request = prepareRequest(target, body);
  const latencies: number[] = [];
  const count = { errors: 0, first: undefined as string | undefined };
  const fail = (what: string) => {
    count.errors += 1;
    count.first ??= what;
  };
  const startedAt = performance.now();
  const measureFrom = startedAt + warmUpMs;
  const endsAt = measureFrom + durationMs;
  const sockets = new Set<net.Socket>();
  const ticker = setInterval(() => {
    onProgress?.({ elapsedMs: performance.now() - startedAt, requests: latencies.length });
  }, 500);
  const stop = () => {
    for (const socket of sockets) socket.destroy();
  };
  signal?.addEventListener('abort', stop, { once: true });

  const work = Array.from({ length: concurrency }, async () => {
    while (performance.now() < endsAt && !signal?.aborted) {
      const isBroken = await driveConnection({
        connect: () => connect(target),
        sockets,
        request,
        endsAt,
        onAnswer: (latencyMs, { status, body }) => {
          if (performance.now() < measureFrom) return;
          if (status >= 200 && status < 300) latencies.push(latencyMs);
          else fail(`${status} ${body().slice(0, ERROR_LENGTH)}`);
        },
      });
      if (isBroken && !signal?.aborted) {
        fail('the connection broke');
        // A server that refuses every connection is not to be hammered.
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  });
  await Promise.all(work);
  clearInterval(ticker);
  signal?.removeEventListener('abort', stop);
  const seconds = Math.max(1e-3, (Math.min(performance.now(), endsAt) - measureFrom) / 1000);
  const sorted = Float64Array.from(latencies).sort();
  return {
    concurrency,
    requests: sorted.length,
    errors: count.errors,
    requests_per_second: round(sorted.length / seconds, 1),
    p50_ms: round(quantile(sorted, 0.5)),
    p95_ms: round(quantile(sorted, 0.95)),
    p99_ms: round(quantile(sorted, 0.99)),
    max_ms: round(sorted.at(-1) ?? 0),
    ...(count.first !== undefined && { first_error: count.first }),
  };
}

/** The value below which the share `q` of the sorted values lies; 0 when there are none. */
export function quantile(sorted: Float64Array, q: number): number {
  if (sorted.length === 0) return 0;
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? 0;
}

function prepareRequest(target: URL, body: string): Buffer {
  const head = [
    `POST ${target.pathname}${target.search} HTTP/1.1`,
    `host: ${target.host}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: keep-alive',
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}

function connect(target: URL): net.Socket {
  const host = target.hostname.replace(/^\[|\]$/g, '');
  if (target.protocol === 'https:')
    return tls.connect({ host, port: Number(target.port || 443), servername: host });
  return net.connect({ host, port: Number(target.port || 80), noDelay: true });
}

/** Drives one connection until the time is over (false) or the connection breaks (true). */
function driveConnection({
  connect,
  sockets,
  request,
  endsAt,
  onAnswer,
}: {
  connect: () => net.Socket;
  sockets: Set<net.Socket>;
  request: Buffer;
  endsAt: number;
  onAnswer: (latencyMs: number, answer: { status: number; body: () => string }) => void;
}): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect();
    sockets.add(socket);
    let sentAt = 0;
    let isFinished = false;
    let pending: Buffer = Buffer.alloc(0);
    const finish = (isBroken: boolean) => {
      if (isFinished) return;
      isFinished = true;
      sockets.delete(socket);
      clearTimeout(limit);
      socket.destroy();
      resolve(isBroken);
    };
    // An answer that never comes ends the connection some time after the measurement.
    const limit = setTimeout(() => finish(true), Math.max(0, endsAt - performance.now()) + 10_000);
    const send = () => {
      sentAt = performance.now();
      socket.write(request);
    };
    socket.on(socket instanceof tls.TLSSocket ? 'secureConnect' : 'connect', send);
    socket.on('error', () => finish(true));
    socket.on('close', () => finish(true));
    socket.on('data', (chunk) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      const answer = readAnswer(pending);
      if (!answer) return;
      const whole = pending.subarray(0, answer.length);
      pending = pending.subarray(answer.length);
      const body = () => whole.toString('utf8', whole.indexOf('\r\n\r\n') + 4);
      onAnswer(performance.now() - sentAt, { status: answer.status, body });
      if (performance.now() >= endsAt) finish(false);
      else send();
    });
  });
}

/** Status and whole length of the answer at the start of `bytes`, or nothing while it is incomplete. */
export function readAnswer(bytes: Buffer): { status: number; length: number } | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const head = bytes.toString('latin1', 0, headEnd);
  const status = Number(head.slice(9, 12));
  const bodyStart = headEnd + 4;
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) {
    const end = bodyStart + Number(length);
    return bytes.length >= end ? { status, length: end } : undefined;
  }
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return { status, length: bodyStart };
  const end = bytes.indexOf('0\r\n\r\n', bodyStart);
  return end < 0 ? undefined : { status, length: end + 5 };
}

function round(value: number, digits = 3): number {
  return Number(value.toFixed(digits));
}
