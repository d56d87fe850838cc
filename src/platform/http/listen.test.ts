import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createTestApp } from '../../../tests/support/test-app.ts';
import { ListenError, listen } from '../index.ts';
import { findPortHolder } from './port-holder.ts';

describe('listen', () => {
  it('gives the real URL of any free port', async () => {
    const { app } = createTestApp();
    const { url, port } = await listen(app, { host: '127.0.0.1', port: 0 });
    expect(url).toBe(`http://127.0.0.1:${port}`);
    expect(port).toBeGreaterThan(0);
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
  });

  it('gives a URL that can be asked for localhost and IPv6 too', async () => {
    for (const host of ['localhost', '::1']) {
      const { app } = createTestApp();
      const { url } = await listen(app, { host, port: 0 });
      expect((await fetch(`${url}/metrics`)).status).toBe(200);
    }
  });

  it('says who has the port and how to take another', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as { port: number };
    try {
      const { app } = createTestApp();
      const start = listen(app, { host: '127.0.0.1', port, portFlag: '--serve-port' });
      await expect(start).rejects.toThrow(ListenError);
      await expect(start).rejects.toThrow(
        new RegExp(
          `^Port ${port} on 127.0.0.1 is in use by process ${process.pid} \\(.+\\). Stop it, or take another port ` +
            'with --serve-port; --serve-port 0 takes any free one$',
        ),
      );
    } finally {
      other.close();
    }
  });

  it.each(['0.0.0.0', '::', '10.1.2.3', 'example.org'])('refuses %s, where nobody signs in', async (host) => {
    const { app } = createTestApp();
    await expect(listen(app, { host, port: 0 })).rejects.toThrow(
      /nobody has to sign in.*--insecure-no-auth or TIDEMILL_INSECURE_NO_AUTH=1$/,
    );
    expect(app.server.listening).toBe(false);
  });

  it('listens beyond loopback when it is told to, and warns', async () => {
    const { app, log } = createTestApp();
    const { url } = await listen(app, { host: '0.0.0.0', port: 0, allowInsecure: true });
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
    expect(log).toContainEqual(
      expect.objectContaining({ level: 'warn', msg: expect.stringContaining('without sign-in') }),
    );
  });

  it('says that a host is not of this machine', async () => {
    const { app } = createTestApp();
    const start = listen(app, { host: '192.0.2.1', port: 0, allowInsecure: true });
    await expect(start).rejects.toThrow('192.0.2.1 is not an address of this machine; see --host');
  });
});

it('nobody holds a port that is free', () => {
  expect(findPortHolder(1)).toBeUndefined();
});
