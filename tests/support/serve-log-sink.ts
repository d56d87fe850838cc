import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type DesiredState,
  feedbackLineSchema,
  type ProfileEntry,
  predictionLineSchema,
  profileReportSchema,
} from '../../src/serving/contract.ts';

/** A control plane of nothing but HTTP: says what to serve, hands out bytes, takes segments and reports. */
export async function serveLogSink(state: DesiredState, bytesOf: (version: string) => Uint8Array) {
  const segments = new Map<string, string>();
  const entries = new Map<string, ProfileEntry>();
  const problems: string[] = [];

  async function read(request: IncomingMessage): Promise<string> {
    let body = '';
    request.setEncoding('utf8');
    for await (const chunk of request) body += chunk as string;
    return body;
  }

  const server = createServer((request, response) => {
    const path = (request.url ?? '').replace(/^\/api\/v1\//, '').split('?')[0] as string;
    const [, kind, ...name] = path.split('/');
    const fail = (why: string) => {
      problems.push(why);
      response.writeHead(409).end(why);
    };
    if (path === 'serving/desired-state') {
      if (request.headers['if-none-match'] === undefined) response.end(JSON.stringify(state));
      return;
    }
    if (path.endsWith('/model')) return void response.end(bytesOf(path.split('/')[3] as string));
    read(request).then(
      (body) => {
        if (kind === 'segments') {
          const key = name.join('/');
          const known = segments.get(key);
          const digest = createHash('sha256').update(body).digest('hex');
          if (digest !== request.headers['x-content-sha256']) return fail(`${key} has another digest`);
          if (known !== undefined && known !== body) return fail(`${key} came with other bytes`);
          segments.set(key, body);
        } else if (kind === 'profiles') {
          for (const entry of profileReportSchema.parse(JSON.parse(body)).entries) {
            const { model, version, variant, hour, segment, part } = entry;
            entries.set([...name, model, version, variant, hour, segment, part].join('\n'), entry);
          }
        } else return fail(`${request.method} ${path} is unknown`);
        response.end('{}');
        return undefined;
      },
      () => response.destroy(), // Its sender was killed.
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const lines = (kind: string): unknown[] =>
    [...segments]
      .filter(([key]) => key.startsWith(`${kind}/`))
      .flatMap(([, text]) => text.split('\n').slice(0, -1))
      .map((line) => JSON.parse(line) as unknown);

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    problems,
    predictions: () => lines('predictions').map((line) => predictionLineSchema.parse(line)),
    feedback: () => lines('feedback').map((line) => feedbackLineSchema.parse(line)),
    entries: () => [...entries.values()],
    close(): void {
      server.closeAllConnections();
      server.close();
    },
  };
}
