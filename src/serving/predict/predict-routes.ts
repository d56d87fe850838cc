import { type App, addHotRoute } from '../../platform/index.ts';
import { answerSchema, predictBodySchema } from '../serving-schemas.ts';
import type { createRequestAnswerer } from './answer-request.ts';
import type { ModelChooser } from './choose-model.ts';

const SCHEMA = { tags: ['Predict'], body: predictBodySchema, response: { 200: answerSchema } };

/** `POST /predict` and its forms for one model and one version. */
export function predictRoutes({
  chooser,
  answer,
}: {
  chooser: ModelChooser;
  answer: ReturnType<typeof createRequestAnswerer>;
}) {
  return (app: App): void => {
    addHotRoute(app, {
      url: '/predict',
      schema: { ...SCHEMA, summary: 'Predict with the only model, or the default one' },
      handler: (body, request) => answer(chooser.champion(chooser.defaultName()), body, request),
    });
    addHotRoute(app, {
      url: '/models/:name/predict',
      schema: { ...SCHEMA, summary: 'Predict with a model' },
      handler: (body, request) => answer(chooser.champion(request.params['name'] as string), body, request),
    });
    addHotRoute(app, {
      url: '/models/:name/versions/:version/predict',
      schema: {
        ...SCHEMA,
        summary:
          'Predict with a version that is warm: the champion, its predecessor, or the candidate of a rollout',
      },
      handler: (body, request) => {
        const { name, version } = request.params as { name: string; version: string };
        return answer(chooser.version(name, version), body, request);
      },
    });
  };
}
