import { describe, expect, it } from 'vitest';
import { createTestApp, postJson } from '../../../tests/support/test-app.ts';
import { createHostPolicy, isLoopback, isSameOrigin } from './request-origin.ts';

describe('the Host of a request', () => {
  it.each([
    'localhost',
    'LOCALHOST:7070',
    '127.0.0.1',
    '127.8.9.1:80',
    '[::1]:7070',
    'app.localhost:1',
    'localhost.:80',
  ])('may be the loopback name %s', (host) => expect(createHostPolicy().allows(host)).toBe(true));

  it.each([
    'evil.example',
    'evil.example:7070',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'notlocalhost',
    '192.168.1.7:7070',
    '[2001:db8::1]:80',
    'a@localhost',
    'localhost:80:80',
    '',
    'local host',
    undefined,
  ])('may not be %s', (host) => expect(createHostPolicy().allows(host)).toBe(false));

  it('may be the name that is listened on, and one that was allowed, with any port', () => {
    const hosts = createHostPolicy(['ml.example.org', '.internal', 'With-Port:7070']);
    hosts.listensOn('box.lan');
    const allowed = [
      'box.lan',
      'BOX.lan:81',
      'ml.example.org:443',
      'a.b.internal',
      'internal:1',
      'with-port:80',
    ];
    for (const host of [...allowed, ...allowed]) expect(hosts.allows(host)).toBe(true);
    for (const host of ['x.ml.example.org', 'notinternal', 'box.lan.evil'])
      expect(hosts.allows(host)).toBe(false);
    expect(createHostPolicy(['*']).allows('anything.example')).toBe(true);
  });

  it('may be any address beyond loopback, where probes ask so, but no other name', () => {
    const hosts = createHostPolicy();
    hosts.listensOn('0.0.0.0');
    expect(hosts.allows('10.1.2.3:7071')).toBe(true);
    expect(hosts.allows('[fd00::7]:7071')).toBe(true);
    expect(hosts.allows('evil.example')).toBe(false);
  });

  it('is remembered for few values only, and forgotten when the policy changes', () => {
    const hosts = createHostPolicy();
    for (let port = 1; port < 300; port++) expect(hosts.allows(`localhost:${port}`)).toBe(true);
    hosts.listensOn('10.0.0.1');
    expect(hosts.allows('10.0.0.1')).toBe(true);
    hosts.listensOn('127.0.0.1');
    expect(hosts.allows('10.0.0.1')).toBe(false);
  });

  it('is refused with 403 that names the remedy, on every route', async () => {
    const { app } = createTestApp({ allowedHosts: ['ml.example.org'] });
    for (const url of ['/metrics', '/docs', '/openapi.json', '/nowhere']) {
      const answer = await app.inject({ url, headers: { host: 'evil.example:7070' } });
      expect(answer.statusCode).toBe(403);
      expect(answer.json()).toMatchObject({
        error_code: 'PERMISSION_DENIED',
        message: expect.stringMatching(/"evil.example" is not allowed here.*TIDEMILL_ALLOWED_HOSTS/),
      });
    }
    expect((await app.inject({ url: '/metrics', headers: { host: 'ml.example.org' } })).statusCode).toBe(200);
  });
});

describe('the Origin of a write', () => {
  it.each([
    ['http://localhost:7070', 'localhost:7070', true],
    ['https://ml.example.org', 'ml.example.org', true],
    ['https://ml.example.org:443', 'ML.example.org', true],
    ['http://localhost:3000', 'localhost:7070', false],
    ['http://evil.example', 'localhost:7070', false],
    ['null', 'localhost:7070', false],
    ['file://', 'localhost:7070', false],
    ['', 'localhost:7070', false],
    [undefined, 'localhost:7070', true],
    ['http://x', undefined, false],
  ])('%s to %s is its own: %s', (origin, host, same) => expect(isSameOrigin(origin, host)).toBe(same));

  it('is refused when it is foreign; reads and own pages pass; no answer allows another origin', async () => {
    const { app, start } = createTestApp();
    app.post('/write', () => ({ done: true }));
    app.get('/read', () => ({}));
    const url = await start();
    const foreign = await fetch(`${url}/write`, postJson({}, { origin: 'http://evil.example' }));
    expect([foreign.status, await foreign.json()]).toEqual([
      403,
      expect.objectContaining({ message: expect.stringContaining('"http://evil.example" may not write') }),
    ]);
    expect((await fetch(`${url}/write`, postJson({}, { origin: 'null' }))).status).toBe(403);
    expect((await fetch(`${url}/write`, postJson({}, { origin: url }))).status).toBe(200);
    expect((await fetch(`${url}/write`, postJson({}))).status).toBe(200);
    const read = await fetch(`${url}/read`, { headers: { origin: 'http://evil.example' } });
    expect([read.status, read.headers.get('access-control-allow-origin')]).toEqual([200, null]);
    const preflight = await fetch(`${url}/write`, {
      method: 'OPTIONS',
      headers: { origin: 'http://evil.example' },
    });
    expect([preflight.status, preflight.headers.get('access-control-allow-methods')]).toEqual([405, null]);
  });
});

it.each([
  ['127.0.0.1', true],
  ['::1', true],
  ['[::1]', true],
  ['::ffff:127.0.0.1', true],
  ['localhost', true],
  ['0.0.0.0', false],
  ['::', false],
  ['127.example.org', false],
])('%s is loopback: %s', (host, expected) => expect(isLoopback(host)).toBe(expected));
