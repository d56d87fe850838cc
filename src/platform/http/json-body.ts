import { ApiError } from '../errors.ts';
import { refuseCostlyJson } from './refuse-costly-json.ts';

/** Fastify's parser for JSON bodies; a body that would set a prototype is refused. */
export function parseJson(
  _request: unknown,
  text: string | Buffer,
  done: (error: Error | null, body?: unknown) => void,
): void {
  try {
    done(null, parseJsonText(text as string));
  } catch (error) {
    done(error as Error);
  }
}

/** @throws ApiError BAD_REQUEST that says where the text stops being JSON, PAYLOAD_TOO_LARGE where parsing would take too long. */
export function parseJsonText(text: string): unknown {
  refuseCostlyJson(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (text.trim() === '') throw new ApiError('BAD_REQUEST', 'The body is empty; send a JSON document');
    throw new ApiError('BAD_REQUEST', `The body is not valid JSON: ${(error as Error).message}`);
  }
  // JSON can spell the key with escapes, so both spellings send the text through the slow check.
  if (text.includes('__proto__') || text.includes('\\u005')) refusePrototypeKeys(value);
  return value;
}

function refusePrototypeKeys(value: unknown): void {
  const open = [value];
  while (open.length > 0) {
    const at = open.pop();
    if (typeof at !== 'object' || at === null) continue;
    if (Object.hasOwn(at, '__proto__')) {
      throw new ApiError('BAD_REQUEST', 'The body has a key "__proto__", which no request may have');
    }
    for (const inner of Object.values(at)) open.push(inner);
  }
}
