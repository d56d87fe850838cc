import { ApiError } from '../platform/index.ts';

/** A page token that says how many results came before; opaque to clients. */
export function encodePageToken(offset: number): string {
  return Buffer.from(JSON.stringify({ offset })).toString('base64url');
}

/** @throws ApiError INVALID_PARAMETER_VALUE when the token is not one of ours. */
export function decodePageToken(token: string | undefined): number {
  if (!token) return 0;
  try {
    const { offset } = JSON.parse(Buffer.from(token, 'base64url').toString()) as { offset?: unknown };
    if (typeof offset === 'number' && Number.isSafeInteger(offset) && offset >= 0) return offset;
  } catch {
    // Reported below, as any other token that we did not make.
  }
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    `Invalid page token, could not be decoded: '${token.slice(0, 60)}'`,
  );
}
