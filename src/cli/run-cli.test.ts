import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { runCapturedCli } from '../../tests/support/run-captured-cli.ts';
import { COMMANDS } from './command-list.ts';
import { readVersion } from './terminal/read-version.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A server that answers every request with one status and body, and keeps what it was asked. */
async function answering(status: number | ((path: string) => [number, unknown]), body?: unknown) {
  const requests: { method: string; url: string; headers: Record<string, unknown>; body: string }[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      requests.push({
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body: text,
      });
      const [code, answer] = typeof status === 'number' ? [status, body] : status(request.url ?? '');
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push(server);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

describe('the command line', () => {
  it('prints its version and a help that names every command', async () => {
    expect((await runCapturedCli(['--version'])).stdout).toBe(`${readVersion()}\n`);
    const { status, stdout } = await runCapturedCli(['--help']);
    expect(status).toBe(0);
    for (const { name, summary } of COMMANDS) {
      expect(stdout).toContain(name);
      expect(stdout.replace(/\s+/g, ' ')).toContain(summary);
    }
  });

  it.each(COMMANDS.map(({ name }) => name))('%s has a help with examples and takes --json', async (name) => {
    const { status, stdout } = await runCapturedCli([name, '--help']);
    expect(status).toBe(0);
    if (!stdout.includes('Commands:')) {
      expect(stdout).toContain('Examples:');
      expect(stdout).toContain('--json');
    }
    expect((await runCapturedCli(['help', name])).stdout).toBe(stdout);
  });

  it('answers wrong usage with status 2 and the nearest name', async () => {
    const unknown = await runCapturedCli(['promot', 'iris']);
    expect(unknown.status).toBe(2);
    expect(unknown.stderr).toContain('Did you mean promote?');
    const option = await runCapturedCli(['up', '--port', '70000']);
    expect(option.status).toBe(2);
    expect(option.stderr).toMatch(/from 0.* to 65535/);
    const json = await runCapturedCli(['models', '--json', '--nope']);
    expect(json.status).toBe(2);
    expect(JSON.parse(json.stderr)).toMatchObject({ error_code: 'USAGE' });
    expect((await runCapturedCli(['models', '--url', 'localhost'])).status).toBe(2);
  });

  it('says `tidemill up` with status 3 where no server answers', async () => {
    const server = await answering(200, {});
    servers.splice(0)[0]?.close();
    const { status, stderr, stdout } = await runCapturedCli(['models', '--url', server.url]);
    expect(status).toBe(3);
    expect(stderr).toContain('tidemill up');
    expect(stderr).toContain(server.url);
    expect(stdout).toBe('');
  });

  it('finds the server by TIDEMILL_URL, --url wins, and each request names the user', async () => {
    const [byEnvironment, byOption] = [
      await answering(200, { models: [] }),
      await answering(200, { models: [] }),
    ];
    const env = { TIDEMILL_URL: `${byEnvironment.url}/` };
    expect((await runCapturedCli(['models', '--json'], { env })).json).toEqual({ models: [] });
    expect((await runCapturedCli(['models', '--url', byOption.url], { env })).stdout).toContain(
      'No models yet',
    );
    expect(byEnvironment.requests).toHaveLength(1);
    expect(byOption.requests).toHaveLength(1);
    expect(byOption.requests[0]?.headers['x-tidemill-actor']).toMatch(/\S/);
  });

  it("shows the server's own message with status 1, as JSON under --json", async () => {
    const { url } = await answering(404, { error_code: 'RESOURCE_DOES_NOT_EXIST', message: 'No model nope' });
    const plain = await runCapturedCli(['models', 'nope', '--url', url]);
    expect([plain.status, plain.stderr]).toEqual([1, 'error: No model nope\n']);
    const json = await runCapturedCli(['models', 'nope', '--url', url, '--json']);
    expect(json.stdout).toBe('');
    expect(JSON.parse(json.stderr)).toEqual({
      error_code: 'RESOURCE_DOES_NOT_EXIST',
      message: 'No model nope',
    });
  });

  it('checks a name and parameters before it trains or asks a server', async () => {
    const train = (...more: string[]) =>
      runCapturedCli([
        'train',
        'examples/iris/iris.csv',
        '--target',
        'species',
        '--url',
        'http://127.0.0.1:9',
        ...more,
      ]);
    const slash = await train('--name', 'a/b');
    expect([slash.status, slash.stderr]).toEqual([2, expect.stringContaining("'a/b'")]);
    const trees = await train('--name', 'a', '--set', 'trees=abc');
    expect([trees.status, trees.stderr]).toEqual([
      2,
      expect.stringContaining('whole number from 1 to 10000'),
    ]);
    const depth = await train('--name', 'a', '--set', 'depth=1');
    expect([depth.status, depth.stderr]).toEqual([2, expect.stringContaining("did you mean 'max_depth'?")]);
    expect((await train('--name', 'a')).status).toBe(3);
  });

  it('suggests the model or dataset that was meant', async () => {
    const notFound = { error_code: 'RESOURCE_DOES_NOT_EXIST', message: 'not found' };
    const list = { models: [{ name: 'iris' }, { name: 'flights' }], datasets: [] };
    const { url } = await answering((path) =>
      /^\/api\/v1\/\w+$/.test(path) ? [200, list] : [404, notFound],
    );
    const iros = await runCapturedCli(['models', 'iros', '--url', url]);
    expect([iros.status, iros.stderr]).toEqual([
      1,
      expect.stringContaining(`no model iros at ${url}: did you mean iris?`),
    ]);
    const other = await runCapturedCli(['rollback', 'other', '--url', url]);
    expect(other.stderr).toContain('there are iris, flights (`npx tidemill train` makes one');
    const dataset = await runCapturedCli(['datasets', 'show', 'churn', '--url', url]);
    expect(dataset.stderr).toContain('no dataset churn at');
    expect(dataset.stderr).toContain('there is none yet (`npx tidemill datasets add` makes one');
    const short = await runCapturedCli(['datasets', 'churn', '--url', url]);
    expect([short.status, short.stderr]).toEqual([
      2,
      expect.stringContaining('`npx tidemill datasets show churn`'),
    ]);
  });

  it('calls no port that web clients refuse', async () => {
    const { status, stderr } = await runCapturedCli(['models', '--url', 'http://127.0.0.1:1']);
    expect([status, stderr]).toEqual([3, expect.stringContaining('a port that web clients refuse to call')]);
  });

  it('answers a refusal of the gate with status 4 and its evidence', async () => {
    const { url, requests } = await answering(409, {
      error_code: 'RESOURCE_CONFLICT',
      message: 'worse than version 1',
      details: { evidence: { champion: 0.9, challenger: 0.8 } },
    });
    const { status, stderr } = await runCapturedCli(['promote', 'iris/2', '--url', url, '--json']);
    expect(status).toBe(4);
    expect(JSON.parse(stderr).details.evidence.challenger).toBe(0.8);
    expect(requests[0]).toMatchObject({ method: 'POST', url: '/api/v1/models/iris/promote' });
    expect(JSON.parse(requests[0]?.body ?? '')).toEqual({ version: '2' });
  });

  it('refuses --force without a reason before it asks the server', async () => {
    const { status, stderr } = await runCapturedCli([
      'promote',
      'iris/2',
      '--force',
      '--url',
      'http://127.0.0.1:9',
    ]);
    expect([status, stderr]).toEqual([2, 'error: --force needs --reason "…": it is audited\n']);
  });
});
