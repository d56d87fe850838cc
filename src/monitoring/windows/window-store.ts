import type { Tx } from '../../platform/index.ts';
import type { Span } from '../alarms/alarm.ts';
import type { Explanation } from '../drift/explain-tests.ts';
import type { ColumnTest } from '../drift/test-window.ts';
import type { DriftDb, DriftTables } from '../tables.ts';
import type { SegmentReport } from './test-segments.ts';

/** What became of a window's drift test. */
export type WindowState = 'tested' | 'too small' | 'partial' | 'no reference' | 'off';

/** What became of a window's performance. */
export type PerformanceState = 'tested' | 'reference' | 'too few labels' | 'not measurable';

/** A test as the window's report shows it: `drifted` by Benjamini-Hochberg over all tests of the window. */
export type ReportedTest = ColumnTest & { drifted: boolean } & Partial<Explanation>;

/** How a version did in a window, by the event time of its predictions. */
export interface WindowPerformance {
  metric: string;
  value?: number;
  /** What is tested: the value where larger is better, else the share of a guesser's loss that is avoided. */
  skill?: number;
  rows: number;
  labelled: number;
  /** Of the t-test against the reference windows. */
  p?: number;
  referenceMean?: number;
  referenceSd?: number;
  referenceWindows?: number;
  note?: string;
}

export interface MonitorWindow extends Span {
  model: string;
  version: string;
  rows: number;
  state: WindowState;
  note?: string;
  tests: ReportedTest[];
  /** What differs within the segments that the policy names; none without. */
  segments: SegmentReport[];
  closedAt: number;
  /** The policy's rule by which it was made; windows that an earlier build closed have none. */
  windowRule?: string;
  /** Rows that came after the window was closed; they are in no test. */
  lateRows: number;
  performanceState?: PerformanceState;
  performance?: WindowPerformance;
}

export type NewWindow = Omit<MonitorWindow, 'lateRows' | 'performanceState' | 'performance'>;

/** How a version did in a window, as far as that is known. */
export type MeasuredSpan = Span & Pick<MonitorWindow, 'performanceState' | 'performance'>;

/** Windows of a model in a row, up to the newest, of which none was tested for drift. */
export interface UntestedRun {
  model: string;
  windows: number;
  /** When the first of them began. */
  since: number;
  /** What became of the newest. */
  state: WindowState;
}

/** One window alone is left out at every promotion. */
const LEAST_UNTESTED = 2;

/** Closed windows of models with what was found in them. */
export function createWindowStore(tx: Tx) {
  const db = tx as DriftDb;
  return {
    /** False when the window is there already: it is evaluated once. */
    async add(window: NewWindow): Promise<boolean> {
      const row = await db
        .insertInto('monitor_windows')
        .values({
          model: window.model,
          from_ms: window.from,
          to_ms: window.to,
          version: window.version,
          row_count: window.rows,
          state: window.state,
          note: window.note ?? null,
          tests: JSON.stringify(window.tests),
          closed_at: window.closedAt,
          late_rows: 0,
          performance_state: null,
          performance: null,
          performance_at: null,
          window_rule: window.windowRule ?? null,
          segments: window.segments.length === 0 ? null : JSON.stringify(window.segments),
        })
        .onConflict((conflict) => conflict.columns(['model', 'from_ms']).doNothing())
        .returning('from_ms')
        .executeTakeFirst();
      return row !== undefined;
    },

    /** False when it is known already. */
    async addPerformance(
      model: string,
      from: number,
      found: { state: PerformanceState; performance: WindowPerformance; at: number },
    ): Promise<boolean> {
      const row = await db
        .updateTable('monitor_windows')
        .set({
          performance_state: found.state,
          performance: JSON.stringify(found.performance),
          performance_at: found.at,
        })
        .where('model', '=', model)
        .where('from_ms', '=', from)
        .where('performance_state', 'is', null)
        .returning('from_ms')
        .executeTakeFirst();
      return row !== undefined;
    },

    /** Newest first. */
    async list(
      model: string,
      filter: { from?: number; to?: number; version?: string; limit?: number } = {},
    ): Promise<MonitorWindow[]> {
      let query = db
        .selectFrom('monitor_windows')
        .selectAll()
        .where('model', '=', model)
        .orderBy('from_ms', 'desc');
      if (filter.from !== undefined) query = query.where('from_ms', '>=', filter.from);
      if (filter.to !== undefined) query = query.where('to_ms', '<=', filter.to);
      if (filter.version !== undefined) query = query.where('version', '=', filter.version);
      return (await query.limit(filter.limit ?? 100).execute()).map(toWindow);
    },

    /** Newest first, without their tests: of a wide table these are megabytes, and this is asked in every pass of the loop. */
    async performances(
      model: string,
      { version, limit }: { version: string; limit: number },
    ): Promise<MeasuredSpan[]> {
      const rows = await db
        .selectFrom('monitor_windows')
        .select(['from_ms', 'to_ms', 'performance_state', 'performance'])
        .where('model', '=', model)
        .where('version', '=', version)
        .orderBy('from_ms', 'desc')
        .limit(limit)
        .execute();
      return rows.map((row) => ({ from: row.from_ms, to: row.to_ms, ...toPerformance(row) }));
    },

    /** Windows of which no performance is known yet, oldest first. */
    async withoutPerformance(model: string, limit: number): Promise<MonitorWindow[]> {
      const rows = await db
        .selectFrom('monitor_windows')
        .selectAll()
        .where('model', '=', model)
        .where('performance_state', 'is', null)
        .orderBy('from_ms')
        .limit(limit)
        .execute();
      return rows.map(toWindow);
    },

    /** The windows of a version that later ones are compared with. */
    async references(model: string, version: string): Promise<MonitorWindow[]> {
      const rows = await db
        .selectFrom('monitor_windows')
        .selectAll()
        .where('model', '=', model)
        .where('version', '=', version)
        .where('performance_state', '=', 'reference')
        .orderBy('from_ms')
        .limit(100)
        .execute();
      return rows.map(toWindow);
    },

    /** Models whose newest windows, two and more in a row, were not tested for drift though it is wanted. */
    async untested(model?: string): Promise<UntestedRun[]> {
      let query = db
        .selectFrom('monitor_windows as window')
        .leftJoin(
          db
            .selectFrom('monitor_windows')
            .select((eb) => ['model', eb.fn.max('from_ms').as('from_ms')])
            .where('state', 'in', ['tested', 'off'])
            .groupBy('model')
            .as('tested'),
          'tested.model',
          'window.model',
        )
        .where((eb) =>
          eb.or([
            eb('tested.from_ms', 'is', null),
            eb('window.from_ms', '>', eb.ref('tested.from_ms').$notNull()),
          ]),
        )
        .select(['window.model', 'window.from_ms', 'window.state'])
        .orderBy('window.model')
        .orderBy('window.from_ms');
      if (model !== undefined) query = query.where('window.model', '=', model);
      const byModel = Map.groupBy(await query.execute(), (row) => row.model);
      return [...byModel].flatMap(([name, rows]) => {
        const [first, last] = [rows[0], rows.at(-1)];
        if (first === undefined || last === undefined || rows.length < LEAST_UNTESTED) return [];
        return {
          model: name,
          windows: rows.length,
          since: first.from_ms,
          state: last.state as WindowState,
        };
      });
    },

    /** The end of the newest closed window. */
    async closedUntil(model: string): Promise<number | undefined> {
      const row = await db
        .selectFrom('monitor_windows')
        .select((eb) => eb.fn.max('to_ms').as('to'))
        .where('model', '=', model)
        .executeTakeFirst();
      return row?.to ?? undefined;
    },
  };
}

function toWindow(row: DriftTables['monitor_windows']): MonitorWindow {
  return {
    model: row.model,
    from: row.from_ms,
    to: row.to_ms,
    version: row.version,
    rows: row.row_count,
    state: row.state as WindowState,
    ...(row.note === null ? {} : { note: row.note }),
    ...(row.window_rule === null ? {} : { windowRule: row.window_rule }),
    tests: row.tests === null ? [] : (JSON.parse(row.tests) as ReportedTest[]),
    segments: row.segments === null ? [] : (JSON.parse(row.segments) as SegmentReport[]),
    closedAt: row.closed_at,
    lateRows: row.late_rows,
    ...toPerformance(row),
  };
}

function toPerformance({
  performance_state: state,
  performance,
}: Pick<DriftTables['monitor_windows'], 'performance_state' | 'performance'>): Pick<
  MonitorWindow,
  'performanceState' | 'performance'
> {
  return {
    ...(state === null ? {} : { performanceState: state as PerformanceState }),
    ...(performance === null ? {} : { performance: JSON.parse(performance) as WindowPerformance }),
  };
}
