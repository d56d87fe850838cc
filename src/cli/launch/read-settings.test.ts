import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { runCapturedCli } from '../../../tests/support/run-captured-cli.ts';

/** Starts `server` until it is ready, then ends it. */
async function runServer(argv: string[], env: Record<string, string>) {
  const stop = new AbortController();
  return runCapturedCli(['server', ...argv, '--json'], {
    env: { TIDEMILL_LOG_LEVEL: 'silent', ...env },
    signal: stop.signal,
    onStdout: () => stop.abort(),
  });
}

describe('settings of the commands', () => {
  it.each([
    ['up', 'TIDEMILL_PORT', 'abc'],
    ['up', 'TIDEMILL_PREDICT_TIMEOUT_MS', 'soon'],
    ['server', 'TIDEMILL_PORT', '70000'],
    ['serve', 'TIDEMILL_SERVE_PORT', '-1'],
    ['serve', 'TIDEMILL_PREDICT_MAX_ROWS', 'many'],
    ['backup x', 'DATABASE_URL', 'mysql://db'],
  ])('%s ends with status 2 and names %s=%s', async (command, variable, value) => {
    const { status, stderr } = await runCapturedCli(command.split(' '), { env: { [variable]: value } });
    expect(stderr).toContain(`error: ${variable}=${value} is wrong: it must be `);
    expect(status).toBe(2);
  });

  it('a wrong flag is told as the flag', async () => {
    const { status, stderr } = await runCapturedCli(['up', '--port', 'abc'], { env: { TIDEMILL_PORT: '1' } });
    expect(stderr).toBe('error: --port=abc is wrong: it must be a port from 0 (any free one) to 65535\n');
    expect(status).toBe(2);
  });

  it('server takes its port, host and data from variables, warns of unknown ones, and a flag wins', async () => {
    const TIDEMILL_DATA = join(tempDir(), 'data');
    const free = createServer();
    await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const env = {
      TIDEMILL_DATA,
      TIDEMILL_PORT: String(port),
      TIDEMILL_HOST: 'localhost',
      TIDEMILL_PROT: '1',
    };
    const told = await runServer([], env);
    expect(told.json).toMatchObject({ url: `http://localhost:${port}`, data_dir: TIDEMILL_DATA });
    expect(JSON.parse(told.stderr)).toEqual({
      warning: 'TIDEMILL_PROT is not a setting of Tidemill; did you mean TIDEMILL_PORT?',
    });
    const data = join(tempDir(), 'other');
    const flagged = await runServer(['--data', data, '--port', '0', '--host', '127.0.0.1'], env);
    expect(flagged.json.data_dir).toBe(data);
    expect(flagged.json.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(flagged.json.url).not.toBe(`http://127.0.0.1:${port}`);
  });

  it('backup and restore name the tools of PostgreSQL', async () => {
    const env = { DATABASE_URL: 'postgres://me:secret@db/tidemill' };
    const backup = await runCapturedCli(['backup', 'x'], { env });
    expect(backup.status).toBe(1);
    expect(backup.stderr).toContain('pg_dump --format=custom --file=tidemill.dump "$DATABASE_URL"');
    const restore = await runCapturedCli(['restore', 'x'], { env });
    expect(restore.status).toBe(1);
    expect(restore.stderr).toContain('pg_restore --dbname="$DATABASE_URL" tidemill.dump');
  });
});
