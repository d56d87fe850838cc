import { describe, expect, it } from 'vitest';
import {
  loadControlPlaneConfig,
  loadServingConfig,
  loadSettings,
  servePortOf,
  unknownSettings,
} from './settings.ts';

describe('the settings of a process', () => {
  it('come from variables, and a flag wins', () => {
    const env = {
      TIDEMILL_DATA: '/data',
      TIDEMILL_HOST: '0.0.0.0',
      TIDEMILL_PORT: '8080',
      TIDEMILL_SERVE_PORT: '8081',
      TIDEMILL_INSECURE_NO_AUTH: '1',
    };
    expect(loadSettings('up', env, { port: '9090' })).toMatchObject({
      TIDEMILL_DATA: '/data',
      TIDEMILL_HOST: '0.0.0.0',
      TIDEMILL_PORT: 9090,
      TIDEMILL_SERVE_PORT: 8081,
      TIDEMILL_INSECURE_NO_AUTH: true,
    });
    expect(loadSettings('serve', { TIDEMILL_URL: 'http://a:1' }, { url: 'http://b:2' })).toMatchObject({
      TIDEMILL_URL: 'http://b:2',
      TIDEMILL_SERVE_PORT: 7071,
      TIDEMILL_DATA: '.tidemill',
      TIDEMILL_INSECURE_NO_AUTH: false,
    });
  });

  it.each([
    ['up', 'TIDEMILL_PORT', '70000'],
    ['up', 'TIDEMILL_PORT', '0x10'],
    ['up', 'TIDEMILL_SERVE_PORT', 'many'],
    ['up', 'TIDEMILL_PREDICT_MAX_ROWS', '0'],
    ['server', 'TIDEMILL_LOG_LEVEL', 'loud'],
    ['server', 'TIDEMILL_INSECURE_NO_AUTH', 'perhaps'],
    ['serve', 'TIDEMILL_URL', 'localhost:7070'],
    ['serve', 'TIDEMILL_DRAIN_UNREADY_MS', '-1'],
  ] as const)('of %s refuse %s=%s by name', (name, variable, value) => {
    expect(() => loadSettings(name, { [variable]: value })).toThrow(
      `${variable}=${value} is wrong: it must be `,
    );
  });

  it('refuse a database of another kind and show no password', () => {
    const load = () => loadControlPlaneConfig({ DATABASE_URL: 'mysql://me:secret@db/x' });
    expect(load).toThrow('DATABASE_URL=mysql://(hidden)@db/x is wrong: it must be postgres://');
  });

  it('take free ports for both servers when only the port is 0, and honour 7071 when it is told', () => {
    expect(servePortOf(loadSettings('up', {}))).toBe(7071);
    expect(servePortOf(loadSettings('up', {}, { port: '0' }))).toBe(0);
    expect(servePortOf(loadSettings('up', {}, { port: '0', servePort: '7071' }))).toBe(7071);
    expect(servePortOf(loadSettings('up', { TIDEMILL_PORT: '0', TIDEMILL_SERVE_PORT: '7071' }))).toBe(7071);
  });

  it('read lists of host names with spaces', () => {
    const env = { TIDEMILL_ALLOWED_HOSTS: 'a.example, b.example,' };
    expect(loadControlPlaneConfig(env).allowedHosts).toEqual(['a.example', 'b.example']);
    expect(loadServingConfig(env).allowedHosts).toEqual(['a.example', 'b.example']);
  });

  it('are told from variables that nobody reads', () => {
    const env = { TIDEMILL_SERVEPORT: '1', TIDEMILL_DEBUG: '1', TIDEMILL_URL: 'x', DATABASE_URL: 'x' };
    expect(unknownSettings(env)).toEqual([
      'TIDEMILL_SERVEPORT is not a setting of Tidemill; did you mean TIDEMILL_SERVE_PORT?',
    ]);
  });
});
