import { ApiError } from '../platform/index.ts';

/** Which part of what a search finds is asked for. */
export interface SearchPage {
  filter: string;
  orderBy: string[];
  limit: number;
  offset: number;
}

/** What every search of the MLflow API asks for in the same words. */
export function readSearchPage(input: {
  filter: string;
  order_by: string[];
  max_results: number;
  page_token?: string | undefined;
}): SearchPage {
  return {
    filter: input.filter,
    orderBy: input.order_by,
    limit: input.max_results,
    offset: decodePageToken(input.page_token),
  };
}

export const nextPageToken = (
  { offset, limit }: Pick<SearchPage, 'offset' | 'limit'>,
  hasMore: boolean,
): string | undefined => (hasMore ? encodePageToken(offset + limit) : undefined);

/** A page token that says how many results came before; opaque to clients. */
function encodePageToken(offset: number): string {
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
