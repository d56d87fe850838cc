import type { BatchOutput, Signature } from '../../models/index.ts';
import type { Variant } from '../contract.ts';
import type { RowAnswers } from './join-answers.ts';

/** One row's prediction, for the caller and for the log. */
export interface WrittenPrediction {
  /** The JSON of the answer. */
  answer: string;
  /** `"p":…,"pr":[…]`: the same prediction as a part of a log line. */
  logged: string;
}

export interface PredictionWriter {
  /** The places of the predicted classes among the signature's; zeros for a regression. */
  places(output: BatchOutput): Int32Array;
  /** @param place of the row's class, by `places`. */
  write(answers: RowAnswers, row: number, place: number, id: string, variant: Variant): WrittenPrediction;
}

export interface WriterOptions {
  output: Signature['output'];
  version: string;
}

/**
 * Writes predictions as JSON text by joining parts that are made once for a model: a general serialiser would cost as
 * much as the model itself.
 */
export function createPredictionWriter({ output, version }: WriterOptions): PredictionWriter {
  const ends: Record<Variant, string> = {
    champion: ending('champion'),
    canary: ending('canary'),
    shadow: ending('shadow'),
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
      places: ({ values }) => new Int32Array(values?.length ?? 0),
      write(answers, row, _place, id, variant) {
        const text = floatText(answers.output.values?.[answers.offset + row] as number);
        const answer = finished(`{"prediction_id":"${id}","prediction":${text}`, answers, variant);
        return { answer, logged: `"p":${text}` };
      },
    };
  }

  const labels = output.classes.map((label) => JSON.stringify(label));
  const keys = output.classes.map((label, i) => `${i === 0 ? '' : ','}${JSON.stringify(String(label))}:`);
  const places = new Map(output.classes.map((label, i) => [label, i]));
  const width = labels.length;

  return {
    places({ labels: predicted, probabilities }) {
      const rows = predicted?.length ?? (probabilities?.length ?? 0) / width;
      const found = new Int32Array(rows);
      for (let row = 0; row < rows; row++) {
        found[row] =
          (predicted && places.get(predicted[row] as string)) ?? largest(probabilities, row * width, width);
      }
      return found;
    },

    write(answers, row, place, id, variant) {
      const { probabilities } = answers.output;
      const label = labels[place] as string;
      const start = `{"prediction_id":"${id}","prediction":${label}`;
      if (probabilities === undefined) {
        return { answer: finished(start, answers, variant), logged: `"p":${label}` };
      }
      const at = (answers.offset + row) * width;
      const first = probabilityText(probabilities[at] as number);
      let confidence = first;
      let named = `${keys[0]}${first}`;
      let listed = first;
      for (let i = 1; i < width; i++) {
        const text = probabilityText(probabilities[at + i] as number);
        named += (keys[i] as string) + text;
        listed += `,${text}`;
        if (i === place) confidence = text;
      }
      return {
        answer: finished(`${start},"confidence":${confidence},"probabilities":{${named}}`, answers, variant),
        // A list with a gap in it could not be read by place.
        logged: listed.includes('n') ? `"p":${label}` : `"p":${label},"pr":[${listed}]`,
      };
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
