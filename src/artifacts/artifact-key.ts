import { ApiError } from '../platform/index.ts';

/** As long as S3 takes. */
const MAX_KEY_BYTES = 1024;
/** As long as a file's name may be. */
const MAX_PART_BYTES = 255;
/** More than any chain of proxies undoes. */
const MAX_DECODINGS = 8;

/**
 * Checks that a key is a plain relative path, also after percent-decodings by whoever stands in front, and gives its
 * parts.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE.
 */
export function parseKey(key: string): string[] {
  if (Buffer.byteLength(key) > MAX_KEY_BYTES)
    throw invalidPath(key, `it is longer than ${MAX_KEY_BYTES} bytes`);
  let decoded = key;
  for (let decodings = 0; ; decodings++) {
    const problem = problemOf(decoded);
    if (problem !== undefined) throw invalidPath(key, problem);
    const next = decodedOnce(decoded);
    if (next === undefined || next === decoded) break;
    if (decodings === MAX_DECODINGS)
      throw invalidPath(key, `it is percent-encoded more than ${MAX_DECODINGS} times`);
    decoded = next;
  }
  const parts = key.split('/');
  if (parts.some((part) => Buffer.byteLength(part) > MAX_PART_BYTES)) {
    throw invalidPath(key, `a part of it is longer than ${MAX_PART_BYTES} bytes`);
  }
  return parts;
}

/** As `parseKey`, for folders: the root is `''`, and a slash at the end is ignored. */
export function parsePrefix(prefix: string): string[] {
  return prefix === '' ? [] : parseKey(prefix.replace(/(?<=[^/])\/$/, ''));
}

function problemOf(key: string): string | undefined {
  if (key === '') return 'it is empty';
  if (key.startsWith('/') || /^[A-Za-z]:/.test(key)) return 'it must be relative';
  if (key.includes('\\')) return 'parts are separated by /';
  if (key.includes('#')) return 'it must not contain #';
  if (/\p{Cc}/u.test(key)) return 'it must not contain control characters';
  if (!key.isWellFormed()) return 'it is not valid Unicode';
  for (const part of key.split('/')) {
    if (part === '') return 'a part of it is empty';
    if (part === '.' || part === '..') return `it must not contain ${part}`;
  }
  return undefined;
}

function decodedOnce(key: string): string | undefined {
  try {
    return decodeURIComponent(key);
  } catch {
    // A lone % is an ordinary character; what else is encoded still counts.
    return key.replace(/%([0-7][0-9a-f])/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
  }
}

function invalidPath(key: string, problem: string): ApiError {
  const shown = key.length > 200 ? `${key.slice(0, 197)}...` : key;
  return new ApiError('INVALID_PARAMETER_VALUE', `Invalid path ${JSON.stringify(shown)}: ${problem}`);
}
