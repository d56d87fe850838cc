import { ApiError, nearestName } from '../platform/index.ts';

const NAMES_SHOWN = 20;

/** The error for a column that a table does not have; names the nearest one, or else the columns that there are. */
export function unknownColumn(wanted: string, names: readonly string[], use?: string): ApiError {
  const nearest = nearestName(wanted, names);
  const shown = names.slice(0, NAMES_SHOWN).map((name) => JSON.stringify(name));
  const more = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : '';
  const remedy = nearest
    ? `did you mean ${JSON.stringify(nearest)}?`
    : `the columns are ${shown.join(', ')}${more}`;
  return new ApiError(
    'INVALID_PARAMETER_VALUE',
    `No column ${JSON.stringify(wanted)}${use ? ` (${use})` : ''}: ${remedy}`,
    nearest ? { column: wanted, nearest } : { column: wanted },
  );
}
