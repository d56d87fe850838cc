import type { FastifySchema } from 'fastify';
import { ApiError } from '../errors.ts';
import { nearestName } from '../nearest-name.ts';

/** One registered route, as the OpenAPI document and the answer to an unknown path need it. */
export interface KnownRoute {
  method: string;
  /** Fastify's pattern, for example `/models/:name`. */
  url: string;
  schema: FastifySchema;
}

/** Says what is wrong with a request that no route takes: the method (with the `Allow` header) or the path. */
export function describeMissingRoute(
  routes: readonly KnownRoute[],
  method: string,
  url: string,
): { error: ApiError; allow?: string } {
  const path = url.split('?', 1)[0] as string;
  const allowed = [
    ...new Set(routes.filter((route) => matches(route.url, path)).map((route) => route.method)),
  ];
  if (allowed.length > 0) {
    const allow = allowed.sort().join(', ');
    return {
      allow,
      error: new ApiError(
        'METHOD_NOT_ALLOWED',
        `${method} is not allowed on ${shown(path)}; it takes ${allow}`,
      ),
    };
  }
  const visible = routes.filter((route) => route.schema.hide !== true).map((route) => openApiPath(route.url));
  // With the asker's own values in place of parameters, so that only the fixed parts are compared.
  const filled = new Map(visible.map((pattern) => [withValuesOf(path, pattern), pattern]));
  const nearest = filled.get(nearestName(path, filled.keys()) ?? '');
  const hint = nearest === undefined ? '' : ` Did you mean ${nearest}?`;
  return {
    error: new ApiError(
      'ENDPOINT_NOT_FOUND',
      `No endpoint ${method} ${shown(path)}.${hint} GET /docs lists what there is`,
    ),
  };
}

function withValuesOf(path: string, pattern: string): string {
  const values = path.split('/');
  const parts = pattern.split('/').map((part, i) => (part.startsWith('{') ? (values[i] ?? part) : part));
  return parts.join('/');
}

function shown(path: string): string {
  return path.length > 200 ? `${path.slice(0, 197)}...` : path;
}

function matches(pattern: string, path: string): boolean {
  const source = pattern
    .split(/(::|:[A-Za-z0-9_]+(?:\([^)]*\))?|\*)/)
    .map((part) => {
      if (part === '::') return ':';
      if (part === '*') return '.*';
      return part.startsWith(':') ? '[^/]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    })
    .join('');
  return new RegExp(`^${source}/?$`).test(path);
}

/** Fastify's pattern as an OpenAPI path: `/files/:name` -> `/files/{name}`, `/files/*` -> `/files/{path}`. */
export function openApiPath(pattern: string): string {
  return pattern
    .replace(/::|:([A-Za-z0-9_]+)(?:\([^)]*\))?/g, (whole, name) => (whole === '::' ? ':' : `{${name}}`))
    .replace(/\*$/, '{path}');
}
