import type { Tx } from '../../platform/index.ts';
import type { ProfileEntry, ProfileReport, Reporter, Variant } from '../../serving/contract.ts';
import type { Span } from '../alarms/alarm.ts';
import type { DriftDb } from '../tables.ts';

/** A shadow answers nobody: what it saw was counted with the answer that it shadows. */
export const ANSWERING: Variant[] = ['champion', 'canary', 'previous'];

export interface StoredProfile {
  hour: number;
  version: string;
  variant: Variant;
  answered: number;
  failed: number;
  profile: string | undefined;
}

export type ProfileEntryStore = ReturnType<typeof createProfileEntryStore>;

/** Profiles as the model servers reported them, by the hour of event time. */
export function createProfileEntryStore(tx: Tx) {
  const db = tx as DriftDb;

  async function lateBeyond(model: string): Promise<number> {
    const row = await db
      .selectFrom('monitor_windows')
      .select((eb) => eb.fn.max('to_ms').as('to'))
      .where('model', '=', model)
      .executeTakeFirst();
    return row?.to ?? Number.NEGATIVE_INFINITY;
  }

  /** Rows that came for a window after it was closed are counted with it; it is not tested again. */
  async function countLate(reporter: Reporter, entry: ProfileEntry): Promise<void> {
    const before = await db
      .selectFrom('profile_entries')
      .select('answered')
      .where('model', '=', entry.model)
      .where('hour', '=', entry.hour)
      .where('segment', '=', entry.segment)
      .where('version', '=', entry.version)
      .where('variant', '=', entry.variant)
      .where('replica', '=', reporter.replica)
      .where('incarnation', '=', reporter.incarnation)
      .where('part', '=', entry.part)
      .executeTakeFirst();
    const late = entry.answered - (before?.answered ?? 0);
    if (late <= 0) return;
    await db
      .updateTable('monitor_windows')
      .set((eb) => ({ late_rows: eb('late_rows', '+', late) }))
      .where('model', '=', entry.model)
      .where('from_ms', '<=', entry.hour)
      .where('to_ms', '>', entry.hour)
      .where('version', '=', entry.version)
      .execute();
  }

  return {
    /** Takes a cumulative report: an entry replaces its former self, and never by less than was known. */
    async take(reporter: Reporter, report: ProfileReport, receivedAt: number): Promise<void> {
      const entries = uniqueEntries(report.entries);
      const closedUntil = new Map<string, number>();
      for (const entry of entries) {
        let until = closedUntil.get(entry.model);
        if (until === undefined) {
          until = await lateBeyond(entry.model);
          closedUntil.set(entry.model, until);
        }
        if (entry.hour < until && entry.segment === '' && ANSWERING.includes(entry.variant))
          await countLate(reporter, entry);
      }
      // One statement for many entries; PostgreSQL takes 65,535 parameters at most.
      for (let start = 0; start < entries.length; start += 500) {
        const rows = entries.slice(start, start + 500).map((entry) => ({
          model: entry.model,
          hour: entry.hour,
          segment: entry.segment,
          version: entry.version,
          variant: entry.variant,
          replica: reporter.replica,
          incarnation: reporter.incarnation,
          part: entry.part,
          answered: entry.answered,
          failed: entry.failed,
          latency: JSON.stringify(entry.latency),
          profile: entry.profile ?? null,
        }));
        await db
          .insertInto('profile_entries')
          .values(rows)
          .onConflict((conflict) =>
            conflict
              .columns(['model', 'hour', 'segment', 'version', 'variant', 'replica', 'incarnation', 'part'])
              .doUpdateSet((eb) => ({
                answered: eb.ref('excluded.answered'),
                failed: eb.ref('excluded.failed'),
                latency: eb.ref('excluded.latency'),
                profile: eb.ref('excluded.profile'),
              }))
              .whereRef('excluded.answered', '>=', 'profile_entries.answered')
              .whereRef('excluded.failed', '>=', 'profile_entries.failed'),
          )
          .execute();
      }
      await db
        .insertInto('profile_reporters')
        .values({
          replica: reporter.replica,
          incarnation: reporter.incarnation,
          watermark: report.watermark,
          dropped: report.dropped,
          received_at: receivedAt,
        })
        .onConflict((conflict) =>
          conflict.columns(['replica', 'incarnation']).doUpdateSet((eb) => ({
            watermark: eb.fn('coalesce', [
              eb
                .case()
                .when('profile_reporters.watermark', '>', eb.ref('excluded.watermark'))
                .then(eb.ref('profile_reporters.watermark'))
                .else(eb.ref('excluded.watermark'))
                .end(),
              'profile_reporters.watermark',
            ]),
            dropped: eb
              .case()
              .when('profile_reporters.dropped', '>', eb.ref('excluded.dropped'))
              .then(eb.ref('profile_reporters.dropped'))
              .else(eb.ref('excluded.dropped'))
              .end(),
            received_at: eb.ref('excluded.received_at'),
          })),
        )
        .execute();
    },

    /** The newest event time that any model server ever reported. */
    async newestWatermark(): Promise<number | undefined> {
      const row = await db
        .selectFrom('profile_reporters')
        .select((eb) => eb.fn.max('watermark').as('watermark'))
        .executeTakeFirst();
      return row?.watermark ?? undefined;
    },

    /** When a model server reported last, by the platform's clock. */
    async newestReport(): Promise<number | undefined> {
      const row = await db
        .selectFrom('profile_reporters')
        .select((eb) => eb.fn.max('received_at').as('at'))
        .executeTakeFirst();
      return row?.at ?? undefined;
    },

    /** Rows that any version answered in a span, by the hour. */
    async answeredByAll(model: string, { from, to }: Span): Promise<Map<number, number>> {
      const rows = await db
        .selectFrom('profile_entries')
        .select((eb) => ['hour', eb.fn.sum<number | string>('answered').as('answered')])
        .where('model', '=', model)
        .where('segment', '=', '')
        .where('hour', '>=', from)
        .where('hour', '<', to)
        .where('variant', 'in', ANSWERING)
        .groupBy('hour')
        .orderBy('hour')
        .execute();
      return new Map(rows.map(({ hour, answered }) => [hour, Number(answered)]));
    },

    /** Rows that a version answered, by the hour, from `from` on. */
    async answeredByHour(
      model: string,
      version: string,
      from: number | undefined,
    ): Promise<Map<number, number>> {
      let query = db
        .selectFrom('profile_entries')
        .select((eb) => ['hour', eb.fn.sum<number | string>('answered').as('answered')])
        .where('model', '=', model)
        .where('segment', '=', '')
        .where('version', '=', version)
        .where('variant', 'in', ANSWERING)
        .groupBy('hour')
        .orderBy('hour');
      if (from !== undefined) query = query.where('hour', '>=', from);
      const rows = await query.execute();
      return new Map(rows.map(({ hour, answered }) => [hour, Number(answered)]));
    },

    /** What a version answered in a span, entry by entry: all rows, or those of a segment. */
    async list(
      model: string,
      version: string,
      from: number,
      to: number,
      segment = '',
    ): Promise<StoredProfile[]> {
      const rows = await db
        .selectFrom('profile_entries')
        .select(['hour', 'version', 'variant', 'answered', 'failed', 'profile'])
        .where('model', '=', model)
        .where('segment', '=', segment)
        .where('hour', '>=', from)
        .where('hour', '<', to)
        .where('version', '=', version)
        .where('variant', 'in', ANSWERING)
        .orderBy('hour')
        .execute();
      return rows.map((row) => ({
        ...row,
        variant: row.variant as Variant,
        profile: row.profile ?? undefined,
      }));
    },

    /** What each version answered, and how, between two times; `latency` counts by LATENCY_EDGES_MS. */
    async traffic(
      model: string,
      from: number,
      to: number,
    ): Promise<{ version: string; variant: Variant; answered: number; failed: number; latency: number[] }[]> {
      const rows = await db
        .selectFrom('profile_entries')
        .select(['version', 'variant', 'answered', 'failed', 'latency'])
        .where('model', '=', model)
        .where('segment', '=', '')
        .where('hour', '>=', from)
        .where('hour', '<', to)
        .execute();
      const sums = new Map<
        string,
        { version: string; variant: Variant; answered: number; failed: number; latency: number[] }
      >();
      for (const row of rows) {
        const key = JSON.stringify([row.version, row.variant]);
        const sum = sums.get(key) ?? {
          version: row.version,
          variant: row.variant as Variant,
          answered: 0,
          failed: 0,
          latency: [],
        };
        sum.answered += row.answered;
        sum.failed += row.failed;
        for (const [bin, count] of (JSON.parse(row.latency) as number[]).entries())
          sum.latency[bin] = (sum.latency[bin] ?? 0) + count;
        sums.set(key, sum);
      }
      return [...sums.values()];
    },

    /** The model servers that had to drop log entries, with how many. */
    async droppedByServer(): Promise<{ replica: string; dropped: number }[]> {
      const rows = await db
        .selectFrom('profile_reporters')
        .select((eb) => ['replica', eb.fn.sum<number | string>('dropped').as('dropped')])
        .where('dropped', '>', 0)
        .groupBy('replica')
        .orderBy('replica')
        .execute();
      return rows.map(({ replica, dropped }) => ({ replica, dropped: Number(dropped) }));
    },
  };
}

/** The last entry of each key: one statement may not change a row twice. */
function uniqueEntries(entries: readonly ProfileEntry[]): ProfileEntry[] {
  const byKey = new Map<string, ProfileEntry>();
  for (const entry of entries) {
    const { model, hour, segment, version, variant, part } = entry;
    byKey.set(JSON.stringify([model, hour, segment, version, variant, part]), entry);
  }
  return [...byKey.values()];
}

/** The newest event time that was ever reported: where a clock that follows events goes on after a restart. */
export function readNewestWatermark(reader: Tx): Promise<number | undefined> {
  return createProfileEntryStore(reader).newestWatermark();
}

/** Log entries that each model server had to drop, where any did: of all models, since nobody has read them. */
export function readDroppedByServer(reader: Tx): Promise<{ replica: string; dropped: number }[]> {
  return createProfileEntryStore(reader).droppedByServer();
}
