import { CliError } from '../terminal/cli-error.ts';
import { createHttpClient, type HttpClient } from './http-client.ts';

export interface Served {
  /** Model servers that the control plane knows and that answer. */
  model_servers: string[];
  /** Whether all of them have the version warm and serving. */
  live: boolean;
  waited_ms: number;
}

/**
 * Waits until the model servers that the control plane knows serve the version, so that the next request after a
 * promotion meets it. A server that does not answer is left out; without any there is nothing to wait for.
 */
export async function waitUntilServed(
  client: HttpClient,
  name: string,
  version: string,
  { limitMs = 30_000, probeMs = 2000 }: { limitMs?: number; probeMs?: number } = {},
): Promise<Served> {
  const startedAt = performance.now();
  const { model_servers: urls = [] } = await client.get<{ model_servers?: string[] }>('/api/v1/status');
  const answers = await Promise.all(
    urls.map(async (url) => ({
      url,
      live: await waitFor(url, name, version, { deadline: startedAt + limitMs, probeMs }),
    })),
  );
  const reached = answers.filter(({ live }) => live !== undefined);
  return {
    model_servers: reached.map(({ url }) => url),
    live: reached.length > 0 && reached.every(({ live }) => live),
    waited_ms: Math.round(performance.now() - startedAt),
  };
}

async function waitFor(
  url: string,
  name: string,
  version: string,
  { deadline, probeMs }: { deadline: number; probeMs: number },
): Promise<boolean | undefined> {
  const server = createHttpClient({ url, remedy: 'start it with `tidemill serve`' });
  for (;;) {
    try {
      const { body } = await server.probe('/models', probeMs);
      const models = (body['models'] ?? []) as { name: string; version?: string }[];
      if (models.some((model) => model.name === name && model.version === version)) return true;
    } catch (error) {
      // One that is slow is asked again; one that is gone is left out.
      if (!(error instanceof CliError) || error.exit !== 'unreachable') throw error;
      if (error.code !== 'TIMEOUT') return undefined;
    }
    if (performance.now() > deadline) return false;
    await new Promise((again) => setTimeout(again, 25));
  }
}

/** What to tell after a move: where the version answers now, or what is the matter. */
export function describeServed(name: string, { model_servers, live, waited_ms }: Served): string {
  if (model_servers.length === 0) return 'no model server answers: start one with `tidemill serve`';
  if (!live) return `${model_servers.join(' and ')} does not serve it yet: see \`tidemill status\``;
  const path = `/models/${encodeURIComponent(name)}/predict`;
  return `live after ${waited_ms} ms: ${model_servers.map((url) => `POST ${url}${path}`).join(', ')}`;
}
