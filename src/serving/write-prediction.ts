import type { Signature } from '../models/index.ts';
import type { RowAnswers } from './batch-requests.ts';

export type Variant = 'champion' | 'previous';

export interface PredictionWriter {
  /** The JSON of one row's prediction. */
  write(answers: RowAnswers, row: number, variant: Variant): string;
}

export interface WriterOptions {
  output: Signature['output'];
  version: string;
  nextId: () => string;
  /** Called for each prediction with the place of the predicted class; 0 for a number. */
  count: (classIndex: number) => void;
}

/**
 * Writes predictions as JSON text by joining parts that are made once for a model: a general serialiser would cost as
 * much as the model itself.
 */
export function createPredictionWriter({ output, version, nextId, count }: WriterOptions): PredictionWriter {
  const ends: Record<Variant, string> = {
    champion: ending('champion'),
    previous: ending('previous'),
  };

  function ending(variant: Variant): string {
    return `,"model_version":${JSON.stringify(version)},"variant":"${variant}","inference_time_ms":`;
  }

  function finished(start: string, answers: RowAnswers, variant: Variant): string {
    return `${start}${ends[variant]}${Math.round(answers.inferenceMs * 1000) / 1000}}`;
  }

  if (output.task === 'regression') {
    return {
      write(answers, row, variant) {
        count(0);
        const value = answers.output.values?.[answers.offset + row] as number;
        return finished(`{"prediction_id":"${nextId()}","prediction":${floatText(value)}`, answers, variant);
      },
    };
  }

  const labels = output.classes.map((label) => JSON.stringify(label));
  const keys = output.classes.map((label, i) => `${i === 0 ? '' : ','}${JSON.stringify(String(label))}:`);
  const places = new Map(output.classes.map((label, i) => [label, i]));
  const width = labels.length;

  return {
    write(answers, row, variant) {
      const { labels: predicted, probabilities } = answers.output;
      const at = (answers.offset + row) * width;
      const best =
        (predicted && places.get(predicted[answers.offset + row] as string)) ??
        largest(probabilities, at, width);
      count(best);
      const start = `{"prediction_id":"${nextId()}","prediction":${labels[best]}`;
      if (probabilities === undefined) return finished(start, answers, variant);
      let text = `${start},"confidence":${probabilityText(probabilities[at + best] as number)},"probabilities":{`;
      for (let i = 0; i < width; i++)
        text += (keys[i] as string) + probabilityText(probabilities[at + i] as number);
      return finished(`${text}}`, answers, variant);
    },
  };
}

function largest(values: Float32Array | undefined, start: number, width: number): number {
  let best = 0;
  if (values === undefined) return best;
  for (let i = 1; i < width; i++)
    if ((values[start + i] as number) > (values[start + best] as number)) best = i;
  return best;
}

/** Seven decimals, all that float32 holds near 1; small ones with seven digits, because their logarithm counts. */
export function probabilityText(value: number): string {
  if (value >= 0.001) return String(Math.round(value * 1e7) / 1e7);
  return Number.isFinite(value) ? String(Number(value.toPrecision(7))) : 'null';
}

/** The shortest decimal that is the same float32; `null` for what JSON has no number for. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return 'null';
  for (const digits of [6, 7, 8]) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}
