import { createServer, type IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../clock.ts';
import type { Logger } from '../logging.ts';
import type { Metrics } from '../metrics.ts';
import { keepState } from './app-state.ts';
import type { App } from './app-type.ts';
import { compileSerializer, compileValidator, compileVerifyingSerializer } from './contracts.ts';
import { errorBody, retryAfterSeconds, toApiError } from './error-response.ts';
import { createHotLane } from './hot-lane.ts';
import { parseJson } from './json-body.ts';
import { answerMalformedHttp } from './malformed-http.ts';
import { receiveRest } from './receive-rest.ts';
import { addReferenceRoutes } from './reference-routes.ts';
import { actorOf, createRequestIds } from './request-identity.ts';
import { createFailureLog, createRequestLog, isQuietStatus, logFinishedRequest } from './request-log.ts';
import {
  createHostPolicy,
  foreignHostError,
  foreignOriginError,
  isSameOrigin,
  isWrite,
} from './request-origin.ts';
import { createRouteMetrics, type RouteMetrics } from './route-metrics.ts';
import { describeMissingRoute } from './route-table.ts';
import { type Connections, watchConnections } from './watch-connections.ts';

export interface AppOptions {
  /** The API's title, for example `Tidemill`. */
  name: string;
  version: string;
  description?: string;
  /** Adds to the OpenAPI document what is known only at run time; called with a copy for each request of it. */
  completeDocument?: (document: Record<string, any>) => Record<string, any>;
  logger: Logger;
  metrics: Metrics;
  clock: Clock;
  /** Names besides loopback's that a `Host` header may carry. */
  allowedHosts?: string[];
  /** Gives a path under another name its own: what is asked for under the one is answered by the routes of the other. */
  rewriteUrl?: (url: string) => string;
  /** Checks every answer against its contract and fails with 500 when it breaks it: for tests. */
  verifyResponses?: boolean;
  /** Largest body that is read into memory; default 16 MiB. Streamed bodies have limits of their own. */
  bodyLimitBytes?: number;
  /** The longest that a client may take to send one request; default 10 minutes (uploads). */
  requestTimeoutMs?: number;
  /** A connection is dropped when its client takes nothing of an answer for so long; default 60 seconds. */
  stallTimeoutMs?: number;
}

const MEBIBYTE = 1024 * 1024;

/**
 * An HTTP app with everything that all of Tidemill's servers share: request ids (`X-Request-Id`), JSON logs, errors
 * of one form, `Host` and `Origin` checks, `/metrics`, `/openapi.json` and `/docs`. Routes carry Zod schemas.
 */
export function createApp(options: AppOptions): App {
  // Loaded here and not above: the database's writer thread loads this slice too, and serves nothing.
  const { fastify: Fastify, LogController } = createRequire(import.meta.url)(
    'fastify',
  ) as typeof import('fastify');
  const { logger, metrics } = options;
  const hosts = createHostPolicy(options.allowedHosts);
  const nextRequestId = createRequestIds();
  const routeMetrics = createRouteMetrics(metrics);
  const bodyLimitBytes = options.bodyLimitBytes ?? 16 * MEBIBYTE;
  const stop = new AbortController();
  const logFailure = createFailureLog();
  const hotLane = createHotLane({
    hosts,
    logger,
    logFailure,
    nextRequestId,
    routeMetrics,
    bodyLimitBytes,
    stop: stop.signal,
  });
  const connections: Connections[] = []; // Of one server for each address that a host name stands for.
  const requestTimeoutMs = options.requestTimeoutMs ?? 600_000;
  const { rewriteUrl } = options;

  const app: App = Fastify({
    bodyLimit: bodyLimitBytes,
    ...(rewriteUrl ? { rewriteUrl: (request: IncomingMessage) => rewriteUrl(request.url ?? '/') } : {}),
    genReqId: (request) => nextRequestId(request.headers),
    return503OnClosing: false,
    logController: new LogController({ disableRequestLogging: true }),
    clientErrorHandler: answerMalformedHttp,
    frameworkErrors: ((error: unknown, request: FastifyRequest, reply: FastifyReply) => {
      void reply.code(400).send(errorBody(toApiError(error), request.id));
    }) as never,
    routerOptions: { maxParamLength: 1024, ignoreTrailingSlash: true },
    schemaController: {
      compilersFactory: {
        buildValidator: () => compileValidator as never,
        buildSerializer: () =>
          (options.verifyResponses ? compileVerifyingSerializer : compileSerializer) as never,
      },
    },
    serverFactory(handler) {
      const server = createServer(
        {
          keepAliveTimeout: 72_000, // Above the 60 s of common load balancers, which else meet closed connections.
          headersTimeout: Math.min(20_000, requestTimeoutMs),
          requestTimeout: requestTimeoutMs,
          connectionsCheckingInterval: Math.min(10_000, requestTimeoutMs),
        },
        hotLane.wrap(handler),
      );
      connections.push(watchConnections(server, options.stallTimeoutMs ?? 60_000));
      return server;
    },
  });

  keepState(app, {
    hosts,
    hotLane,
    logger,
    stop,
    connections: {
      closeIdle() {
        for (const some of connections) some.closeIdle();
      },
    },
    verifyResponses: options.verifyResponses ?? false,
  });
  app.log = logger as never;
  app.decorate('stopSignal', stop.signal);
  app.decorateRequest('actor', { getter: actorFromRequest });

  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, parseJson);

  app.addHook('onRequest', (request, reply, done) => {
    const { headers } = request;
    reply.header('x-request-id', request.id);
    reply.header('x-content-type-options', 'nosniff');
    reply.header('content-security-policy', "default-src 'none'; frame-ancestors 'none'; sandbox");
    request.log = reply.log = createRequestLog(logger, request.id) as never;
    if (!hosts.allows(headers.host)) return done(foreignHostError(headers.host));
    if (
      headers.origin !== undefined &&
      isWrite(request.method) &&
      !isSameOrigin(headers.origin, headers.host)
    ) {
      return done(foreignOriginError(headers.origin, headers.host));
    }
    done();
  });

  app.setErrorHandler((error, request, reply) => {
    const told = toApiError(error);
    logFailure(request.log, request.url, error, told);
    const retryAfter = retryAfterSeconds(told);
    if (retryAfter !== undefined) reply.header('retry-after', retryAfter);
    reply.removeHeader('content-type');
    receiveRest(request, reply);
    return reply.code(told.status).send(errorBody(told, request.id));
  });

  // Per route, so that a request looks nothing up.
  app.addHook('onRoute', (route) => {
    for (const method of [route.method].flat()) {
      const finish = finishRequest(
        logger,
        routeMetrics(method, route.url),
        route.config?.logLevel === 'debug',
      );
      route.onResponse = [finish, ...[route.onResponse ?? []].flat()];
    }
  });
  const routes = addReferenceRoutes(app, options);

  const unmatched = finishRequest(logger, routeMetrics('*', 'unmatched'), false);
  app.addHook('onResponse', (request, reply, done) =>
    request.is404 ? unmatched(request, reply, done) : done(),
  );
  app.setNotFoundHandler((request, reply) => {
    const { error, allow } = describeMissingRoute(routes, request.method, request.url);
    if (allow !== undefined) reply.header('allow', allow);
    return reply.code(error.status).send(errorBody(error, request.id));
  });

  return app;
}

function finishRequest(logger: Logger, metrics: RouteMetrics, quiet: boolean) {
  return (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    const seconds = reply.elapsedTime / 1000;
    metrics.observe(reply.statusCode, seconds);
    logFinishedRequest(logger, quiet && isQuietStatus(reply.statusCode), request, reply.statusCode, seconds);
    done();
  };
}

function actorFromRequest(this: FastifyRequest): string {
  return actorOf(this.headers);
}
