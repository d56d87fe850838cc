import { type App, addHotRoute, type HotRequest } from '../platform/index.ts';
import type { Chosen, ModelChooser } from './choose-model.ts';
import { answerSchema, predictBodySchema } from './serving-schemas.ts';

const SCHEMA = { tags: ['Predict'], body: predictBodySchema, response: { 200: answerSchema } };

/** `POST /predict` and its forms for one model and one version. */
export function predictRoutes({ chooser }: { chooser: ModelChooser }) {
  function answer({ served, variant }: Chosen, body: unknown, request: HotRequest): Promise<string> {
    return served.predict(body, variant, () => request.isGone);
  }

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
      schema: { ...SCHEMA, summary: 'Predict with a version that is warm: the champion or its predecessor' },
      handler: (body, request) => {
        const { name, version } = request.params as { name: string; version: string };
        return answer(chooser.version(name, version), body, request);
      },
    });
  };
}
