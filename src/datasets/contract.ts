import { z } from 'zod';
import type { Dataset, DatasetSource, DatasetVersion } from './dataset-tables.ts';

const columnType = z.enum(['double', 'long', 'boolean', 'string', 'datetime']);

const columnSchema = z.object({
  name: z.string(),
  type: columnType,
  nullable: z.boolean(),
  role: z.enum(['id', 'time']).optional(),
});

const numberOrNull = z.number().nullable();

export const statisticsSchema = z.object({
  rows: z.number().int(),
  columns: z.array(
    z.object({
      name: z.string(),
      count: z.number().int(),
      missing: z.number().int(),
      distinct: z.number().int(),
      min: z.union([z.number(), z.string()]).nullable(),
      max: z.union([z.number(), z.string()]).nullable(),
      mean: numberOrNull,
      standard_deviation: numberOrNull,
      quantiles: z
        .object({ p05: z.number(), p25: z.number(), p50: z.number(), p75: z.number(), p95: z.number() })
        .nullable(),
      top: z.array(z.object({ value: z.string(), count: z.number().int() })),
    }),
  ),
});

const sourceSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('file'), name: z.string(), sha256: z.string(), size_bytes: z.number().int() }),
  z.object({ kind: z.literal('rows'), base_version: z.number().int(), added_rows: z.number().int() }),
  z.object({
    kind: z.literal('window'),
    base_name: z.string(),
    base_version: z.number().int(),
    logged_rows: z.number().int().describe('labelled rows of the prediction log among them'),
    from: z.number().int().optional().describe('start of the window, ms since the epoch'),
    to: z.number().int().optional().describe('its end, not in it'),
    run: z.string().describe('the job that put it together'),
  }),
]);

const summarySchema = z.object({
  name: z.string(),
  version: z.number().int(),
  digest: z.string().describe('sha256 of the rows and the schema; equal content is the same version'),
  rows: z.number().int(),
  size_bytes: z.number().int(),
  schema: z.array(columnSchema),
  source: sourceSchema,
  notes: z.array(z.string()),
  created_at: z.number().int(),
  created_by: z.string(),
});

export const versionSchema = summarySchema.extend({ statistics: statisticsSchema });

export const addedVersionSchema = versionSchema.extend({
  created: z.boolean().describe('false: the same content was there before'),
});

export const datasetListSchema = z.object({
  datasets: z.array(
    z.object({
      name: z.string(),
      versions: z.number().int(),
      created_at: z.number().int(),
      updated_at: z.number().int(),
      latest_version: summarySchema,
    }),
  ),
});

export const datasetSchema = z.object({ name: z.string(), versions: z.array(summarySchema) });

export const nameParams = z.object({
  name: z
    .string()
    .regex(
      /^[\p{L}\p{N}][\p{L}\p{N}._-]{0,127}$/u,
      'must be up to 128 letters, digits, dots, dashes and underscores, beginning with a letter or a digit',
    ),
});

export const versionParams = nameParams.extend({
  version: z.union([z.literal('latest'), z.coerce.number().int().min(1)]),
});

export const uploadQuery = z.object({
  filename: z.string().max(255).optional(),
  format: z
    .enum(['csv', 'parquet', 'jsonl'])
    .optional()
    .describe('told from the name and the content otherwise'),
  id: z.string().optional().describe('the column that names the entity'),
  time: z.string().optional().describe('the column that says when a row happened'),
  text: z
    .union([z.string(), z.array(z.string())])
    .optional()
    .describe('a column that is text whatever its values look like; may be given several times'),
});

export const addRowsBody = z.object({
  rows: z
    .array(z.unknown().meta({ type: 'object', additionalProperties: true })) // z.record drops a column named __proto__
    .min(1, { error: 'there must be at least one row' })
    .max(100_000, { error: 'at most 100,000 rows go into one request' })
    .describe('objects of column names and values; datetimes as ISO text or milliseconds'),
  idempotency_key: z.string().min(1).max(200).optional().describe('rows with the same key are added once'),
});

export function toWireSummary(version: DatasetVersion): z.input<typeof summarySchema> {
  const { source } = version;
  return {
    name: version.name,
    version: version.version,
    digest: version.digest,
    rows: version.rows,
    size_bytes: version.sizeBytes,
    schema: version.schema,
    source: toWireSource(source),
    notes: version.notes,
    created_at: version.createdAt,
    created_by: version.createdBy,
  };
}

function toWireSource(source: DatasetSource): z.input<typeof sourceSchema> {
  switch (source.kind) {
    case 'file':
      return { kind: 'file', name: source.name, sha256: source.sha256, size_bytes: source.sizeBytes };
    case 'rows':
      return { kind: 'rows', base_version: source.baseVersion, added_rows: source.addedRows };
    case 'window':
      return {
        kind: 'window',
        base_name: source.base.name,
        base_version: source.base.version,
        logged_rows: source.loggedRows,
        ...(source.from !== undefined && { from: source.from }),
        ...(source.to !== undefined && { to: source.to }),
        run: source.run,
      };
  }
}

export function toWireStatistics({ statistics }: DatasetVersion): z.input<typeof statisticsSchema> {
  return {
    rows: statistics.rows,
    columns: statistics.columns.map(({ standardDeviation, ...column }) => ({
      ...column,
      standard_deviation: standardDeviation,
    })),
  };
}

export const toWireVersion = (version: DatasetVersion): z.input<typeof versionSchema> => ({
  ...toWireSummary(version),
  statistics: toWireStatistics(version),
});

export const toWireDataset = (dataset: Dataset) => ({
  name: dataset.name,
  versions: dataset.versions,
  created_at: dataset.createdAt,
  updated_at: dataset.updatedAt,
  latest_version: toWireSummary(dataset.latestVersion),
});
