import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';

const MAX_DISCARDED_BYTES = 64 * 1024 * 1024;

/**
 * Keeps the connection of a refused request usable: what is still arriving of its body is thrown away, because most
 * clients look at the answer only when they have sent everything. Too large a rest is cut off with the connection.
 */
export function receiveRest(request: FastifyRequest, reply: FastifyReply): void {
  const { raw, body } = request;
  if (Number(request.headers['content-length'] ?? 0) > MAX_DISCARDED_BYTES) {
    reply.header('connection', 'close');
    return;
  }
  if (reply.hasHeader('connection')) reply.removeHeader('connection');
  if (raw.complete) return;
  let discardedBytes = 0;
  raw.on('data', (chunk: Buffer) => {
    discardedBytes += chunk.length;
    if (discardedBytes > MAX_DISCARDED_BYTES) raw.destroy();
  });
  if (body instanceof Readable) body.destroy();
  raw.resume();
}
