import { DURATION_BUCKETS, type Metrics } from '../metrics.ts';

/** Counts the answers of one method and route. */
export interface RouteMetrics {
  observe(status: number, seconds: number): void;
}

/** `http_requests_total` and `http_request_duration_seconds`; the label `route` is the pattern, never the path. */
export function createRouteMetrics(metrics: Metrics): (method: string, route: string) => RouteMetrics {
  const requests = metrics.counter({
    name: 'http_requests_total',
    help: 'Requests answered.',
    labelNames: ['method', 'route', 'status'],
  });
  const durations = metrics.histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the request to the end of its answer, in seconds.',
    labelNames: ['method', 'route'],
    buckets: DURATION_BUCKETS,
  });
  const byMethod = new Map<string, Map<string, RouteMetrics>>();

  return (method, route) => {
    let byRoute = byMethod.get(method);
    if (byRoute === undefined) {
      byRoute = new Map();
      byMethod.set(method, byRoute);
    }
    let found = byRoute.get(route);
    if (found === undefined) {
      const duration = durations.labels(method, route);
      const byStatus = new Map<number, { inc(): void }>();
      found = {
        observe(status, seconds) {
          let count = byStatus.get(status);
          if (count === undefined) {
            count = requests.labels(method, route, status);
            byStatus.set(status, count);
          }
          count.inc();
          duration.observe(seconds);
        },
      };
      byRoute.set(route, found);
    }
    return found;
  };
}
