import type { ZodType } from 'zod';

/** A key that the schema at its place does not have. */
export interface UnknownKey {
  path: (string | number)[];
  known: string[];
}

interface SchemaDef {
  type: string;
  shape?: Record<string, ZodType>;
  catchall?: ZodType;
  innerType?: ZodType;
  in?: ZodType;
  element?: ZodType;
  valueType?: ZodType;
  options?: ZodType[];
  discriminator?: string;
  values?: unknown[];
}

/** Keys of `value` that `schema` does not name, however strict the schema itself is. */
export function findUnknownKeys(
  schema: ZodType,
  value: unknown,
  path: (string | number)[] = [],
): UnknownKey[] {
  const def = objectDefOf(schema, value);
  if (Array.isArray(value)) {
    const { element } = def;
    return element === undefined
      ? []
      : value.flatMap((item, index) => findUnknownKeys(element, item, [...path, index]));
  }
  if (!isObject(value)) return [];
  const { valueType, shape } = def;
  if (valueType !== undefined) {
    return Object.entries(value).flatMap(([key, item]) => findUnknownKeys(valueType, item, [...path, key]));
  }
  if (shape === undefined) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const inner = Object.hasOwn(shape, key) ? shape[key] : undefined;
    if (inner !== undefined) return findUnknownKeys(inner, item, [...path, key]);
    return defOf(def.catchall)?.type === 'unknown'
      ? []
      : [{ path: [...path, key], known: Object.keys(shape) }];
  });
}

/** The schema at a path, with its description; undefined where there is none. */
export function schemaAt(schema: ZodType, path: readonly PropertyKey[], value: unknown): ZodType | undefined {
  const [key, ...rest] = path;
  if (key === undefined) return schema;
  const def = objectDefOf(schema, value);
  const inner = def.shape?.[String(key)] ?? def.valueType ?? def.element;
  const item =
    isObject(value) || Array.isArray(value) ? (value as Record<PropertyKey, unknown>)[key] : undefined;
  return inner && schemaAt(inner, rest, item);
}

/** What `.describe()` said of a schema, or of what it wraps. */
export function descriptionOf(schema: ZodType | undefined): string | undefined {
  for (let at = schema; at !== undefined; at = defOf(at)?.innerType ?? defOf(at)?.in) {
    if (at.description !== undefined) return at.description;
  }
  return undefined;
}

/** Of a union the option that `value` is meant for: by its discriminator, else the only one of its kind. */
function objectDefOf(schema: ZodType, value: unknown): SchemaDef {
  const def = unwrapped(schema);
  if (def.options === undefined) return def;
  const options = def.options.map(unwrapped);
  if (def.discriminator !== undefined && isObject(value)) {
    const wanted = value[def.discriminator];
    const chosen = options.find((option) =>
      defOf(option.shape?.[def.discriminator as string])?.values?.includes(wanted),
    );
    return chosen ?? { type: 'object', shape: Object.assign({}, ...options.map(({ shape }) => shape)) };
  }
  const fitting = options.filter((option) =>
    Array.isArray(value) ? option.element !== undefined : (option.shape ?? option.valueType) !== undefined,
  );
  return fitting.length === 1 && fitting[0] ? fitting[0] : { type: 'unknown' };
}

function unwrapped(schema: ZodType): SchemaDef {
  let at = schema;
  for (;;) {
    const def = defOf(at) as SchemaDef;
    const inner = def.innerType ?? def.in;
    if (inner === undefined) return def;
    at = inner;
  }
}

const defOf = (schema: ZodType | undefined) => schema?._zod.def as SchemaDef | undefined;

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
