import { z } from 'zod';
import type { App } from '../platform/index.ts';
import type { ModelChooser } from './predict/choose-model.ts';
import type { Readiness } from './readiness.ts';
import {
  healthSchema,
  modelInfoSchema,
  modelListSchema,
  readySchema,
  welcomeSchema,
} from './serving-schemas.ts';
import type { ModelRoster, ModelStatus } from './versions/model-roster.ts';
import type { ServedVersion } from './versions/served-version.ts';

const TAGS = ['Status'];
const PROBE = { logLevel: 'debug' as const };

/** What is here, whether it is alive and ready, and what serves. */
export function statusRoutes(deps: {
  version: string;
  roster: ModelRoster;
  chooser: ModelChooser;
  readiness: () => Readiness;
  ignoredEvents: () => number;
}) {
  const { version, roster, chooser, readiness, ignoredEvents } = deps;

  return (app: App): void => {
    app.get(
      '/',
      { schema: { tags: TAGS, summary: 'What is here', response: { 200: welcomeSchema } } },
      () => ({
        name: 'Tidemill model server',
        version,
        models: [...roster.names()],
        endpoints: {
          'POST /predict': 'predict with the only model, or the default one',
          'POST /models/{name}/predict': 'predict with a model',
          'POST /models/{name}/versions/{version}/predict': 'predict with a version that is warm',
          'POST /models/{name}/feedback': 'the truth about predictions, when it is known',
          'GET /models': 'what serves',
          'GET /models/{name}': 'one model: version, features, classes, an example',
          'GET /model/info': 'the same of the only model, or the default one',
          'GET /health': 'whether the process is alive',
          'GET /ready': 'whether it should get traffic',
          'GET /metrics': 'metrics for Prometheus',
          'GET /docs': 'this API, to read and to try',
          'GET /openapi.json': 'this API, for programs',
        },
      }),
    );

    app.get(
      '/health',
      { schema: { tags: TAGS, summary: 'Alive', response: { 200: healthSchema } }, config: PROBE },
      () => ({ status: 'healthy' as const }),
    );

    app.get(
      '/ready',
      {
        schema: {
          tags: TAGS,
          summary: 'Ready for traffic',
          response: { 200: readySchema, 503: readySchema },
        },
        config: PROBE,
      },
      (_request, reply) => {
        const { isReady, status, reason } = readiness();
        const models = roster.statuses();
        if (!isReady) reply.code(503).header('retry-after', '1');
        return {
          status,
          model_loaded: models.some(({ champion }) => isWarm(champion)),
          reason,
          ...(ignoredEvents() > 0 && { ignored_event_times: ignoredEvents() }),
          models: models.map(describeStatus),
        };
      },
    );

    app.get(
      '/models',
      { schema: { tags: TAGS, summary: 'What serves', response: { 200: modelListSchema } } },
      () => ({ models: roster.statuses().map(describeStatus) }),
    );

    app.get(
      '/models/:name',
      {
        schema: {
          tags: TAGS,
          summary: 'One model: version, features, classes, an example',
          params: z.object({ name: z.string() }),
          response: { 200: modelInfoSchema },
        },
      },
      (request) => info(request.params.name),
    );

    app.get(
      '/model/info',
      {
        schema: {
          tags: TAGS,
          summary: 'The only model, or the default one',
          response: { 200: modelInfoSchema },
        },
      },
      () => info(chooser.defaultName()),
    );
  };

  function info(name: string) {
    const { served } = chooser.champion(name);
    return describeVersion(served, roster.find(name)?.previous);
  }
}

function isWarm(version: ServedVersion | undefined): boolean {
  return version !== undefined && version.lostBecause === undefined;
}

function describeStatus({ name, champion, previous, desiredVersion, problem, rollout }: ModelStatus) {
  return {
    name,
    version: isWarm(champion) ? champion?.desired.version : undefined,
    previous: previous?.desired.version,
    desired_version: desiredVersion,
    problem,
    rollout: rollout && {
      version: rollout.desired.candidate.version,
      mode: rollout.desired.mode,
      weight: rollout.desired.weight,
      is_warm: rollout.isWarm,
      problem: rollout.problem,
    },
  };
}

function describeVersion(served: ServedVersion, previous: ServedVersion | undefined) {
  const { facts, desired, measure } = served;
  const { columns, output } = facts.signature;
  return {
    name: served.name,
    version: desired.version,
    previous: previous?.desired.version,
    run_id: desired.run_id,
    framework: facts.framework ?? 'onnx',
    task: output.task,
    target: output.target,
    features: columns.map(({ name }) => name),
    classes: output.task === 'regression' ? undefined : output.classes,
    signature: { columns },
    example: facts.sample,
    sha256: desired.sha256,
    size_bytes: desired.size_bytes,
    loaded_at: new Date(served.loadedAt).toISOString(),
    runs_in: served.place,
    measured: {
      load_ms: rounded(served.loadSeconds * 1000),
      create_ms: rounded(measure.createMs),
      row_micros: rounded(measure.rowMicros),
      batch_row_micros: rounded(measure.batchRowMicros),
      memory_bytes: measure.memoryBytes,
    },
  };
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
