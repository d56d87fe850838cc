import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { FastifySchema } from 'fastify';
import type { Logger } from '../logging.ts';
import { stateOf } from './app-state.ts';
import type { App } from './app-type.ts';
import { errorBody, retryAfterSeconds, toApiError } from './error-response.ts';
import { parseJsonText } from './json-body.ts';
import { actorOf } from './request-identity.ts';
import { createRequestLog, logFinishedRequest } from './request-log.ts';
import { type HostPolicy, isSameOrigin } from './request-origin.ts';
import type { RouteMetrics } from './route-metrics.ts';

/** What a hot route's handler may know of its request. */
export interface HotRequest {
  readonly id: string;
  readonly actor: string;
  readonly headers: IncomingHttpHeaders;
}

export interface HotRoute {
  /** A path without parameters. */
  url: string;
  /** Described in the OpenAPI document, but not applied: the handler validates its body by itself. */
  schema?: FastifySchema;
  /**
   * Takes the parsed JSON body (undefined when there is none) and gives the answer: a value to serialise, or a
   * string that is JSON text already. Throws ApiError as any other handler.
   */
  handler: (body: unknown, request: HotRequest) => unknown;
}

/**
 * Adds a `POST` route for JSON bodies whose cost counts, as `/predict`. The common request (JSON with a
 * Content-Length, no query string, an allowed host) is answered right from `node:http`, with the same checks, errors,
 * metrics and ids; every other one takes Fastify's way to the same handler.
 */
export function addHotRoute(app: App, route: HotRoute): void {
  const { handler } = route;
  app.post(
    route.url,
    { schema: route.schema ? { ...route.schema } : {}, config: { logLevel: 'debug', ownValidation: true } },
    async (request, reply) => {
      const answer = await handler(request.body, request);
      void reply.type('application/json; charset=utf-8');
      return typeof answer === 'string' ? answer : JSON.stringify(answer);
    },
  );
  stateOf(app).hotLane.add(`${app.prefix}${route.url}`, handler);
}

export interface HotLane {
  add(url: string, handler: HotRoute['handler']): void;
  wrap(next: Listener): Listener;
}

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

class LaneRequest implements HotRequest {
  readonly id: string;
  readonly headers: IncomingHttpHeaders;
  constructor(id: string, headers: IncomingHttpHeaders) {
    this.id = id;
    this.headers = headers;
  }
  get actor(): string {
    return actorOf(this.headers);
  }
}

export function createHotLane(deps: {
  hosts: HostPolicy;
  logger: Logger;
  nextRequestId: (headers: IncomingHttpHeaders) => string;
  routeMetrics: (method: string, route: string) => RouteMetrics;
  bodyLimitBytes: number;
  stop: AbortSignal;
}): HotLane {
  const { hosts, logger, nextRequestId, stop, bodyLimitBytes } = deps;
  const routes = new Map<string, { url: string; handler: HotRoute['handler']; metrics: RouteMetrics }>();

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
    route: { url: string; handler: HotRoute['handler']; metrics: RouteMetrics },
    message: IncomingMessage,
    response: ServerResponse,
  ): void {
    const start = performance.now();
    const request = new LaneRequest(nextRequestId(message.headers), message.headers);
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
        answer = route.handler(parseJsonText(bytes === undefined ? '' : bytes.toString()), request);
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
      if (told.status >= 500) {
        createRequestLog(logger, request.id).error({ err: error, url: route.url }, told.message);
      }
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
        status < 400,
        { id: request.id, method: 'POST', url: route.url },
        status,
        seconds,
      );
    }
  }

  return {
    add(url, handler) {
      routes.set(url, { url, handler, metrics: deps.routeMetrics('POST', url) });
    },
    wrap: (next) => (request, response) => {
      const route = routes.get(request.url as string);
      if (route !== undefined && isCommon(request)) serve(route, request, response);
      else next(request, response);
    },
  };
}
