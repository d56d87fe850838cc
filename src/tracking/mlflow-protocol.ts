import { type ZodType, z } from 'zod';
import { ApiError, type App, addHotRoute } from '../platform/index.ts';

const PREFIX = '/api/2.0/mlflow';

/**
 * MLflow's clients ask for the same endpoints under four prefixes; one set of routes answers them all. For
 * `createApp`'s `rewriteUrl`.
 */
export function rewriteMlflowUrl(url: string): string {
  const rest = /^\/(?:ajax-)?api\/[23]\.0(\/mlflow(?:-artifacts)?\/.*)$/.exec(url)?.[1];
  return rest === undefined ? url : `/api/2.0${rest}`;
}

/** What a handler may know of its request besides the input. */
export interface MlflowCaller {
  actor: string;
}

/** One endpoint of the MLflow REST API: a GET reads its input from the query, every other method from a JSON body. */
export interface MlflowRoute {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Below `/api/2.0/mlflow`, for example `/runs/create`. */
  path: string;
  summary: string;
  request: ZodType;
  response: ZodType;
  /** For writes whose cost counts: answered by the platform's lean way. POST only. */
  hot?: boolean;
  handle(input: any, caller: MlflowCaller): Promise<unknown>;
}

/** Ties the type of the handler's input to the request schema. */
export function mlflowRoute<Request extends ZodType>(
  route: Omit<MlflowRoute, 'request' | 'handle'> & {
    request: Request;
    handle(input: z.output<Request>, caller: MlflowCaller): Promise<unknown>;
  },
): MlflowRoute {
  return route;
}

/**
 * Registers endpoints of the MLflow API. Unknown request fields are ignored, errors carry the texts that clients know,
 * and a write that is not JSON is 400.
 */
export async function registerMlflowRoutes(app: App, tag: string, routes: MlflowRoute[]): Promise<void> {
  await app.register((plugin, _options, done) => {
    const scope = plugin as unknown as App;
    scope.addContentTypeParser('*', (_request, _payload, refuse) => refuse(notJson()));
    for (const route of routes) addRoute(scope, route, tag);
    done();
  });
}

function addRoute(app: App, route: MlflowRoute, tag: string): void {
  const url = `${PREFIX}${route.path}`;
  const schema = {
    summary: route.summary,
    tags: [tag],
    [route.method === 'GET' ? 'querystring' : 'body']: route.request,
    response: { 200: route.response },
  };
  if (route.hot) {
    addHotRoute(app, {
      url,
      schema,
      handler: (body, request) => route.handle(parse(route.request, body), request),
    });
    return;
  }
  app.route({
    method: route.method,
    url,
    schema,
    config: { ownValidation: true },
    handler: (request) => {
      if (route.method === 'GET') return route.handle(parse(route.request, request.query), request);
      if (request.body === undefined || request.body === null) throw notJson();
      return route.handle(parse(route.request, request.body), request);
    },
  });
}

const notJson = () =>
  new ApiError(
    'BAD_REQUEST',
    `Bad Request. Content-Type must be 'application/json', and the body a JSON object.`,
  );

function parse(schema: ZodType, input: unknown): unknown {
  const result = schema.safeParse(input ?? {});
  if (result.success) return result.data;
  const issue = result.error.issues[0] as z.core.$ZodIssue;
  const path = issue.path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : `${text}${text && '.'}${String(part)}`),
    '',
  );
  const value = issue.path.reduce<unknown>((at, part) => (at as Record<PropertyKey, unknown>)?.[part], input);
  if (path === '') throw notJson();
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    value === undefined || value === null || value === ''
      ? `Missing value for required parameter '${path}'. See the API docs (/docs) for more information about request parameters.`
      : `Invalid value ${shown(value)} for parameter '${path}' supplied: ${issue.message}`,
  );
}

function shown(value: unknown): string {
  // Nested values may be too deep to write out.
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? '[...]' : '{...}';
  const text = JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 97)}...` : text;
}

/** A text that must be there and not be empty. */
export const requiredText = z.string().min(1).max(10_000);

/** A 64-bit integer, which JSON clients send as a number or as text. */
export const int64 = z.preprocess(
  (value) => (typeof value === 'string' && /^-?\d{1,19}$/.test(value) ? Number(value) : value),
  z.int(),
);

/** A list that a query may carry as one value or as repeated keys. */
export const textList = z.preprocess(
  (value) => (typeof value === 'string' ? [value] : value),
  z.array(z.string().max(1000)).max(100),
);

/** A page size: default and largest differ by endpoint. */
export function maxResults(options: { standard: number; cap: number }) {
  return z
    .preprocess(
      (value) => (typeof value === 'string' ? Number(value) : value),
      z.int().min(1).max(options.cap),
    )
    .default(options.standard);
}

export const keyValueSchema = z.object({ key: z.string(), value: z.string() });

/** The answer of writes that have nothing to say. */
export const emptyResponse = z.strictObject({});
