import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { FastifySchema } from 'fastify';

/** What a hot route's handler may know of its request. */
export interface HotRequest {
  readonly id: string;
  readonly actor: string;
  readonly headers: IncomingHttpHeaders;
  /** The path's parameters, decoded. */
  readonly params: Readonly<Record<string, string>>;
  /** Whether the client has gone, so that nobody waits for the answer. */
  readonly isGone: boolean;
  /** The body as it came, where it was read as one piece of JSON text. */
  readonly text?: string | undefined;
}

export interface HotRoute {
  /** A path; its parameters, as `/models/:name`, are whole segments. */
  url: string;
  /** Described in the OpenAPI document, but not applied: the handler validates its body by itself. */
  schema?: FastifySchema;
  /**
   * Takes the parsed JSON body (undefined when there is none) and gives the answer: a value to serialise, or a
   * string that is JSON text already. Throws ApiError as any other handler.
   */
  handler: (body: unknown, request: HotRequest) => unknown;
}

export interface HotLane {
  add(url: string, handler: HotRoute['handler']): void;
  wrap(next: Listener): Listener;
}

type Listener = (request: IncomingMessage, response: ServerResponse) => void;
