import type { DatasetColumn, DerivedColumns } from '../datasets/index.ts';
import { deriveRelation, type Feature, parseFeatures } from '../features/index.ts';

const COLUMN_TYPES = { number: 'double', boolean: 'boolean', text: 'string' } as const;

/**
 * The derived columns that expressions say, and their expressions read.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for an expression that cannot be read
 */
export function planDerived(
  expressions: Readonly<Record<string, string>>,
  schema: readonly DatasetColumn[],
): { features: Feature[]; derived?: DerivedColumns } {
  const features = parseFeatures(expressions, schema);
  if (features.length === 0) return { features };
  return {
    features,
    derived: {
      columns: features.map(({ name, type, expression, columns }) => ({
        name,
        type: COLUMN_TYPES[type],
        expression,
        uses: columns,
      })),
      relation: (from) => deriveRelation(features, from),
    },
  };
}
