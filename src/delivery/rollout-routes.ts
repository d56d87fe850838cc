import type { z } from 'zod';
import type { App } from '../platform/index.ts';
import * as contract from './contract.ts';
import type { Delivery } from './create-delivery.ts';
import type { Rollout } from './rollout/rollout-store.ts';
import { toWireDecision, toWireRollout } from './wire-format.ts';

/** Rollouts of a model: what they are at, and a hand on them. */
export function rolloutRoutes(delivery: Delivery): (app: App) => void {
  const tags = ['delivery'];

  async function detail(rollout: Rollout): Promise<z.infer<typeof contract.rolloutDetailSchema>> {
    const decisions = await delivery.decisions.ofRollout(rollout.id);
    const gain = (await delivery.gains.ofRollouts([rollout.id])).get(rollout.id);
    return {
      ...toWireRollout(rollout, gain),
      policy: { ...rollout.policy },
      gate: { ...rollout.gate },
      decisions: decisions.map((each) => toWireDecision(each, gain)),
    };
  }

  return (app) => {
    app.get(
      '/api/v1/models/:name/rollouts',
      {
        schema: {
          tags,
          summary: 'Rollouts of a model, the newest first',
          params: contract.modelParams,
          response: { 200: contract.rolloutListSchema },
        },
      },
      async ({ params: { name } }) => {
        const rollouts = await delivery.rollouts.list(name);
        const gains = await delivery.gains.ofRollouts(rollouts.map(({ id }) => id));
        return { rollouts: rollouts.map((each) => toWireRollout(each, gains.get(each.id))) };
      },
    );

    app.get(
      '/api/v1/models/:name/rollouts/:id',
      {
        schema: {
          tags,
          summary: 'A rollout with its evidence and every decision about it',
          params: contract.rolloutParams,
          response: { 200: contract.rolloutDetailSchema },
        },
      },
      async ({ params: { name, id } }) => {
        return detail(await delivery.rollouts.show(name, id));
      },
    );

    for (const [what, summary] of [
      ['pause', 'Hold the rollout where it is; bad evidence still undoes it'],
      ['abort', 'End the rollout; the champion answers everything again'],
    ] as const) {
      app.post(
        `/api/v1/models/:name/rollouts/:id/${what}`,
        {
          schema: {
            tags,
            summary,
            params: contract.rolloutParams,
            body: contract.handRequest,
            response: { 200: contract.rolloutDetailSchema },
          },
        },
        async ({ params: { name, id }, body, actor }) =>
          detail(await delivery.rollouts[what](name, id, { actor, reason: body?.reason })),
      );
    }

    app.post(
      '/api/v1/models/:name/rollouts/:id/resume',
      {
        schema: {
          tags,
          summary: 'Let a paused rollout go on, or pass its step',
          params: contract.rolloutParams,
          body: contract.resumeRequest,
          response: { 200: contract.rolloutDetailSchema },
        },
      },
      async ({ params: { name, id }, body, actor }) =>
        detail(await delivery.rollouts.resume(name, id, { actor, reason: body?.reason, skip: body?.skip })),
    );
  };
}
