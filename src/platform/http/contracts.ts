import type { ZodType } from 'zod';
import { ApiError } from '../errors.ts';
import { type Issue, plainIssue } from './plain-issue.ts';

const PART_NAMES: Record<string, string> = {
  body: 'body',
  querystring: 'query',
  params: 'path',
  headers: 'headers',
};

/** Compiles a Zod schema for Fastify: unknown fields pass, a wrong value is named together with what would be right. */
export function compileValidator({ schema, httpPart }: { schema: ZodType; httpPart?: string }) {
  const part = PART_NAMES[httpPart ?? ''] ?? 'request';
  return (data: unknown): { value: unknown } | { error: Error } => {
    const result = schema.safeParse(data);
    if (result.success) return { value: result.data };
    return { error: invalidParameter(result.error.issues as Issue[], data, part) };
  };
}

/** The INVALID_PARAMETER_VALUE that tells the first issues of a failed Zod parse. */
export function invalidParameter(issues: readonly Issue[], data: unknown, part: string): ApiError {
  const told = issues.slice(0, 5).map((issue) => {
    const path = issue.path.map(String).join('.');
    const value = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown>)?.[key], data);
    if (value === undefined && path !== '') return { path, text: `'${path}' is missing from the ${part}` };
    const name = path === '' ? `the ${part}` : `'${path}' in the ${part}`;
    return { path, text: `${name} is ${shown(value)}: ${plainIssue(issue)}` };
  });
  const more = issues.length > told.length ? ` (and ${issues.length - told.length} more)` : '';
  return new ApiError(
    'INVALID_PARAMETER_VALUE',
    `Invalid request: ${told.map((issue) => issue.text).join('; ')}${more}`,
    { fields: told.map((issue) => issue.path) },
  );
}

function shown(value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(value) ?? 'undefined';
  } catch {
    return 'nested too deeply'; // JSON.parse takes any depth, JSON.stringify does not.
  }
  return text.length > 100 ? `${text.slice(0, 97)}...` : text;
}

/** Serialises without a look at the schema: what is sent is checked by the tests, under `verifyResponses`. */
export function compileSerializer() {
  return JSON.stringify;
}

/** Serialises and fails when the answer breaks its contract, also by a field that the contract does not know. */
export function compileVerifyingSerializer(route: {
  schema: ZodType | { properties: ZodType };
  method: string;
  url: string;
}) {
  const schema = 'safeParse' in route.schema ? route.schema : route.schema.properties;
  return (data: unknown): string => {
    const text = JSON.stringify(data);
    const sent: unknown = text === undefined ? undefined : JSON.parse(text);
    const result = schema.safeParse(sent);
    const problem = result.success
      ? unknownField(sent, result.data, '')
      : result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
    if (problem !== undefined) {
      throw new Error(`The answer of ${route.method} ${route.url} breaks its contract: ${problem}`);
    }
    return text;
  };
}

function unknownField(sent: unknown, parsed: unknown, path: string): string | undefined {
  if (typeof sent !== 'object' || sent === null || typeof parsed !== 'object' || parsed === null)
    return undefined;
  for (const [key, value] of Object.entries(sent)) {
    const at = path === '' ? key : `${path}.${key}`;
    if (!Object.hasOwn(parsed, key)) return `${at} is not in it`;
    const inner = unknownField(value, (parsed as Record<string, unknown>)[key], at);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

/** The validator of routes that check their input by themselves (`config.ownValidation`). */
export function acceptAnyBody() {
  return (data: unknown): { value: unknown } => ({ value: data });
}
