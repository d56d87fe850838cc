import { createReadStream } from 'node:fs';
import { request as askHttp, type IncomingMessage } from 'node:http';
import { request as askHttps } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { followEvents } from './follow-events.ts';
import {
  type ClockKind,
  createEventClock,
  createLogger,
  type Environment,
  MOST_AHEAD_MS,
  systemClock,
} from './platform/index.ts';
import type { RunningModelServer } from './serving/index.ts';
import {
  desiredStateSchema,
  type FetchModel,
  RefusedError,
  type ReportProfiles,
  type ResolveDesiredState,
  type ShipSegment,
  startModelServer,
} from './serving/index.ts';
import { loadServingConfig } from './settings.ts';
import { splitReport } from './split-report.ts';

export interface ModelServerFromOptions {
  /** Where to ask what to serve; it need not be up. */
  controlPlaneUrl: string | Promise<string>;
  cacheDir: string;
  host: string;
  port: number;
  allowInsecure?: boolean;
  /** `events`: the newest timestamp of a request or label tells the time. */
  clockKind?: ClockKind;
  env: Environment;
  version: string;
  defaultModel?: string;
  /** Told in a line for people, instead of the log, when the control plane goes and when it is back. */
  say?: (message: string) => void;
}

const LONG_POLL_MS = 25_000;
const ANSWER_LIMIT_MS = 35_000;
const FETCH_STALL_MS = 30_000;
/** A segment is kept for good before it is answered, which takes its time. */
const PUT_STALL_MS = 60_000;
/** Each chunk of a file costs the thread that answers a turn. */
const CHUNK_BYTES = 1024 * 1024;
const STATE_LIMIT_BYTES = 64 * 1024 * 1024;

/** Composition root of `serve`: a model server that follows a control plane over HTTP. */
export async function startModelServerFromOptions(
  options: ModelServerFromOptions,
): Promise<RunningModelServer> {
  const { env, version, cacheDir, host, port, say } = options;
  const config = loadServingConfig(env, { defaultModel: options.defaultModel });
  const { maxRows, maxQueueRows, timeoutMs } = config;
  const events =
    options.clockKind === 'events' ? createEventClock({ mostAheadMs: MOST_AHEAD_MS }) : undefined;
  const logger = createLogger({ level: config.logLevel, name: 'serve' });
  const controlPlane = createControlPlaneClient(options.controlPlaneUrl);
  return startModelServer({
    ...controlPlane,
    cacheDir,
    host,
    port,
    version,
    allowInsecure: options.allowInsecure ?? false,
    logger,
    clock: events ?? systemClock,
    ...(events && followEvents(events, logger)),
    // A replay waits for each report.
    reportMs: config.reportMs ?? (options.clockKind === 'events' ? 100 : 5000),
    logLimitBytes: config.logLimitBytes,
    defaultModel: config.defaultModel,
    allowedHosts: config.allowedHosts,
    bodyLimitBytes: config.bodyLimitBytes,
    unreadyMs: config.unreadyMs,
    limits: { maxRows, maxQueueRows, timeoutMs },
    ...(say && {
      onContact: (contact) =>
        say(
          contact.isThere
            ? 'the control plane answers again'
            : `the control plane does not answer (${contact.reason}); serving goes on with what is known`,
        ),
    }),
  });
}

/** What a model server asks of the control plane. `node:http` instead of `fetch`, which costs 15 ms at the start. */
export function createControlPlaneClient(url: string | Promise<string>): {
  resolveDesiredState: ResolveDesiredState;
  fetchModel: FetchModel;
  shipSegment: ShipSegment;
  reportProfiles: ReportProfiles;
} {
  return {
    async resolveDesiredState(previousRevision, signal) {
      const known: Record<string, string> =
        previousRevision === undefined ? {} : { 'if-none-match': `"${previousRevision}"` };
      const wait = previousRevision === undefined ? '' : `?wait_ms=${LONG_POLL_MS}`;
      const path = `/api/v1/serving/desired-state${wait}`;
      const answer = await get(await url, path, known, signal, ANSWER_LIMIT_MS);
      if (answer.statusCode === 304) {
        answer.resume();
        return undefined;
      }
      const body = await read(answer, STATE_LIMIT_BYTES);
      return desiredStateSchema.parse(JSON.parse(body.toString()));
    },

    async fetchModel({ name, version }, signal) {
      const path = `/api/v1/models/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}/model`;
      return get(await url, path, {}, signal, FETCH_STALL_MS);
    },

    async shipSegment({ kind, replica, incarnation, sequence }, { path, bytes, sha256 }, signal) {
      await put(await url, `/api/v1/serving/segments/${kind}/${replica}/${incarnation}/${sequence}`, signal, {
        headers: {
          'content-type': 'application/x-ndjson',
          'content-length': String(bytes),
          'x-content-sha256': sha256,
        },
        body: createReadStream(path, { end: bytes - 1, highWaterMark: CHUNK_BYTES }),
      });
    },

    async reportProfiles({ replica, incarnation }, report, signal) {
      for (const part of splitReport(report)) {
        const text = JSON.stringify(part);
        await put(await url, `/api/v1/serving/profiles/${replica}/${incarnation}`, signal, {
          headers: { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) },
          body: text,
        });
      }
    },
  };
}

function get(
  base: string,
  path: string,
  headers: Record<string, string>,
  signal: AbortSignal,
  stallMs: number,
): Promise<IncomingMessage> {
  const target = targetOf(base, path);
  return new Promise((resolve, reject) => {
    const send = target.startsWith('https:') ? askHttps : askHttp;
    const sent = send(target, { headers, signal, timeout: stallMs }, (answer) => {
      const { statusCode = 0 } = answer;
      if (statusCode === 200 || statusCode === 304) return resolve(answer);
      readProblem(answer, `GET ${target}`).then(reject, reject);
    });
    sent.on('timeout', () => sent.destroy(new Error(`GET ${target} did not answer for ${stallMs} ms`)));
    sent.on('error', reject);
    sent.end();
  });
}

/** What the control plane will not take at another time either: it conflicts, is not well-formed, or is too large. */
const REFUSED = new Set([400, 409, 413, 422]);

/** Resolves when the answer is 2xx. Throws RefusedError when trying again is of no use. */
async function put(
  base: string,
  path: string,
  signal: AbortSignal,
  { headers, body }: { headers: Record<string, string>; body: string | Readable },
): Promise<void> {
  const target = targetOf(base, path);
  signal.throwIfAborted();
  const answered = Promise.withResolvers<IncomingMessage>();
  const send = target.startsWith('https:') ? askHttps : askHttp;
  const sent = send(target, { method: 'PUT', headers, signal, timeout: PUT_STALL_MS }, answered.resolve);
  sent.on('timeout', () => sent.destroy(new Error(`PUT ${target} did not answer for ${PUT_STALL_MS} ms`)));
  sent.on('error', answered.reject);
  // A server that refuses early answers before it has read everything.
  if (typeof body === 'string') sent.end(body);
  else pipeline(body, sent).catch(answered.reject);
  const answer = await answered.promise;
  const { statusCode = 0 } = answer;
  if (statusCode >= 200 && statusCode < 300) {
    await read(answer, STATE_LIMIT_BYTES);
    return;
  }
  const problem = await readProblem(answer, `PUT ${target}`);
  if (typeof body !== 'string') sent.destroy();
  throw REFUSED.has(statusCode) ? new RefusedError(problem.message) : problem;
}

const targetOf = (base: string, path: string): string => `${base.replace(/\/$/, '')}${path}`;

async function readProblem(answer: IncomingMessage, asked: string): Promise<Error> {
  const body = await read(answer, 10_000);
  return new Error(`${asked} answered ${answer.statusCode}: ${body.toString().slice(0, 500)}`);
}

async function read(answer: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) throw new Error(`the answer is longer than ${limitBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
