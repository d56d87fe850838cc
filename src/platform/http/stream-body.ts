import { Readable, Transform } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { ApiError } from '../errors.ts';
import type { App } from './app-type.ts';

export interface StreamLimits {
  /** Larger bodies are refused with PAYLOAD_TOO_LARGE, at once when Content-Length tells. */
  maxBytes: number;
  /** A body of which nothing arrives for so long is given up; default 60 seconds. */
  stallTimeoutMs?: number;
}

/**
 * Lets every later route of this plugin scope take any content type as a stream (`streamOf(request)`), not read into
 * memory. Use it inside `app.register(async (scope) => …)`, or all of the app's routes stop taking JSON.
 */
export function acceptStreams(scope: App, limits: StreamLimits): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', (request, payload, done) => {
    const length = Number(request.headers['content-length']);
    if (length > limits.maxBytes) return done(tooLarge(limits.maxBytes));
    done(null, boundedBody(payload, limits));
  });
}

/** The body of a request to a route under `acceptStreams`; a request without a body gives an empty stream. */
export function streamOf(request: FastifyRequest<any>): Readable {
  return request.body instanceof Readable ? request.body : Readable.from([], { objectMode: false });
}

function boundedBody(payload: Readable, { maxBytes, stallTimeoutMs = 60_000 }: StreamLimits): Readable {
  let sizeBytes = 0;
  const body = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sizeBytes += chunk.length;
      stall.refresh();
      if (sizeBytes > maxBytes) done(tooLarge(maxBytes));
      else done(null, chunk);
    },
  });
  const stall = setTimeout(() => {
    // Bytes that wait to be read show that we are the slow side.
    if (body.writableLength > 0 || body.readableLength > 0) stall.refresh();
    else body.destroy(new ApiError('BAD_REQUEST', `Nothing of the body arrived for ${stallTimeoutMs} ms`));
  }, stallTimeoutMs);

  // Not pipeline: it would destroy the request, and with it the connection that the error is to be told on.
  payload.pipe(body);
  payload.on('error', (error) => body.destroy(error));
  payload.on('close', () => {
    if (!payload.readableEnded) body.destroy(lostConnection());
  });
  body.on('error', () => {}); // Whoever reads it is told; when nobody does, it must not end the process.
  body.on('close', () => {
    clearTimeout(stall);
    payload.unpipe(body);
    payload.resume(); // What nobody wants must still arrive before the connection's next request can.
  });
  return body;
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError(
    'PAYLOAD_TOO_LARGE',
    `The body is larger than the ${maxBytes} bytes that this endpoint takes`,
  );
}

function lostConnection(): ApiError {
  return new ApiError('BAD_REQUEST', 'The connection was lost before the whole body had arrived');
}
