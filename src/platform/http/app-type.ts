import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance, FastifyTypeProvider, RawServerDefault } from 'fastify';
import type { output, ZodType } from 'zod';

/** Gives handlers the types of their route's Zod schemas. */
interface ZodTypeProvider extends FastifyTypeProvider {
  validator: this['schema'] extends ZodType ? output<this['schema']> : unknown;
  serializer: this['schema'] extends ZodType ? output<this['schema']> : unknown;
}

/** The HTTP app that a slice's routes are registered on. */
export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

declare module 'fastify' {
  interface FastifyInstance {
    /** Aborted when the app starts to stop: long polls and streams end, readiness answers no. */
    stopSignal: AbortSignal;
  }
  interface FastifyRequest {
    /** Who asks: the header `X-Tidemill-Actor`, else `anonymous`. A claim, not a proof, until there is sign-in. */
    readonly actor: string;
  }
  interface FastifySchema {
    /** What the OpenAPI document says of the route. */
    summary?: string;
    description?: string;
    tags?: readonly string[];
    operationId?: string;
    deprecated?: boolean;
    /** Leaves the route out of the document. */
    hide?: boolean;
    consumes?: readonly string[];
  }
  interface FastifyContextConfig {
    /** `debug` for routes that are asked all the time: their successful answers are not logged at level info. */
    logLevel?: 'info' | 'debug';
    /** The schema is for the OpenAPI document only; the handler checks its input by itself. */
    ownValidation?: boolean;
  }
}
