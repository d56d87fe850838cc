import { z } from 'zod';
import type { App, Database } from './platform/index.ts';

const statusSchema = z
  .strictObject({
    version: z.string(),
    database: z.strictObject({ dialect: z.string() }),
    data_dir: z.string(),
    uptime_ms: z.int(),
    counts: z.record(z.string(), z.int()),
    models: z.array(
      z.strictObject({
        name: z.string(),
        champion: z.strictObject({ version: z.string(), servable: z.boolean() }).optional(),
      }),
    ),
    model_servers: z.array(z.string()),
  })
  .meta({ id: 'Status' });

const indexSchema = z.strictObject({
  name: z.string(),
  version: z.string(),
  endpoints: z.record(z.string(), z.string()),
});

const readySchema = z.strictObject({ status: z.enum(['ready', 'not ready']), reason: z.string().optional() });

export interface StatusDeps {
  database: Database;
  version: string;
  dataDir: string;
  modelServers: () => string[];
  counts: () => Promise<Record<string, number>>;
  models: () => Promise<{ name: string; champion?: { version: string; servable: boolean } }[]>;
}

/** `/health`, `/ready`, and `/api/v1/status`: one look at the whole platform. */
export function statusRoutes(deps: StatusDeps): (app: App) => void {
  const { database, version, dataDir, modelServers } = deps;
  // Not the platform's clock, which may follow the events of a replay.
  const startedAt = performance.now();
  const quiet = { logLevel: 'debug' as const };

  return (app) => {
    app.get(
      '/',
      {
        schema: { tags: ['status'], summary: 'What is here', response: { 200: indexSchema } },
        config: quiet,
      },
      () => ({
        name: 'Tidemill control plane',
        version,
        endpoints: {
          'GET /docs': 'this API, to read and to try',
          'GET /openapi.json': 'this API, for programs',
          'GET /api/v1/status': 'version, database, counts, models with what serves',
          'GET /ready': 'whether requests can be served',
          'GET /metrics': 'metrics for Prometheus',
        },
      }),
    );

    app.get(
      '/health',
      { schema: { tags: ['status'], summary: 'Answers OK while the process lives' }, config: quiet },
      async (_request, reply) => reply.type('text/plain; charset=utf-8').send('OK'),
    );

    app.get(
      '/ready',
      {
        schema: {
          tags: ['status'],
          summary: 'Whether requests can be served',
          response: { 200: readySchema, 503: readySchema },
        },
        config: quiet,
      },
      async (_request, reply) => {
        if (app.stopSignal.aborted) return reply.code(503).send({ status: 'not ready', reason: 'stopping' });
        try {
          await database.reader.selectNoFrom((eb) => eb.lit(1).as('one')).execute();
          return { status: 'ready' as const };
        } catch (error) {
          const reason = `the database does not answer: ${(error as Error).message}`;
          return reply.code(503).send({ status: 'not ready', reason });
        }
      },
    );

    app.get(
      '/api/v1/status',
      {
        schema: {
          tags: ['status'],
          summary: 'Version, database, counts, models with what serves',
          response: { 200: statusSchema },
        },
      },
      async () => ({
        version,
        database: { dialect: database.dialect },
        data_dir: dataDir,
        uptime_ms: Math.round(performance.now() - startedAt),
        counts: await deps.counts(),
        models: await deps.models(),
        model_servers: modelServers(),
      }),
    );
  };
}
