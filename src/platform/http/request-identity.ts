import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

const REQUEST_ID = /^[A-Za-z0-9._:/+=-]{1,128}$/;

/**
 * Makes ids of requests: a random part for the process and a counter, because random bytes for every request would
 * cost more than the rest of the bookkeeping. A caller's own `X-Request-Id` is kept when it is short and plain.
 */
export function createRequestIds(): (headers: IncomingHttpHeaders) => string {
  const process = randomBytes(6).toString('base64url');
  let count = 0;
  return (headers) => {
    const given = headers['x-request-id'];
    if (given !== undefined && typeof given === 'string' && REQUEST_ID.test(given)) return given;
    count += 1;
    return `${process}-${count.toString(36)}`;
  };
}

const MAX_ACTOR_LENGTH = 128;

/** The `X-Tidemill-Actor` header without control characters and at most 128 characters long, else `anonymous`. */
export function actorOf(headers: IncomingHttpHeaders): string {
  const given = headers['x-tidemill-actor'];
  if (typeof given !== 'string') return 'anonymous';
  const actor = given
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '')
    .trim()
    .slice(0, MAX_ACTOR_LENGTH);
  return actor === '' ? 'anonymous' : actor;
}
