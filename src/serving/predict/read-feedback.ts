import type { ClassValue } from '../../models/index.ts';
import { ApiError } from '../../platform/index.ts';
import type { ServedVersion } from '../versions/served-version.ts';
import { readTimestamp, shown, wrongForm } from './read-prediction-request.ts';

/** One label as the journal keeps it. */
export interface Feedback {
  id: string;
  label: ClassValue;
  /** When the truth was known, in ms; undefined: now. */
  timeMs: number | undefined;
}

const LONGEST_ID = 200;
const FORM = '{"prediction_id": "…", "label": …, "timestamp"?: "…"} or a list of them';

/**
 * Reads a body of `/feedback`. A label may be a class of any version that is warm, because what is labelled now was
 * predicted before.
 *
 * @throws ApiError UNPROCESSABLE_ENTITY when the form is wrong, INVALID_PARAMETER_VALUE when a label is none of the
 * model's, PAYLOAD_TOO_LARGE beyond `maxLabels`.
 */
export function readFeedback(
  body: unknown,
  versions: readonly ServedVersion[],
  maxLabels: number,
): Feedback[] {
  const list = Array.isArray(body) ? body : [body];
  if (list.length === 0) throw wrongForm(`The list is empty; send ${FORM}`);
  if (list.length > maxLabels) {
    throw new ApiError(
      'PAYLOAD_TOO_LARGE',
      `The list has ${list.length} labels, and one request may have ${maxLabels}; send several requests`,
    );
  }
  const check = labelCheck(versions);
  return list.map((one, i) => readOne(one, Array.isArray(body) ? `Item ${i}: ` : '', check));
}

function readOne(
  one: unknown,
  place: string,
  check: (label: unknown, place: string) => ClassValue,
): Feedback {
  if (typeof one !== 'object' || one === null || Array.isArray(one)) {
    throw wrongForm(
      `${place === '' ? 'The body' : place.slice(0, -2)} is ${shown(one)}, but must be ${FORM}`,
    );
  }
  const { prediction_id: id, label, timestamp } = one as Record<string, unknown>;
  if (typeof id !== 'string' || id === '' || id.length > LONGEST_ID) {
    throw wrongForm(
      `${place}'prediction_id' is ${shown(id)}, but must be the prediction_id of an answer, at most ${LONGEST_ID} characters`,
    );
  }
  if (label === undefined) throw wrongForm(`${place}'label' is missing: send the true class or value`);
  return {
    id,
    label: check(label, place),
    timeMs: timestamp === undefined ? undefined : readTimestamp(timestamp, `${place}'timestamp'`),
  };
}

function labelCheck(versions: readonly ServedVersion[]): (label: unknown, place: string) => ClassValue {
  const [first] = versions;
  const target = first?.facts.signature.output.target ?? '';
  const classes = new Set<ClassValue>();
  for (const { facts } of versions) {
    const { output } = facts.signature;
    if (output.task === 'regression') {
      return (label, place) => {
        if (typeof label === 'number' && Number.isFinite(label)) return label;
        throw wrongLabel(`${place}'label' is ${shown(label)}, but ${JSON.stringify(target)} is a number`);
      };
    }
    for (const value of output.classes) classes.add(value);
  }
  return (label, place) => {
    if (classes.has(label as ClassValue)) return label as ClassValue;
    const known = [...classes].slice(0, 20).map((value) => JSON.stringify(value));
    const more = classes.size > known.length ? ` and ${classes.size - known.length} more` : '';
    throw wrongLabel(
      `${place}'label' is ${shown(label)}, but the classes of ${JSON.stringify(target)} are ${known.join(', ')}${more}`,
    );
  };
}

function wrongLabel(message: string): ApiError {
  return new ApiError('INVALID_PARAMETER_VALUE', message);
}
