import { sql } from 'kysely';
import { command, type DialectName, type Tx } from '../../platform/index.ts';
import { databaseNow } from './run-writes.ts';
import type { JobDb } from './tables.ts';

interface LeaseRequest {
  name: string;
  holder: string;
  leaseMs: number;
  dialect: DialectName;
}

/** Takes or lengthens a lease when it is free, lapsed or the holder's own; answers its epoch, or undefined. */
export const takeLease = command(
  'job.takeLease',
  async (tx: Tx, { name, holder, leaseMs, dialect }: LeaseRequest): Promise<number | undefined> => {
    const db = tx as JobDb;
    const end = sql<number>`${databaseNow(dialect)} + ${sql.lit(leaseMs)}`;
    const taken = await db
      .insertInto('job_leases')
      .values({ name, holder, epoch: 1, lease_until: end })
      .onConflict((conflict) =>
        conflict
          .column('name')
          .doUpdateSet((eb) => ({
            holder,
            lease_until: end,
            epoch: eb
              .case()
              .when('job_leases.holder', '=', holder)
              .then(eb.ref('job_leases.epoch'))
              .else(eb('job_leases.epoch', '+', 1))
              .end(),
          }))
          .where((eb) =>
            eb.or([
              eb('job_leases.holder', '=', holder),
              eb('job_leases.lease_until', '<', databaseNow(dialect)),
            ]),
          ),
      )
      .returning('epoch')
      .executeTakeFirst();
    return taken?.epoch;
  },
);

/** Lets a lease go, so that another replica need not wait for its end. */
export const dropLease = command(
  'job.dropLease',
  async (tx: Tx, { name, holder }: { name: string; holder: string }): Promise<void> => {
    await (tx as JobDb)
      .updateTable('job_leases')
      .set({ lease_until: 0 })
      .where('name', '=', name)
      .where('holder', '=', holder)
      .execute();
  },
);
