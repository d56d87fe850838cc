import { ApiError } from '../platform/index.ts';

const SCHEME = 'mlflow-artifacts:/';

/** Where the tracking server keeps what clients call `<experiment>/<run>/artifacts/…`, apart from all other artifacts. */
export function trackingKey(path: string): string {
  return `tracking/${path}`;
}

/**
 * The artifact store's key for a location such as `mlflow-artifacts:/1/<run>/artifacts`, with what lies below it.
 * undefined for a location that this server does not manage (`s3://…`, `models:/…`).
 */
export function keyOfLocation(location: string, below = ''): string | undefined {
  if (!location.startsWith(SCHEME)) return undefined;
  // Some clients write the host of the tracking server: mlflow-artifacts://host:port/path.
  const path = withoutEndSlashes(location.slice(SCHEME.length).replace(/^\/[^/]*\//, ''));
  if (path === '')
    throw new ApiError('INVALID_PARAMETER_VALUE', `'${location}' names no path below ${SCHEME}`);
  return trackingKey(below === '' ? path : `${path}/${below}`);
}

/** In one pass: the pattern `/+$` takes quadratic time on slashes in the middle. */
export function withoutEndSlashes(path: string): string {
  let end = path.length;
  while (end > 0 && path[end - 1] === '/') end--;
  return path.slice(0, end);
}
