import { toJSONSchema, type ZodType } from 'zod';
import { type KnownRoute, openApiPath } from './route-table.ts';

type Json = Record<string, any>;

/**
 * The OpenAPI 3.1 document of the routes. Zod schemas with `.meta({ id })` become named components. Made at the first
 * request for it, because a start should not pay for it.
 */
export function describeApi(
  routes: readonly KnownRoute[],
  info: { title: string; version: string; description?: string },
): Json {
  const components = createComponents();
  const paths: Record<string, Json> = {};
  const operationIds = new Map<string, number>();

  for (const { method, url, schema } of routes) {
    if (schema.hide || method === 'HEAD' || method === 'OPTIONS') continue;
    const path = openApiPath(url);
    const parameters = [
      ...describeParameters(schema.params as ZodType | undefined, 'path', pathNames(path), components),
      ...describeParameters(schema.querystring as ZodType | undefined, 'query', [], components),
      ...describeParameters(schema.headers as ZodType | undefined, 'header', [], components),
    ];
    const operation: Json = {
      operationId: uniqueId(operationIds, schema.operationId ?? operationId(method, path)),
      ...pick(schema as Json, ['summary', 'description', 'tags', 'deprecated', 'externalDocs', 'security']),
      ...(parameters.length > 0 ? { parameters } : {}),
      ...(schema.body ? { requestBody: describeBody(schema, components) } : {}),
      responses: describeResponses((schema.response ?? {}) as Json, components),
    };
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation };
  }

  return {
    openapi: '3.1.0',
    info: {
      title: info.title,
      version: info.version,
      ...(info.description ? { description: info.description } : {}),
    },
    paths,
    components: {
      schemas: { Error: ERROR_SCHEMA, ...components.schemas },
      responses: {
        Error: {
          description:
            'The request failed; `error_code` says how, `message` what is wrong and what would be right.',
          content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
        },
      },
    },
  };
}

const ERROR_SCHEMA = {
  type: 'object',
  required: ['error_code', 'message', 'request_id'],
  properties: {
    error_code: { type: 'string' },
    message: { type: 'string' },
    request_id: { type: 'string' },
    details: { type: 'object' },
  },
};

function createComponents() {
  const schemas: Record<string, Json> = {};
  /** What each component was made from, with all that it refers to. */
  const sources = new Map<string, string>();

  /** The name of a definition: its own, unless another one has that (often its form in the other direction). */
  function nameFor(name: string, source: string, io: 'input' | 'output'): string {
    const wanted = name.startsWith('__') ? 'Recursive' : name.replace(/[^A-Za-z0-9._-]/g, '_');
    const candidates = [wanted, io === 'input' ? `${wanted}Input` : `${wanted}Output`];
    for (let i = 2; ; i++) {
      const candidate = candidates.shift() ?? `${wanted}${i}`;
      const known = sources.get(candidate);
      if (known === undefined) sources.set(candidate, source);
      if (known === undefined || known === source) return candidate;
    }
  }

  function describe(schema: ZodType, io: 'input' | 'output'): Json {
    const {
      $schema: _dialect,
      $defs,
      ...described
    } = toJSONSchema(schema, {
      target: 'draft-2020-12',
      io,
      unrepresentable: 'any',
      override: ({ zodSchema, jsonSchema }) => {
        if (zodSchema._zod.def.type === 'date')
          Object.assign(jsonSchema, { type: 'string', format: 'date-time' });
      },
    }) as Json;
    const definitions = ($defs ?? {}) as Record<string, Json>;
    let root: Json = described;
    // A schema that holds itself needs a name, because `#` is the whole document here.
    if (JSON.stringify(root).includes('"$ref":"#"')) root['id'] ??= '__root';
    const id = root['id'] as string | undefined;
    if (id !== undefined) {
      root = JSON.parse(JSON.stringify(root).replaceAll('"$ref":"#"', `"$ref":"#/$defs/${id}"`));
      definitions[id] = root;
    }

    const names = new Map<string, string>();
    for (const name of Object.keys(definitions))
      names.set(name, nameFor(name, closure(name, definitions), io));
    const nameOf = (name: string) => names.get(name) ?? name;
    for (const [name, definition] of Object.entries(definitions)) {
      schemas[nameOf(name)] ??= rewritten(definition, nameOf);
    }
    return id === undefined ? rewritten(root, nameOf) : { $ref: `#/components/schemas/${nameOf(id)}` };
  }

  return { schemas, describe };
}

/** A definition and everything that it refers to, as one text. */
function closure(name: string, definitions: Record<string, Json>): string {
  const found = new Set([name]);
  let text = '';
  for (const at of found) {
    const definition = JSON.stringify(definitions[at]);
    text += definition;
    for (const [, next] of definition.matchAll(/"#\/\$defs\/([^"]+)"/g)) found.add(next as string);
  }
  return text;
}

/** A copy without zod's `id`, whose references point at the components. */
function rewritten(schema: Json, nameOf: (name: string) => string): Json {
  const copy: Json = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'id' || key === '$schema') continue;
    if (key === '$ref')
      copy[key] = String(value).replace(
        /^#\/\$defs\/(.+)$/,
        (_, name) => `#/components/schemas/${nameOf(name)}`,
      );
    else if (['properties', 'patternProperties'].includes(key)) copy[key] = mapValues(value, nameOf);
    else if (Array.isArray(value) && ['anyOf', 'allOf', 'oneOf', 'prefixItems'].includes(key)) {
      copy[key] = value.map((item) => rewritten(item, nameOf));
    } else if (['items', 'additionalProperties', 'not', 'propertyNames'].includes(key) && isObject(value)) {
      copy[key] = rewritten(value, nameOf);
    } else copy[key] = value;
  }
  return copy;
}

function mapValues(schemas: Json, nameOf: (name: string) => string): Json {
  return Object.fromEntries(Object.entries(schemas).map(([key, value]) => [key, rewritten(value, nameOf)]));
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null;
}

type Components = ReturnType<typeof createComponents>;

function describeParameters(
  schema: ZodType | undefined,
  place: 'path' | 'query' | 'header',
  names: readonly string[],
  components: Components,
): Json[] {
  const described = schema === undefined ? {} : resolved(components.describe(schema, 'input'), components);
  const properties = (described['properties'] ?? {}) as Json;
  const required = new Set((described['required'] ?? []) as string[]);
  const all = [...Object.keys(properties), ...names.filter((name) => !(name in properties))];
  return all
    .filter((name) => place !== 'path' || names.includes(name))
    .map((name) => {
      const { description, ...rest } = (properties[name] ?? { type: 'string' }) as Json;
      return {
        name,
        in: place,
        required: place === 'path' || required.has(name),
        ...(description === undefined ? {} : { description }),
        schema: rest,
      };
    });
}

function resolved(schema: Json, components: Components): Json {
  const name = /^#\/components\/schemas\/(.+)$/.exec(schema['$ref'] ?? '')?.[1];
  return name === undefined ? schema : (components.schemas[name] ?? schema);
}

function describeBody(schema: Json, components: Components): Json {
  const types = (schema['consumes'] ?? ['application/json']) as string[];
  const described = components.describe(schema['body'], 'input');
  return { required: true, content: Object.fromEntries(types.map((type) => [type, { schema: described }])) };
}

function describeResponses(responses: Json, components: Components): Json {
  const described: Json = {};
  for (const [status, schema] of Object.entries(responses)) {
    const key = /^\dxx$/i.test(status) ? status.toUpperCase() : status;
    if (isObject(schema['content'])) {
      const content = Object.entries(schema['content'] as Json).map(([type, { schema: inner }]) => [
        type,
        { schema: components.describe(inner, 'output') },
      ]);
      described[key] = { description: schema['description'] ?? 'Done', content: Object.fromEntries(content) };
      continue;
    }
    const { description = 'Done', ...inner } = components.describe(schema, 'output');
    const empty =
      ['null', 'undefined', 'void'].includes(schema._zod.def.type) || key === '204' || key === '304';
    described[key] = empty
      ? { description }
      : { description, content: { 'application/json': { schema: inner } } };
  }
  if (Object.keys(described).length === 0) described['200'] = { description: 'Done' };
  described['default'] ??= { $ref: '#/components/responses/Error' };
  return described;
}

function pathNames(path: string): string[] {
  return [...path.matchAll(/\{([^}]+)\}/g)].map((match) => match[1] as string);
}

function operationId(method: string, path: string): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
  return [method.toLowerCase(), ...words.map((word) => word[0]?.toUpperCase() + word.slice(1))].join('');
}

function uniqueId(used: Map<string, number>, id: string): string {
  const count = (used.get(id) ?? 0) + 1;
  used.set(id, count);
  return count === 1 ? id : `${id}${count}`;
}

function pick(from: Json, keys: readonly string[]): Json {
  return Object.fromEntries(keys.filter((key) => from[key] !== undefined).map((key) => [key, from[key]]));
}
