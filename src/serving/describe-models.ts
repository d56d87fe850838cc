import type { InputColumn } from '../models/index.ts';
import type { ModelRoster } from './versions/model-roster.ts';
import type { ServedVersion } from './versions/served-version.ts';

type Json = Record<string, any>;

/**
 * Completes the OpenAPI document with the models that serve now: a path for each, with its columns, types, classes
 * and an example that can be sent as it is.
 */
export function describeModels(document: Json, roster: ModelRoster, defaultName: string | undefined): Json {
  for (const name of roster.names()) {
    const served = roster.find(name)?.champion;
    if (served === undefined) continue;
    const operation = structuredClone(document['paths']['/models/{name}/predict']['post']) as Json;
    operation['operationId'] = `predict_${name.replace(/[^A-Za-z0-9]+/g, '_')}`;
    operation['summary'] =
      `Predict ${served.facts.signature.output.target} with ${name}, version ${served.desired.version}`;
    operation['parameters'] = [];
    describePrediction(operation, served);
    document['paths'][`/models/${encodeURIComponent(name)}/predict`] = { post: operation };
    if (document['paths']['/models/{name}/feedback'] !== undefined)
      document['paths'][`/models/${encodeURIComponent(name)}/feedback`] = {
        post: describeFeedback(document, name, served),
      };
    if (name === defaultName) describePrediction(document['paths']['/predict']['post'], served);
  }
  return document;
}

function describePrediction(operation: Json, served: ServedVersion): void {
  const { signature, sample } = served.facts;
  const { columns, output } = signature;
  const row = {
    type: 'object',
    required: columns.map(({ name }) => name),
    properties: Object.fromEntries(columns.map((column) => [column.name, columnSchema(column)])),
  };
  const list = { type: 'array', minItems: columns.length, maxItems: columns.length };
  const timestamp = { type: ['string', 'number'], description: 'ISO 8601, or milliseconds since 1970' };
  operation['requestBody'] = {
    required: true,
    content: {
      'application/json': {
        schema: {
          anyOf: [
            {
              type: 'object',
              required: ['features'],
              properties: { features: { anyOf: [row, list] }, timestamp },
            },
            {
              type: 'object',
              required: ['instances'],
              properties: {
                instances: { type: 'array', minItems: 1, items: { anyOf: [row, list] } },
                timestamp,
              },
            },
            row,
          ],
        },
        example: { features: sample },
      },
    },
  };
  const prediction =
    output.task === 'regression'
      ? { type: 'number', description: output.target }
      : { enum: output.classes, description: output.target };
  const probabilities =
    output.task === 'regression'
      ? {}
      : {
          confidence: { type: 'number', minimum: 0, maximum: 1 },
          probabilities: {
            type: 'object',
            required: output.classes.map(String),
            properties: Object.fromEntries(
              output.classes.map((label) => [String(label), { type: 'number', minimum: 0, maximum: 1 }]),
            ),
          },
        };
  const answer = {
    type: 'object',
    required: ['prediction_id', 'prediction', 'model_version', 'variant', 'inference_time_ms'],
    properties: {
      prediction_id: { type: 'string', format: 'uuid' },
      prediction,
      ...probabilities,
      model_version: { type: 'string' },
      variant: { enum: ['champion', 'canary', 'previous'] },
      inference_time_ms: { type: 'number' },
    },
  };
  const list200 = {
    type: 'object',
    required: ['predictions'],
    properties: { predictions: { type: 'array', items: answer } },
  };
  operation['responses']['200'] = {
    description: 'The prediction, or `predictions` where the request had `instances`',
    content: { 'application/json': { schema: { anyOf: [answer, list200] } } },
  };
}

function describeFeedback(document: Json, name: string, served: ServedVersion): Json {
  const operation = structuredClone(document['paths']['/models/{name}/feedback']['post']) as Json;
  const { output } = served.facts.signature;
  operation['operationId'] = `feedback_${name.replace(/[^A-Za-z0-9]+/g, '_')}`;
  operation['summary'] = `The truth about predictions of ${output.target} by ${name}`;
  operation['parameters'] = [];
  const label = output.task === 'regression' ? { type: 'number' } : { enum: output.classes };
  const one = {
    type: 'object',
    required: ['prediction_id', 'label'],
    properties: {
      prediction_id: { type: 'string' },
      label: { ...label, description: output.target },
      timestamp: { type: ['string', 'number'], description: 'ISO 8601, or milliseconds since 1970' },
    },
  };
  operation['requestBody'] = {
    required: true,
    content: { 'application/json': { schema: { anyOf: [one, { type: 'array', minItems: 1, items: one }] } } },
  };
  return operation;
}

function columnSchema({ type, nullable, categories }: InputColumn): Json {
  const [base, format] = JSON_TYPES[type];
  const description =
    categories === undefined
      ? undefined
      : `Trained on: ${categories.slice(0, 50).join(', ')}${categories.length > 50 ? ', …' : ''}. Other text is accepted`;
  return {
    type: nullable ? [base, 'null'] : base,
    ...(format === undefined ? {} : { format }),
    ...(description === undefined ? {} : { description, examples: categories?.slice(0, 5) }),
  };
}

const JSON_TYPES: Record<InputColumn['type'], [string, string?]> = {
  double: ['number'],
  long: ['integer'],
  boolean: ['boolean'],
  string: ['string'],
  datetime: ['string', 'date-time'],
};
