import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { Logger } from '../logging.ts';
import { errorBody, retryAfterSeconds, toApiError } from './error-response.ts';
import type { HotLane, HotRequest, HotRoute } from './hot-route.ts';
import { parseJsonText } from './json-body.ts';
import { actorOf } from './request-identity.ts';
import { createRequestLog, isQuietStatus, type LogFailure, logFinishedRequest } from './request-log.ts';
import { type HostPolicy, isSameOrigin } from './request-origin.ts';
import type { RouteMetrics } from './route-metrics.ts';

class LaneRequest implements HotRequest {
  readonly id: string;
  readonly headers: IncomingHttpHeaders;
  readonly params: Readonly<Record<string, string>>;
  readonly #response: ServerResponse;
  text: string | undefined;
  constructor(
    id: string,
    headers: IncomingHttpHeaders,
    params: Readonly<Record<string, string>>,
    response: ServerResponse,
  ) {
    this.id = id;
    this.headers = headers;
    this.params = params;
    this.#response = response;
  }
  get actor(): string {
    return actorOf(this.headers);
  }
  get isGone(): boolean {
    return this.#response.destroyed;
  }
}

const NO_PARAMS = Object.freeze({});

interface LaneRoute {
  url: string;
  handler: HotRoute['handler'];
  metrics: RouteMetrics;
}

/** The parameters of a path under a pattern's segments; undefined when it does not fit or cannot be decoded. */
function matchPath(segments: readonly string[], path: string): Record<string, string> | undefined {
  const given = path.split('/');
  if (given.length !== segments.length || path.includes('?')) return undefined;
  const params: Record<string, string> = {};
  for (let at = 0; at < segments.length; at++) {
    const segment = segments[at] as string;
    const value = given[at] as string;
    if (!segment.startsWith(':')) {
      if (segment !== value) return undefined;
      continue;
    }
    if (value === '') return undefined;
    try {
      params[segment.slice(1)] = value.includes('%') ? decodeURIComponent(value) : value;
    } catch {
      return undefined;
    }
  }
  return params;
}

export function createHotLane(deps: {
  hosts: HostPolicy;
  logger: Logger;
  logFailure: LogFailure;
  nextRequestId: (headers: IncomingHttpHeaders) => string;
  routeMetrics: (method: string, route: string) => RouteMetrics;
  bodyLimitBytes: number;
  stop: AbortSignal;
}): HotLane {
  const { hosts, logger, logFailure, nextRequestId, stop, bodyLimitBytes } = deps;
  const routes = new Map<string, LaneRoute>();
  const patterns: { segments: string[]; route: LaneRoute }[] = [];

  function isCommon(request: IncomingMessage): boolean {
    const { headers } = request;
    const type = headers['content-type'];
    return (
      request.method === 'POST' &&
      (type === 'application/json' || type === 'application/json; charset=utf-8') &&
      Number(headers['content-length']) <= bodyLimitBytes &&
      headers['content-encoding'] === undefined &&
      hosts.allows(headers.host) &&
      (headers.origin === undefined || isSameOrigin(headers.origin, headers.host))
    );
  }

  function serve(
    route: LaneRoute,
    params: Readonly<Record<string, string>>,
    message: IncomingMessage,
    response: ServerResponse,
  ): void {
    const start = performance.now();
    const request = new LaneRequest(nextRequestId(message.headers), message.headers, params, response);
    let body: Buffer | undefined;
    let rest: Buffer[] | undefined;

    message.on('data', (chunk: Buffer) => {
      if (body === undefined) body = chunk;
      else if (rest === undefined) rest = [body, chunk];
      else rest.push(chunk);
    });
    message.on('end', () => {
      let answer: unknown;
      try {
        const bytes = rest === undefined ? body : Buffer.concat(rest);
        request.text = bytes === undefined ? '' : bytes.toString();
        answer = route.handler(parseJsonText(request.text), request);
        if (answer instanceof Promise) {
          answer.then(succeed, fail);
          return;
        }
      } catch (error) {
        fail(error);
        return;
      }
      succeed(answer);
    });

    function succeed(answer: unknown): void {
      let text: string;
      try {
        text = typeof answer === 'string' ? answer : JSON.stringify(answer);
      } catch (error) {
        fail(error);
        return;
      }
      send(200, text, undefined);
    }

    function fail(error: unknown): void {
      const told = toApiError(error);
      logFailure(createRequestLog(logger, request.id), route.url, error, told);
      send(told.status, JSON.stringify(errorBody(told, request.id)), retryAfterSeconds(told));
    }

    function send(status: number, text: string, retryAfter: string | undefined): void {
      if (response.destroyed) return;
      const headers = [
        'content-type',
        'application/json; charset=utf-8',
        'content-length',
        String(Buffer.byteLength(text)),
        'x-request-id',
        request.id,
        'x-content-type-options',
        'nosniff',
      ];
      if (retryAfter !== undefined) headers.push('retry-after', retryAfter);
      if (stop.aborted) headers.push('connection', 'close');
      response.writeHead(status, headers);
      response.end(text);
      const seconds = (performance.now() - start) / 1000;
      route.metrics.observe(status, seconds);
      logFinishedRequest(
        logger,
        isQuietStatus(status),
        { id: request.id, method: 'POST', url: route.url },
        status,
        seconds,
      );
    }
  }

  return {
    add(url, handler) {
      const route = { url, handler, metrics: deps.routeMetrics('POST', url) };
      if (url.includes('/:')) patterns.push({ segments: url.split('/'), route });
      else routes.set(url, route);
    },
    wrap: (next) => (request, response) => {
      const path = request.url as string;
      const route = routes.get(path);
      if (route !== undefined) {
        if (isCommon(request)) serve(route, NO_PARAMS, request, response);
        else next(request, response);
        return;
      }
      if (patterns.length > 0 && isCommon(request)) {
        for (const pattern of patterns) {
          const params = matchPath(pattern.segments, path);
          if (params !== undefined) return serve(pattern.route, params, request, response);
        }
      }
      next(request, response);
    },
  };
}
