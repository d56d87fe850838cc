import { get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps } from 'node:https';
import {
  type ClockKind,
  createEventClock,
  createLogger,
  type Environment,
  systemClock,
} from './platform/index.ts';
import type { RunningModelServer } from './serving/index.ts';
import {
  desiredStateSchema,
  type FetchModel,
  type ResolveDesiredState,
  startModelServer,
} from './serving/index.ts';
import { loadServingConfig } from './settings.ts';

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
const STATE_LIMIT_BYTES = 64 * 1024 * 1024;

/** Composition root of `serve`: a model server that follows a control plane over HTTP. */
export async function startModelServerFromOptions(
  options: ModelServerFromOptions,
): Promise<RunningModelServer> {
  const { env, version, cacheDir, host, port, say } = options;
  const config = loadServingConfig(env, { defaultModel: options.defaultModel });
  const { maxRows, maxQueueRows, timeoutMs } = config;
  const controlPlane = createControlPlaneClient(options.controlPlaneUrl);
  return startModelServer({
    ...controlPlane,
    cacheDir,
    host,
    port,
    version,
    allowInsecure: options.allowInsecure ?? false,
    logger: createLogger({ level: config.logLevel, name: 'serve' }),
    clock: options.clockKind === 'events' ? createEventClock() : systemClock,
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
} {
  return {
    async resolveDesiredState(previousRevision, signal) {
      const known: Record<string, string> =
        previousRevision === undefined ? {} : { 'if-none-match': `"${previousRevision}"` };
      const wait = previousRevision === undefined ? '' : `?wait_ms=${LONG_POLL_MS}`;
      const path = `/api/v1/serving/desired-state${wait}`;
      const answer = await request(await url, path, known, signal, ANSWER_LIMIT_MS);
      if (answer.statusCode === 304) {
        answer.resume();
        return undefined;
      }
      const body = await read(answer, STATE_LIMIT_BYTES);
      return desiredStateSchema.parse(JSON.parse(body.toString()));
    },

    async fetchModel({ name, version }, signal) {
      const path = `/api/v1/models/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}/model`;
      return request(await url, path, {}, signal, FETCH_STALL_MS);
    },
  };
}

function request(
  base: string,
  path: string,
  headers: Record<string, string>,
  signal: AbortSignal,
  stallMs: number,
): Promise<IncomingMessage> {
  const target = `${base.replace(/\/$/, '')}${path}`;
  return new Promise((resolve, reject) => {
    const send = target.startsWith('https:') ? getHttps : getHttp;
    const sent = send(target, { headers, signal, timeout: stallMs }, (answer) => {
      const { statusCode = 0 } = answer;
      if (statusCode === 200 || statusCode === 304) return resolve(answer);
      read(answer, 10_000).then(
        (body) => reject(new Error(`GET ${target} answered ${statusCode}: ${body.toString().slice(0, 500)}`)),
        reject,
      );
    });
    sent.on('timeout', () => sent.destroy(new Error(`GET ${target} did not answer for ${stallMs} ms`)));
    sent.on('error', reject);
  });
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
