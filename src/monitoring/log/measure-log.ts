import { ApiError } from '../../platform/index.ts';
import type { Variant } from '../../serving/contract.ts';
import { checkColumn, type ModelDescriptions } from './describe-models.ts';
import type { AskLog } from './log-client.ts';
import type {
  Answer,
  ComparedVariants,
  ExportedRows,
  MeasuredWindow,
  RowFilter,
  Window,
} from './log-messages.ts';

/** Which labelled rows are wanted as a table, and how. */
export interface LabelledRequest {
  model: string;
  from?: number;
  to?: number;
  version?: string;
  variants?: Variant[];
  schema: readonly { name: string; type: string }[];
  targetName: string;
  outPath: string;
  /** Of more rows a sample is written: the same share of every day. */
  maxRows?: number;
  signal?: AbortSignal;
}

/** What the other slices ask of the log: labelled rows, and how well versions answered. */
export function createMeasurements({ ask, models }: { ask: AskLog; models: ModelDescriptions }) {
  return {
    /**
     * Writes labelled predictions as a Parquet table: columns, target, `__time`, `__entity`. Of more than `maxRows` those whose
     * prediction ids have the lowest hashes: the same share of every day, and the same rows each time.
     */
    async exportLabelled(request: LabelledRequest): Promise<ExportedRows> {
      const { model, version, schema, targetName, outPath, maxRows, signal, ...filter } = request;
      const columns = schema.map(checkColumn);
      const declared = columns.find(({ name }) => name === targetName)?.type;
      return ask(
        'export',
        {
          filter: rowFilter({ model, version, ...filter }),
          schema: columns,
          targetName,
          targetType: declared ?? (await models.targetTypeOf(model)),
          outPath,
          ...(maxRows !== undefined && { maxRows }),
        },
        signal ? { signal } : {},
      );
    },

    /** Measures windows of event time, oldest labels included; without `variants` the answers, not the shadows. */
    async measureWindows(request: {
      model: string;
      version?: string;
      variants?: Variant[];
      metric: string;
      windows: readonly Window[];
      classes?: Classes;
      mostRows?: number;
      signal?: AbortSignal;
    }): Promise<MeasuredWindow[]> {
      const { model, version, variants, metric, windows, classes, mostRows, signal } = request;
      const answer: Answer | undefined = classes
        ? { task: classes.length === 2 ? 'binary' : 'multiclass', classes }
        : await models.answerOf(model, version);
      return ask(
        'measure',
        {
          filter: rowFilter({ model, version, variants }),
          metric,
          windows: windows.map(({ from, to }) => ({ from, to })),
          ...(answer && { answer }),
          ...(mostRows !== undefined && { mostRows }),
        },
        signal ? { signal } : {},
      );
    },

    /** Two versions side by side, window by window of event time, and as pairs where one was the other's shadow. */
    async compareVariants(request: {
      model: string;
      from: number;
      to: number;
      windowMs: number;
      champion: string;
      candidate: string;
      signal?: AbortSignal;
    }): Promise<ComparedVariants> {
      const { signal, ...input } = request;
      if (!(input.windowMs > 0) || (input.to - input.from) / input.windowMs > 10_000) {
        throw new ApiError(
          'INVALID_PARAMETER_VALUE',
          `Windows of ${input.windowMs} ms from ${input.from} to ${input.to} are no windows, or more than 10000`,
        );
      }
      const answer = await models.answerOf(input.model, input.champion);
      return ask('compare', { ...input, ...(answer && { answer }) }, signal ? { signal } : {});
    },
  };
}

type Classes = readonly (string | number | boolean)[];
const ANSWERS: Variant[] = ['champion', 'canary', 'previous'];

function rowFilter(given: {
  model: string;
  from?: number | undefined;
  to?: number | undefined;
  version?: string | undefined;
  variants?: Variant[] | undefined;
}): RowFilter {
  const { model, from, to, version, variants = ANSWERS } = given;
  return {
    model,
    variants,
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(version !== undefined && { versions: [version] }),
  };
}
