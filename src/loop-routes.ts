import { z } from 'zod';
import { type App, type Clock, requestSignal } from './platform/index.ts';
import type { RunLoop } from './run-loop.ts';

const MAX_WAIT_MS = 30_000;

const loopQuery = z.object({
  until: z.coerce
    .number()
    .int()
    .optional()
    .describe('Wait until everything that is due at this time (ms since the epoch) is done'),
  wait_ms: z.coerce.number().int().min(0).max(MAX_WAIT_MS).default(0).describe('How long to wait at most'),
});

const loopSchema = z
  .strictObject({
    clock: z.enum(['wall', 'events']),
    now: z.int().describe("The platform's time, ms since the epoch; with --clock events the newest event's"),
    settled_until: z
      .int()
      .optional()
      .describe(
        'The time up to which all that was due has been done and nothing ran on; left out before the first',
      ),
    active_jobs: z.int(),
    active_rollouts: z.int(),
    problems: z.record(z.string(), z.string()).describe('Parts of the loop that fail at the moment, and why'),
  })
  .meta({ id: 'Loop' });

export interface LoopRouteDeps {
  loop: RunLoop;
  clock: Clock;
  clockKind: 'wall' | 'events';
  activeJobs: () => number;
  activeRollouts: () => Promise<number>;
}

/** `GET /api/v1/loop`: how far watching, retraining and rolling out have come, for people and for replays. */
export function loopRoutes(deps: LoopRouteDeps): (app: App) => void {
  const { loop, clock, clockKind, activeJobs, activeRollouts } = deps;
  return (app) => {
    app.get(
      '/api/v1/loop',
      {
        schema: {
          tags: ['status'],
          summary: 'How far watching, retraining and rolling out have come; with until and wait_ms it waits',
          querystring: loopQuery,
          response: { 200: loopSchema },
        },
        config: { logLevel: 'debug' as const },
      },
      async (request, reply) => {
        const { until, wait_ms: waitMs } = request.query;
        if (until !== undefined && waitMs > 0) {
          await loop.waitUntilSettled(until, waitMs, requestSignal(app, reply));
        }
        const { settledUntil, problems } = loop.status();
        return {
          clock: clockKind,
          now: clock.now(),
          ...(settledUntil === undefined ? {} : { settled_until: settledUntil }),
          active_jobs: activeJobs(),
          active_rollouts: await activeRollouts(),
          problems,
        };
      },
    );
  };
}
