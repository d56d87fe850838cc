import { describe, expect, it } from 'vitest';
import { mustHavePostgres, skippedLine } from './support/postgres-server.ts';

describe('tests where PostgreSQL does not start', () => {
  it('fail in CI on linux-x64, and are skipped elsewhere', () => {
    const linux = { platform: 'linux', arch: 'x64' } as const;
    expect(mustHavePostgres({ ...linux, env: { CI: 'true' } })).toBe(true);
    expect(mustHavePostgres({ ...linux, env: { CI: '1' } })).toBe(true);
    expect(mustHavePostgres({ ...linux, env: {} })).toBe(false);
    expect(mustHavePostgres({ ...linux, env: { CI: 'false' } })).toBe(false);
    expect(mustHavePostgres({ platform: 'darwin', arch: 'x64', env: { CI: 'true' } })).toBe(false);
    expect(mustHavePostgres({ platform: 'linux', arch: 'arm64', env: { CI: 'true' } })).toBe(false);
  });

  it('say so in one line that .ci/run finds', () => {
    expect(skippedLine('initdb failed:\n no room')).toMatch(/^skipped: .*initdb failed: no room$/);
  });
});
