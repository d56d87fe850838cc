import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';

const MAX_DISCARDED_BYTES = 64 * 1024 * 1024;

/**
 * Keeps the connection of a refused request usable: what is still arriving of its body is thrown away, because most
 * clients look at the answer only when they have sent everything. Too large a rest is cut off with the connection.
 */
export function receiveRest(request: FastifyRequest, reply: FastifyReply): void {
  const { raw, body } = request;
  if (body instanceof Readable) body.destroy();
  if (!raw.complete) raw.resume();
  const length = Number(request.headers['content-length'] ?? (raw.complete ? 0 : Number.POSITIVE_INFINITY));
  if (length > MAX_DISCARDED_BYTES) reply.header('connection', 'close');
  else reply.removeHeader('connection');
}
