import { userInfo } from 'node:os';
import type { Readable } from 'node:stream';
import { CliError, usageError } from '../terminal/cli-error.ts';
import { whichOnes } from './which-ones.ts';

export const DEFAULT_URL = 'http://127.0.0.1:7070';
export const DEFAULT_SERVE_URL = 'http://127.0.0.1:7071';
/** A busy control plane still tells where its model servers are; one that hangs must not keep predictions long. */
const REPORT_LIMIT_MS = 10_000;

export type HttpClient = ReturnType<typeof createHttpClient>;

export type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

export interface RequestOptions {
  query?: Query;
  body?: unknown;
  /** Sent as it is, without a Content-Length when it is a stream. */
  stream?: Readable | Uint8Array;
  contentType?: string;
  headers?: Record<string, string>;
  timeoutMs?: number;
  signal?: AbortSignal;
}

/**
 * A client of one server. An answer that is not 2xx becomes a `CliError` with the server's own code and message; a
 * server that does not answer becomes exit status 3 with `remedy` as the advice.
 */
export function createHttpClient({
  url,
  actor = operatingSystemUser(),
  timeoutMs = 60_000,
  remedy,
}: {
  url: string;
  actor?: string;
  timeoutMs?: number;
  remedy: string;
}) {
  const base = checkUrl(url);

  async function send(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const target = new URL(`${base}${path}`);
    for (const [key, value] of Object.entries(options.query ?? {})) {
      if (Array.isArray(value)) for (const each of value) target.searchParams.append(key, each);
      else if (value !== undefined) target.searchParams.set(key, String(value));
    }
    const headers: Record<string, string> = {
      ...options.headers,
      'x-tidemill-actor': actor,
      accept: 'application/json, */*',
    };
    const init: RequestInit & { duplex?: 'half' } = { method, headers };
    if (options.stream !== undefined) {
      headers['content-type'] = options.contentType ?? 'application/octet-stream';
      init.body = options.stream as unknown as RequestInit['body'];
      init.duplex = 'half';
    } else if (options.body !== undefined || (method !== 'GET' && method !== 'DELETE')) {
      headers['content-type'] = 'application/json';
      init.body = JSON.stringify(options.body ?? {});
    }
    const limitMs = options.timeoutMs ?? timeoutMs;
    const limit = AbortSignal.timeout(limitMs);
    init.signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit;
    try {
      return await fetch(target, init);
    } catch (error) {
      if (limit.aborted) {
        throw new CliError(`${base} did not answer ${method} ${path} within ${limitMs / 1000} s`, {
          exit: 'unreachable',
          code: 'TIMEOUT',
        });
      }
      if (options.signal?.aborted) throw new CliError('interrupted', { exit: 'interrupted' });
      const cause = (error as { cause?: { code?: string; message?: string } }).cause;
      throw new CliError(
        cause?.message === 'bad port'
          ? `${base} uses a port that web clients refuse to call: ${remedy}`
          : `nothing answers at ${base} (${cause?.code ?? cause?.message ?? String(error)}): ${remedy}`,
        {
          exit: 'unreachable',
          code: 'UNREACHABLE',
        },
      );
    }
  }

  async function request<T>(method: string, path: string, options?: RequestOptions): Promise<T> {
    const response = await send(method, path, options);
    if (!response.ok) throw await explained(await errorFrom(response, `${method} ${path}`), path);
    const text = await response.text();
    return (text === '' ? {} : JSON.parse(text)) as T;
  }

  /** Adds to a model or dataset that does not exist which ones do. */
  async function explained(error: CliError, path: string): Promise<CliError> {
    const [, kind, name] = /^\/api\/v1\/(models|datasets)\/([^/?]+)/.exec(path) ?? [];
    if (error.code !== 'RESOURCE_DOES_NOT_EXIST' || kind === undefined || name === undefined) return error;
    const list = await (await send('GET', `/api/v1/${kind}`)).json().catch(() => undefined);
    const known = (list as Record<string, { name: string }[]> | undefined)?.[kind];
    if (!Array.isArray(known)) return error;
    const names = known.map((each) => each.name);
    const wanted = decodeURIComponent(name);
    if (names.includes(wanted)) return error;
    const remedy =
      kind === 'models'
        ? '`tidemill train` makes one, `tidemill models` lists them'
        : '`tidemill datasets add` makes one, `tidemill datasets` lists them';
    return new CliError(
      `no ${kind.slice(0, -1)} ${wanted} at ${base}: ${await whichOnes(wanted, names)} (${remedy})`,
      { code: error.code, ...(error.details && { details: error.details }) },
    );
  }

  return {
    url: base,
    actor,
    request,
    get: <T>(path: string, query?: Query) => request<T>('GET', path, query ? { query } : {}),
    post: <T>(path: string, body?: unknown, options?: RequestOptions) =>
      request<T>('POST', path, { ...options, body }),

    /** Uploads bytes or a stream. */
    upload: <T>(
      method: 'PUT' | 'POST',
      path: string,
      stream: Readable | Uint8Array,
      options: RequestOptions = {},
    ) => request<T>(method, path, { timeoutMs: 600_000, ...options, stream }),

    /** Answers the response of a successful download, its body still to be read. */
    async download(path: string, options: RequestOptions = {}): Promise<Response> {
      const response = await send('GET', path, { timeoutMs: 600_000, ...options });
      if (!response.ok) throw await errorFrom(response, `GET ${path}`);
      return response;
    },

    /** Answers status and JSON whatever the status is; only a silent server throws. */
    async probe(
      path: string,
      limitMs = 5000,
    ): Promise<{ status: number; body: Record<string, unknown>; date: string | undefined }> {
      const response = await send('GET', path, { timeoutMs: limitMs });
      const text = await response.text();
      return {
        status: response.status,
        body: parseObject(text),
        date: response.headers.get('date') ?? undefined,
      };
    },
  };
}

/** A client of the control plane: `--url`, else TIDEMILL_URL, else the local default. */
export function controlPlane(options: { url?: string }, env: Record<string, string | undefined>): HttpClient {
  return createHttpClient({
    url: options.url ?? (env['TIDEMILL_URL'] || DEFAULT_URL),
    remedy: 'start the platform with `tidemill up`, or name another server by --url or TIDEMILL_URL',
  });
}

/**
 * A client of a model server: `--serve-url`, else TIDEMILL_SERVE_URL, else the one that the control plane reports,
 * else the local default.
 */
export async function modelServer(
  options: { serveUrl?: string; url?: string },
  env: Record<string, string | undefined>,
): Promise<HttpClient> {
  const named = options.serveUrl ?? (env['TIDEMILL_SERVE_URL'] || undefined);
  return createHttpClient({
    url: named ?? (await reportedServeUrl(options, env)) ?? DEFAULT_SERVE_URL,
    remedy:
      'start one with `tidemill up` or `tidemill serve`, or name another by --serve-url or TIDEMILL_SERVE_URL',
  });
}

async function reportedServeUrl(
  options: { url?: string },
  env: Record<string, string | undefined>,
): Promise<string | undefined> {
  try {
    const { status, body } = await controlPlane(options, env).probe('/api/v1/status', REPORT_LIMIT_MS);
    const urls = status === 200 ? body['model_servers'] : undefined;
    return Array.isArray(urls) && typeof urls[0] === 'string' ? urls[0] : undefined;
  } catch (error) {
    // Predictions go on while the control plane is away, so its silence decides nothing here.
    if (error instanceof CliError && error.exit === 'unreachable') return undefined;
    throw error;
  }
}

async function errorFrom(response: Response, request: string): Promise<CliError> {
  const text = await response.text().catch(() => '');
  const body = parseObject(text);
  const code = typeof body['error_code'] === 'string' ? body['error_code'] : `HTTP_${response.status}`;
  const message =
    typeof body['message'] === 'string'
      ? body['message']
      : `${request} was answered ${response.status} ${text.slice(0, 200)}`;
  const details = body['details'];
  return new CliError(message, {
    code,
    ...(typeof details === 'object' && details !== null && { details: details as Record<string, unknown> }),
  });
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function checkUrl(url: string): string {
  const isHttp = URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
  if (!isHttp) throw usageError(`${url} is no URL: use one like ${DEFAULT_URL}`);
  return url.replace(/\/+$/, '');
}

function operatingSystemUser(): string {
  try {
    // Header values hold ASCII only.
    return userInfo().username.replace(/[^\x20-\x7e]/g, '?');
  } catch {
    return 'unknown';
  }
}
