import { type App, addHotRoute } from '../../platform/index.ts';
import type { ServingLog } from '../log/serving-log.ts';
import type { ServingMetrics } from '../serving-metrics.ts';
import { feedbackAnswerSchema, feedbackBodySchema } from '../serving-schemas.ts';
import type { ModelChooser } from './choose-model.ts';
import { eventWitnesses } from './event-witnesses.ts';
import { readFeedback } from './read-feedback.ts';

const SCHEMA = { tags: ['Predict'], body: feedbackBodySchema, response: { 200: feedbackAnswerSchema } };

/**
 * `POST /models/{name}/feedback`: the truth about predictions. It is on this server's disk before it is acknowledged,
 * and goes to the control plane when that is there. A repeat replaces the label.
 */
export function feedbackRoutes(deps: {
  chooser: ModelChooser;
  log: ServingLog;
  maxLabels: number;
  now: () => number;
  onEventTime: ((timeMs: number) => void) | undefined;
  metrics: ServingMetrics;
}) {
  const { chooser, log, maxLabels, now, onEventTime, metrics } = deps;

  async function take(name: string, body: unknown): Promise<string> {
    const labels = readFeedback(body, chooser.warm(name), maxLabels);
    const model = JSON.stringify(name);
    const at = Date.now();
    let lines = '';
    let newest = Number.NEGATIVE_INFINITY;
    for (const { id, label, timeMs = now() } of labels) {
      lines += `{"id":${JSON.stringify(id)},"t":${timeMs},"at":${at},"m":${model},"y":${JSON.stringify(label)}}\n`;
      if (timeMs > newest) newest = timeMs;
    }
    await log.keepFeedback(lines, newest);
    for (const timeMs of eventWitnesses(labels.flatMap((label) => label.timeMs ?? []))) onEventTime?.(timeMs);
    metrics.feedback.inc({ model: name }, labels.length);
    return `{"accepted":${labels.length}}`;
  }

  return (app: App): void => {
    addHotRoute(app, {
      url: '/feedback',
      schema: { ...SCHEMA, summary: 'The truth about predictions of the only model, or the default one' },
      handler: (body) => take(chooser.defaultName(), body),
    });
    addHotRoute(app, {
      url: '/models/:name/feedback',
      schema: { ...SCHEMA, summary: 'The truth about predictions of a model' },
      handler: (body, request) => take(request.params['name'] as string, body),
    });
  };
}
