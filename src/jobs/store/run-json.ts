import { ApiError } from '../../platform/index.ts';

const MAX_JSON_CHARS = 1024 * 1024;

/** @throws ApiError INVALID_STATE when it is no JSON or too long for the database. */
export function toJson(value: unknown, what: string): string | null {
  if (value === undefined) return null;
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new ApiError('INVALID_STATE', `${what} is no JSON: ${(error as Error).message}`);
  }
  if (text === undefined) return null;
  if (text.length > MAX_JSON_CHARS) {
    throw new ApiError(
      'INVALID_STATE',
      `${what} has ${text.length} characters of JSON, the most is ${MAX_JSON_CHARS}: keep it as an artifact and answer where it is`,
    );
  }
  return text;
}

/** The value of `toJson`'s text. */
export function fromJson<T>(text: string | null): T {
  return (text === null ? undefined : JSON.parse(text)) as T;
}
