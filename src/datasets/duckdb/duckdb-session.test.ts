import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { withDuckdb } from './duckdb-session.ts';

describe('work in DuckDB', () => {
  it('reaches the files that it is given and no others', async () => {
    const folder = tempDir();
    const given = join(folder, "it's given.csv");
    const other = join(folder, 'other.csv');
    for (const path of [given, other]) writeFileSync(path, 'a\n1\n');
    const quoted = given.replaceAll("'", "''");
    await withDuckdb({ read: [given] }, async (session) => {
      expect(await session.row(`SELECT * FROM read_csv('${quoted}')`)).toEqual({ a: 1n });
      const refused = [
        `SELECT * FROM read_csv('${other}')`,
        `SELECT * FROM read_text('/etc/passwd')`,
        `SELECT * FROM glob('${folder}/*')`,
        `COPY (SELECT 1) TO '${join(folder, 'new.csv')}'`,
        `ATTACH '${join(folder, 'new.db')}'`,
        `INSTALL httpfs`,
        `LOAD httpfs`,
        `SELECT * FROM 'https://127.0.0.1:1/x.csv'`,
      ];
      for (const sql of refused) await expect(session.run(sql), sql).rejects.toThrow(/Permission Error/);
      await expect(session.run(`SET enable_external_access = true`)).rejects.toThrow('locked');
      await expect(session.run(`SET memory_limit = '100GB'`)).rejects.toThrow('locked');
    });
    expect(readdirSync(folder).sort()).toEqual(["it's given.csv", 'other.csv']);
  });

  it('is interrupted when its time is over or when told', async () => {
    const endless = 'SELECT sum(a.i * b.i) FROM range(10000000) a(i), range(10000000) b(i)';
    await expect(
      withDuckdb({ read: [], timeLimitMs: 50 }, (session) => session.row(endless)),
    ).rejects.toThrow('took longer than 0.05 s');
    const controller = new AbortController();
    const stopped = withDuckdb({ read: [], signal: controller.signal }, (session) => session.row(endless));
    controller.abort(new Error('no longer wanted'));
    await expect(stopped).rejects.toThrow('no longer wanted');
  });

  it('says when memory is not enough', async () => {
    const large = 'SELECT list(i) FROM range(100000000) r(i)';
    await expect(
      withDuckdb({ read: [], memoryLimitMb: 20 }, (session) => session.row(large)),
    ).rejects.toThrow('does not fit into the memory');
  });

  it('leaves nothing behind', async () => {
    const folders = () => readdirSync(tmpdir()).filter((name) => name.startsWith('tidemill-duckdb-'));
    let during: string[] = [];
    const before = folders();
    await withDuckdb({ read: [] }, async (session) => {
      await session.row('SELECT 1');
      during = folders().filter((name) => !before.includes(name));
    });
    expect(during.length).toBeGreaterThan(0);
    expect(during.some((name) => existsSync(join(tmpdir(), name)))).toBe(false);
  });
});
