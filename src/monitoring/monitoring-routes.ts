import type { App } from '../platform/index.ts';
import { profileReportSchema, reporterParams } from '../serving/contract.ts';
import { toWireAlarm } from './alarms/write-alarm-message.ts';
import type { Monitoring } from './create-monitoring.ts';
import * as contract from './drift-contract.ts';
import type { UntestedRun } from './windows/window-store.ts';
import { toWireWindow } from './windows/wire-window.ts';

const tags = ['monitoring'];

const withoutModel = ({ windows, since, state }: UntestedRun) => ({ windows, since, state });

/** Profile reports of model servers; windows and alarms for everybody. */
export function monitoringRoutes({ monitoring }: { monitoring: Monitoring }): (app: App) => void {
  return (app) => {
    app.put(
      '/api/v1/serving/profiles/:replica/:incarnation',
      {
        schema: {
          tags: ['serving'],
          summary: 'Take the cumulative profiles of a model server; repeats do no harm',
          params: reporterParams,
          body: profileReportSchema,
          response: { 200: contract.takenSchema },
        },
        bodyLimit: 64 * 2 ** 20,
        config: { logLevel: 'debug' as const },
      },
      async ({ params, body }) => {
        await monitoring.takeReport(params, body);
        return { taken: body.entries.length };
      },
    );

    app.get(
      '/api/v1/models/:name/windows',
      {
        schema: {
          tags,
          summary: 'Closed windows of a model with their tests and performance, newest first',
          params: contract.modelParams,
          querystring: contract.windowQuery,
          response: { 200: contract.windowListSchema },
        },
      },
      async ({ params: { name }, query }) => {
        await monitoring.checkModel(name);
        const { tests, limit, ...filter } = query;
        const found = await monitoring.windows(name, { ...filter, limit: limit + 1 });
        const windows = found.slice(0, limit);
        const sequences = await monitoring.sequences(name);
        const [untested] = await monitoring.untested(name);
        return {
          model: name,
          windows: windows.map((window) => toWireWindow(window, tests)),
          has_older: found.length > windows.length,
          ...(untested === undefined ? {} : { untested: withoutModel(untested) }),
          sequences: sequences.map(({ logM, ...rest }) => ({
            ...rest,
            ...(logM === undefined ? {} : { log_m: logM }),
          })),
        };
      },
    );

    app.get(
      '/api/v1/models/:name/alarms',
      {
        schema: {
          tags,
          summary: 'Alarms of a model, newest first',
          params: contract.modelParams,
          querystring: contract.alarmQuery,
          response: { 200: contract.alarmListSchema },
        },
      },
      async ({ params: { name }, query }) => {
        await monitoring.checkModel(name);
        const alarms = await monitoring.alarms({ model: name, ...query });
        return { alarms: alarms.map(toWireAlarm), untested: await monitoring.untested(name) };
      },
    );

    app.get(
      '/api/v1/alarms',
      {
        schema: {
          tags,
          summary: 'Alarms of all models, newest first',
          querystring: contract.alarmQuery,
          response: { 200: contract.alarmListSchema },
        },
      },
      async ({ query }) => ({
        alarms: (await monitoring.alarms(query)).map(toWireAlarm),
        untested: await monitoring.untested(),
      }),
    );

    app.get(
      '/api/v1/alarms/:id',
      {
        schema: {
          tags,
          summary: 'Get an alarm with its evidence',
          params: contract.alarmParams,
          response: { 200: contract.alarmSchema },
        },
      },
      async ({ params: { id } }) => toWireAlarm(await monitoring.alarm(id)),
    );

    app.post(
      '/api/v1/alarms/:id/acknowledge',
      {
        schema: {
          tags,
          summary: 'Say that somebody looks into an alarm; it stays open',
          params: contract.alarmParams,
          body: contract.acknowledgeRequest,
          response: { 200: contract.alarmSchema },
        },
      },
      async ({ params: { id }, body, actor }) => {
        const reason = body?.reason;
        const who = { actor, ...(reason === undefined ? {} : { reason }) };
        return toWireAlarm(await monitoring.acknowledge(id, who));
      },
    );

    app.post(
      '/api/v1/alarms/:id/close',
      {
        schema: {
          tags,
          summary: 'Close an alarm by hand; its test goes on',
          params: contract.alarmParams,
          body: contract.closeRequest,
          response: { 200: contract.alarmSchema },
        },
      },
      async ({ params: { id }, body: { reason }, actor }) =>
        toWireAlarm(await monitoring.close(id, { actor, reason })),
    );
  };
}
