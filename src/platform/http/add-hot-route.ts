import type { ZodType } from 'zod';
import { stateOf } from './app-state.ts';
import type { App } from './app-type.ts';
import { compileVerifyingSerializer } from './contracts.ts';
import type { HotRoute } from './hot-route.ts';

/**
 * Adds a `POST` route for JSON bodies whose cost counts, as `/predict`. The common request (JSON with a
 * Content-Length, no query string, an allowed host) is answered right from `node:http`, with the same checks, errors,
 * metrics and ids; every other one takes Fastify's way to the same handler.
 */
export function addHotRoute(app: App, route: HotRoute): void {
  const state = stateOf(app);
  const handler = state.verifyResponses ? verified(route) : route.handler;
  app.post(
    route.url,
    { schema: route.schema ? { ...route.schema } : {}, config: { logLevel: 'debug', ownValidation: true } },
    async (request, reply) => {
      const { id, actor, headers } = request;
      const params = request.params as Record<string, string>;
      const answer = await handler(request.body, {
        id,
        actor,
        headers,
        params,
        get isGone() {
          return reply.raw.destroyed;
        },
      });
      void reply.type('application/json; charset=utf-8');
      return typeof answer === 'string' ? answer : JSON.stringify(answer);
    },
  );
  state.hotLane.add(`${app.prefix}${route.url}`, handler);
}

/** The handler of a route that keeps its contract or fails, for tests. */
function verified({ url, schema, handler }: HotRoute): HotRoute['handler'] {
  const contract = (schema?.response as Record<string, ZodType> | undefined)?.['200'];
  if (contract === undefined) return handler;
  const serialize = compileVerifyingSerializer({ schema: contract, method: 'POST', url });
  return async (body, request) => {
    const answer = await handler(body, request);
    return serialize(typeof answer === 'string' ? JSON.parse(answer) : answer);
  };
}
