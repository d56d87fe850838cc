import { z } from 'zod';
import { ApiError, type App, type Database, requestSignal } from '../platform/index.ts';
import { readVersion, type ServingSignal } from '../registry/index.ts';
import { desiredStateSchema } from '../serving/contract.ts';
import * as contract from './contract.ts';
import type { Delivery } from './create-delivery.ts';
import { rolloutRoutes } from './rollout-routes.ts';
import { toText, toWireDecision, toWirePromotion } from './wire-format.ts';

export interface DeliveryRouteDeps {
  database: Pick<Database, 'dialect'>;
  moved: ServingSignal;
  delivery: Delivery;
}

/** Another replica's moves are not heard in this process: a waiting question looks for them this often. */
const REPLICA_POLL_MS = 1000;

/** Promote, roll back, rollouts, decisions, and what the model servers should serve. */
export function deliveryRoutes({ database, moved, delivery }: DeliveryRouteDeps): (app: App) => void {
  const { desired } = delivery;

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
    app.addHook('onClose', async () => delivery.close());

    app.post(
      '/api/v1/models/:name/promote',
      {
        schema: {
          tags: ['delivery'],
          summary: 'Put a version through the gate and let it serve, at once or by a rollout',
          params: contract.modelParams,
          body: contract.promoteRequest,
          response: { 200: contract.promotionSchema },
        },
      },
      async ({ params: { name }, body, actor }) => {
        const { version, ...request } = body;
        const promotion = await delivery.promote({
          ...request,
          name,
          version: readVersion(version),
          actor,
          isByHand: true,
          signal: app.stopSignal,
        });
        const { outcome, decision } = promotion;
        if (outcome === 'refused') {
          const { id, verdict, evidence } = decision;
          throw new ApiError('RESOURCE_CONFLICT', decision.summary, { decision: id, verdict, evidence });
        }
        return toWirePromotion({ ...promotion, outcome });
      },
    );

    app.post(
      '/api/v1/models/:name/rollback',
      {
        schema: {
          tags: ['delivery'],
          summary: 'Abort the rollout that is under way, else go back to what served before',
          params: contract.modelParams,
          body: contract.rollbackRequest,
          response: { 200: contract.rollbackSchema },
        },
      },
      async ({ params: { name }, body, actor }) => {
        const { from, to, aborted } = await delivery.rollBack({
          name,
          actor,
          reason: body?.reason,
          expectedVersion: body?.from === undefined ? undefined : readVersion(body.from),
        });
        return { name, from: toText(from), to: String(to), changed: true as const, aborted };
      },
    );

    app.get(
      '/api/v1/models/:name/decisions',
      {
        schema: {
          tags: ['delivery'],
          summary: 'What was decided about the model, by whom, why and on which evidence, the newest first',
          params: contract.modelParams,
          querystring: contract.decisionQuery,
          response: { 200: contract.decisionListSchema },
        },
      },
      async ({ params: { name }, query }) => {
        const decisions = await delivery.decisions.list(name, query);
        const gains = await delivery.gains.ofRollouts(decisions.map(({ rolloutId }) => rolloutId));
        return {
          decisions: decisions.map((each) => toWireDecision(each, gains.get(each.rolloutId ?? ''))),
        };
      },
    );

    rolloutRoutes(delivery)(app);

    app.get(
      '/api/v1/judgements',
      {
        schema: {
          tags: ['delivery'],
          summary: 'What is being judged now, and what waits for its turn',
          response: { 200: contract.judgementListSchema },
        },
      },
      async () => ({
        judgements: delivery.judgements().map(({ lane, model, version, isByHand, isRunning, since }) => ({
          what: lane,
          model,
          version: String(version),
          by_hand: isByHand,
          state: isRunning ? ('running' as const) : ('waiting' as const),
          for_ms: Math.round(performance.now() - since),
        })),
      }),
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
