import type { ColumnType, Signature } from '../../models/index.ts';
import { ApiError } from '../../platform/index.ts';
import type { LogCatalog } from './log-catalog.ts';
import type { Answer, ModelView } from './log-messages.ts';
import type { ReadSignature } from './read-signatures.ts';

const COLUMN_TYPES: readonly ColumnType[] = ['double', 'long', 'boolean', 'string', 'datetime'];

/** What is known of models, for the views that SQL names and for what their answers are measured by. */
export function createModelDescriptions({
  catalog,
  modelOf,
}: {
  catalog: LogCatalog;
  modelOf: ReadSignature;
}) {
  async function viewOf(model: string): Promise<ModelView | undefined> {
    const logged = catalog.models().get(model);
    const signature = await modelOf(model);
    if (!logged && !signature) return undefined;
    const known = signature?.columns.map(({ name, type }) => ({ name, type })) ?? [];
    const names = new Set(known.map(({ name }) => name));
    const others = (logged ?? []).filter((name) => !names.has(name)).sort();
    const answer = toAnswer(signature);
    return {
      model,
      columns: [...known, ...others.map((name) => ({ name, type: 'string' as ColumnType }))],
      ...(answer && { answer }),
    };
  }

  return {
    viewOf,

    /** Of every model that has rows, in the order of their names. */
    async allViews(): Promise<ModelView[]> {
      const views = await Promise.all([...catalog.models().keys()].sort().map(viewOf));
      return views.filter((view) => view !== undefined);
    },

    /** Views cost time: only of the models whose names the SQL holds, and of `more`. */
    async viewsFor(sql: string, more: readonly string[]): Promise<ModelView[]> {
      const text = sql.toLowerCase();
      const named = [...catalog.models().keys()].filter((model) => text.includes(model.toLowerCase()));
      const views = await Promise.all([...new Set([...named, ...more])].map(viewOf));
      return views.filter((view) => view !== undefined);
    },

    /** What a version answers; a version that is gone answered as its model does. */
    async answerOf(model: string, version?: string): Promise<Answer | undefined> {
      const own = await modelOf(model, version);
      return toAnswer(own ?? (version === undefined ? undefined : await modelOf(model)));
    },

    /** The type of a target that no schema declares. */
    async targetTypeOf(model: string): Promise<ColumnType> {
      const answer = toAnswer(await modelOf(model));
      if (answer === undefined) return 'string';
      if (answer.task === 'regression') return 'double';
      if (answer.classes.every((value) => typeof value === 'boolean')) return 'boolean';
      if (answer.classes.every((value) => Number.isInteger(value))) return 'long';
      return answer.classes.every((value) => typeof value === 'number') ? 'double' : 'string';
    },
  };
}

export type ModelDescriptions = ReturnType<typeof createModelDescriptions>;

function toAnswer(signature: Signature | undefined): Answer | undefined {
  if (!signature) return undefined;
  const { output } = signature;
  return output.task === 'regression'
    ? { task: 'regression' }
    : { task: output.task, classes: output.classes };
}

/** @throws ApiError INVALID_PARAMETER_VALUE when the type is none of a column. */
export function checkColumn({ name, type }: { name: string; type: string }): {
  name: string;
  type: ColumnType;
} {
  const known = COLUMN_TYPES.find((each) => each === type);
  if (known) return { name, type: known };
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    `Column ${JSON.stringify(name)} has type ${JSON.stringify(type)}; types are ${COLUMN_TYPES.join(', ')}`,
  );
}
