import { z } from 'zod';
import { type App, type Clock, type Database, requestSignal } from '../platform/index.ts';
import { type ModelFiles, readVersion, type ServingSignal } from '../registry/index.ts';
import { desiredStateSchema } from '../serving/contract.ts';
import * as contract from './contract.ts';
import { createPromoter } from './promote-model.ts';
import { createDesiredStateReader } from './read-desired-state.ts';
import { rollBackModel } from './roll-back-model.ts';
import { type Judge, judgeInProcess } from './run-judge.ts';

export interface DeliveryRouteDeps {
  database: Database;
  clock: Clock;
  files: ModelFiles;
  moved: ServingSignal;
  /** How a challenger is judged; in a process of its own unless told otherwise. */
  judge?: Judge;
}

/** Another replica's moves are not heard in this process: a waiting question looks for them this often. */
const REPLICA_POLL_MS = 1000;

/** Promote, roll back, and what the model servers should serve. */
export function deliveryRoutes({ judge = judgeInProcess, ...deps }: DeliveryRouteDeps): (app: App) => void {
  const { database, moved } = deps;
  const promoter = createPromoter({ ...deps, judge });
  const desired = createDesiredStateReader(deps);

  /** Waits until the revision is another than `known`, or the time is over; says whether anyone is still to be answered. */
  async function waitForChange(known: string, waitMs: number, signal: AbortSignal): Promise<boolean> {
    const end = performance.now() + waitMs;
    const pollMs = database.dialect === 'sqlite' ? waitMs : REPLICA_POLL_MS;
    while (!signal.aborted) {
      const left = end - performance.now();
      if (left <= 0) return true;
      // The wait starts before the look, so that a move between the two is not missed.
      const woken = moved.wait(Math.min(left, pollMs), signal);
      try {
        if ((await desired.revision()) !== known) return true;
      } catch (error) {
        if (!signal.aborted) throw error; // Else the database may be closed already.
      }
      await woken;
    }
    return false;
  }

  return (app) => {
    app.post(
      '/api/v1/models/:name/promote',
      {
        schema: {
          tags: ['delivery'],
          summary: 'Let a version serve, when it is not worse than what serves',
          params: contract.modelParams,
          body: contract.promoteRequest,
          response: { 200: contract.promotionSchema },
        },
      },
      async ({ params: { name }, body, actor }) => {
        const promotion = await promoter.promote({
          name,
          version: readVersion(body.version),
          actor,
          reason: body.reason,
          force: body.force,
          signal: app.stopSignal,
        });
        return { ...promotion, from: toText(promotion.from), to: String(promotion.to) };
      },
    );

    app.post(
      '/api/v1/models/:name/rollback',
      {
        schema: {
          tags: ['delivery'],
          summary: 'Go back to what served before the current champion',
          params: contract.modelParams,
          body: contract.rollbackRequest,
          response: { 200: contract.rollbackSchema },
        },
      },
      async ({ params: { name }, body, actor }) => {
        const { from, to } = await rollBackModel(deps, {
          name,
          actor,
          reason: body?.reason,
          expectedVersion: body?.from === undefined ? undefined : readVersion(body.from),
        });
        return { name, from: toText(from), to: String(to), changed: true as const };
      },
    );

    app.get(
      '/api/v1/serving/desired-state',
      {
        schema: {
          tags: ['serving'],
          summary:
            'What the model servers should serve; with If-None-Match and wait_ms it waits for a change',
          querystring: contract.desiredStateQuery,
          response: { 200: desiredStateSchema, 304: z.undefined() },
        },
        config: { logLevel: 'debug' as const },
      },
      async (request, reply) => {
        const known = /"([^"]*)"/.exec(request.headers['if-none-match'] ?? '')?.[1];
        const waitMs = request.query.wait_ms;
        if (known !== undefined && waitMs > 0) {
          const goesOn = await waitForChange(known, waitMs, requestSignal(app, reply));
          if (!goesOn) return reply.code(304).send(undefined);
        }
        const state = await desired.read();
        void reply.headers({ etag: `"${state.revision}"`, 'cache-control': 'no-cache' });
        if (known === state.revision) return reply.code(304).send(undefined);
        return state;
      },
    );
  };
}

const toText = (version: number | undefined) => (version === undefined ? undefined : String(version));
