import { type App, acceptStreams, requestSignal, streamOf } from '../../platform/index.ts';
import { segmentParams } from '../../serving/contract.ts';
import * as contract from './contract.ts';
import type { PredictionLog } from './prediction-log.ts';

/** Segments turn at 64 MiB, and a batch more may be in one. */
const MAX_SEGMENT_BYTES = 128 * 2 ** 20;
const tags = ['monitoring'];

/** The prediction log over HTTP: segments in, SQL and counts out, forgetting. */
export function logRoutes({
  log,
  maxSegmentBytes = MAX_SEGMENT_BYTES,
}: {
  log: PredictionLog;
  maxSegmentBytes?: number;
}): (app: App) => Promise<void> {
  return async (app) => {
    app.post(
      '/api/v1/log/query',
      {
        schema: {
          tags,
          summary: 'Ask the prediction log in SQL',
          body: contract.queryBody,
          response: { 200: contract.queryAnswerSchema },
        },
      },
      async ({ body }, reply) =>
        // As the process wrote it: up to 32 MB are not read again on their way.
        reply.type('application/json').send(
          (await log.queryText(body.sql, {
            limitRows: body.limit_rows,
            timeoutMs: body.timeout_ms,
            signal: requestSignal(app, reply),
          })) as never,
        ),
    );

    app.get(
      '/api/v1/log/views',
      {
        schema: {
          tags,
          summary: 'What SQL may name: the views of the prediction log and their columns',
          response: { 200: contract.logViewsSchema },
        },
      },
      async () => ({ views: await log.views() }),
    );

    app.post(
      '/api/v1/log/forget',
      {
        schema: {
          tags,
          summary: 'Take the predictions with a value, and their labels, out of the log',
          description:
            'Covers all that was taken so far. Rows that arrive later are new data, also those that a model server has logged but not sent yet: ask again for them. Backups keep what they hold.',
          body: contract.forgetBody,
          response: { 200: contract.forgottenSchema },
        },
      },
      async ({ body, actor }) => {
        const { model, column, value, reason } = body;
        const done = await log.forget({
          column,
          value,
          actor,
          reason,
          ...(model !== undefined && { model }),
        });
        const { files, predictions, labels, setAside } = done;
        return { files, predictions, labels, set_aside: setAside };
      },
    );

    app.get(
      '/api/v1/models/:name/log',
      {
        schema: {
          tags,
          summary: 'Count the predictions that the log holds of a model',
          params: contract.modelParams,
          response: { 200: contract.modelLogSchema },
        },
      },
      async ({ params: { name } }) => {
        await log.checkModel(name);
        const { newestEvent, badLines, droppingServers, ...counts } = await log.counts(name);
        return {
          model: name,
          ...counts,
          newest_event: newestEvent ?? null,
          bad_lines: badLines,
          dropping_servers: droppingServers,
        };
      },
    );

    await app.register((plugin, _options, done) => {
      const scope = plugin as unknown as App;
      acceptStreams(scope, { maxBytes: maxSegmentBytes });
      scope.put(
        '/api/v1/serving/segments/:kind/:replica/:incarnation/:sequence',
        {
          config: { logLevel: 'debug' },
          schema: {
            tags,
            summary: 'Take a segment of the prediction log or of the feedback of a model server',
            params: segmentParams,
            headers: contract.segmentHeaders,
            response: { 200: contract.takenSegmentSchema },
          },
        },
        async (request) => {
          const sha256 = request.headers['x-content-sha256'];
          const { isNew } = await log.takeSegment(request.params, streamOf(request), sha256);
          return { is_new: isNew };
        },
      );
      done();
    });
  };
}
