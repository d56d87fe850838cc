import { beforeEach, expect, it } from 'vitest';
import { describeDatabases, tamperWith } from '../../tests/support/index.ts';
import { appendAuditEntry, createAuditStore } from './audit.ts';
import type { Database } from './database/index.ts';

describeDatabases('the audit chain', (openTestDatabase) => {
  let database: Database;
  const append = (subject: string, evidence?: unknown) =>
    database.execute(appendAuditEntry, {
      at: 1_700_000_000_000,
      actor: 'ada',
      action: 'champion.promote',
      subject,
      reason: 'better',
      evidence,
    });
  const store = () => createAuditStore(database.reader);

  beforeEach(async () => {
    database = await openTestDatabase();
  });

  it('lists what was appended, newest first, by subject and page', async () => {
    await append('models/a', { auc: 0.9, slices: { b: 1, a: [2, null] } });
    await append('models/b');
    await append('models/a');
    const all = await store().list();
    expect(all.map((entry) => [entry.sequence, entry.subject])).toEqual([
      [3, 'models/a'],
      [2, 'models/b'],
      [1, 'models/a'],
    ]);
    expect(all[2]).toMatchObject({
      at: 1_700_000_000_000,
      actor: 'ada',
      reason: 'better',
      evidence: { auc: 0.9, slices: { b: 1, a: [2, null] } },
    });
    expect(all[1]).not.toHaveProperty('evidence');
    expect(all[0]?.previousHash).toBe(all[1]?.hash);
    expect(await store().list({ subject: 'models/a', limit: 1, before: 3 })).toEqual([all[2]]);
    await expect(store().list({ limit: 0 })).rejects.toThrow('limit must be 1 to 1000, got 0');
  });

  it('stays whole under many concurrent appends', async () => {
    expect(await store().verify()).toEqual({ ok: true, entries: 0 });
    await Promise.all(Array.from({ length: 30 }, (_, i) => append(`models/${i % 3}`, { i })));
    expect(await store().verify()).toEqual({ ok: true, entries: 30 });
  });

  it.each([
    ['a changed entry', `update audit_entries set reason = 'worse' where sequence = 3`, 3],
    ['a removed entry', 'delete from audit_entries where sequence = 2', 2],
    ['a removed end', 'delete from audit_entries where sequence >= 4', 4],
    [
      'a forged last entry',
      `update audit_entries set actor = 'eve', hash = previous_hash where sequence = 5`,
      5,
    ],
    ['a forged head', `update audit_head set hash = 'f'`, 5],
  ])('finds %s', async (_, statement, firstBroken) => {
    for (let i = 1; i <= 5; i++) await append(`models/${i}`);
    await tamperWith(database, statement);
    expect(await store().verify()).toEqual({ ok: false, entries: 5, firstBroken });
  });
});
