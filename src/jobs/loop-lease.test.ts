import { expect, it } from 'vitest';
import { describeDatabases, silentLogger, tamperWith } from '../../tests/support/index.ts';
import { acquireLoopLease } from './index.ts';

describeDatabases('the loop lease', (openDatabase, dialect) => {
  it.runIf(dialect === 'sqlite')('is always held by the one process that there is', async () => {
    const lease = acquireLoopLease({ database: await openDatabase(), logger: silentLogger });
    expect(await lease.check()).toBe(true);
    await lease.release();
  });

  it.runIf(dialect === 'postgres')(
    'is held by one of several replicas, and passes on when it is let go',
    async () => {
      const database = await openDatabase();
      const replicas = Array.from({ length: 4 }, () => acquireLoopLease({ database, logger: silentLogger }));
      const held = await Promise.all(replicas.map((lease) => lease.check()));
      expect(held.filter(Boolean)).toHaveLength(1);
      const winner = replicas[held.indexOf(true)];
      expect(await winner?.check()).toBe(true);
      await winner?.release();
      expect(await winner?.check()).toBe(false);
      const after = await Promise.all(replicas.map((lease) => lease.check()));
      expect(after.filter(Boolean)).toHaveLength(1);
      await Promise.all(replicas.map((lease) => lease.release()));
    },
  );

  it.runIf(dialect === 'postgres')(
    'passes on when its holder is heard of no more, by the clock of the database',
    async () => {
      const database = await openDatabase();
      const dead = acquireLoopLease({ database, logger: silentLogger, leaseMs: 3_600_000 });
      expect(await dead.check()).toBe(true);
      const next = acquireLoopLease({ database, logger: silentLogger });
      expect(await next.check()).toBe(false);
      // An hour passes for the server.
      await tamperWith(database, 'update job_leases set lease_until = lease_until - 3600001');
      expect(await next.check()).toBe(true);
      const { epoch } = await database.reader
        .selectFrom('job_leases')
        .select('epoch')
        .executeTakeFirstOrThrow();
      expect(epoch).toBe(2);
      await next.release();
    },
  );

  it.runIf(dialect === 'postgres')('is not held when the database is away', async () => {
    const database = await openDatabase();
    const lease = acquireLoopLease({ database, logger: silentLogger });
    await database.close();
    expect(await lease.check()).toBe(false);
    await lease.release();
  });
});
