import { isIP } from 'node:net';
import { ApiError } from '../errors.ts';

/** Which `Host` headers are answered. A page on a foreign name that resolves to this machine must get nothing. */
export interface HostPolicy {
  /** Called by `listen`: the name it listens under is allowed, and beyond loopback every address (not name) is. */
  listensOn(host: string): void;
  allows(hostHeader: string | undefined): boolean;
}

export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (name === 'localhost' || name.endsWith('.localhost') || name === '::1') return true;
  if (name.startsWith('::ffff:')) return isLoopback(name.slice(7));
  return isIP(name) === 4 && name.startsWith('127.');
}

/** @param allowedHosts names without a port; `.example.org` also allows every name under it, `*` allows all. */
export function createHostPolicy(allowedHosts: readonly string[] = []): HostPolicy {
  const allowed = new Set(allowedHosts.map((host) => hostName(host) ?? host.toLowerCase()));
  const suffixes = [...allowed].filter((host) => host.startsWith('.'));
  let listenHost = 'localhost';
  let beyondLoopback = false;
  // Whole header values that passed, so that the common request costs one look-up; bounded against made-up ports.
  const passed = new Set<string>();

  function check(name: string): boolean {
    if (allowed.has('*') || isLoopback(name) || name === listenHost || allowed.has(name)) return true;
    if (suffixes.some((suffix) => name.endsWith(suffix) || name === suffix.slice(1))) return true;
    // Rebinding needs a name: whoever asks by address knows where it goes (probes of a cluster ask so).
    return beyondLoopback && isIP(name) !== 0;
  }

  return {
    listensOn(host) {
      listenHost = hostName(host) ?? host;
      beyondLoopback = !isLoopback(host);
      passed.clear();
    },
    allows(header) {
      if (header === undefined) return false;
      if (passed.has(header)) return true;
      const name = hostName(header);
      if (name === undefined || !check(name)) return false;
      if (passed.size < 100) passed.add(header);
      return true;
    },
  };
}

/** The lower-case name or address in a `Host` header, without port and brackets; undefined when it is malformed. */
function hostName(header: string): string | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/\\@[\]]+))(?::\d{1,5})?$/.exec(header.trim());
  const name = (match?.[1] ?? match?.[2])?.toLowerCase();
  return name?.replace(/(?<=.)\.$/, '');
}

/** True when a browser sends the request for a page of this very server, or no browser says otherwise. */
export function isSameOrigin(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return true;
  const match = /^https?:\/\/(.+)$/i.exec(origin);
  if (!match || host === undefined) return false;
  const withoutDefaultPort = (value: string) => value.toLowerCase().replace(/:(?:80|443)$/, '');
  return withoutDefaultPort(match[1] as string) === withoutDefaultPort(host);
}

export function isWrite(method: string | undefined): boolean {
  return method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS';
}

export function foreignHostError(host: string | undefined): ApiError {
  const name = host === undefined ? undefined : (hostName(host) ?? host);
  return new ApiError(
    'PERMISSION_DENIED',
    name === undefined
      ? 'The request has no Host header'
      : `Host ${JSON.stringify(name.slice(0, 255))} is not allowed here. Ask by a loopback name, or add it to ` +
          'TIDEMILL_ALLOWED_HOSTS (names, separated by commas) where the server starts',
  );
}

export function foreignOriginError(origin: string | undefined, host: string | undefined): ApiError {
  return new ApiError(
    'PERMISSION_DENIED',
    `A page of origin ${JSON.stringify((origin ?? '').slice(0, 255))} may not write to ${JSON.stringify(host ?? '')}: ` +
      'only pages of the same origin may',
  );
}
