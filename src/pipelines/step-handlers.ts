import {
  type ComposedTable,
  type ComposeRequest,
  composeTable,
  type DatasetColumn,
  planTarget,
} from '../datasets/index.ts';
import type { HandlerContext } from '../jobs/index.ts';
import type { TrainedFolder, TrainIntoOptions } from '../training/index.ts';
import { replayHandlers } from './backtest/replay-handlers.ts';

export interface PlannedTarget {
  targetName: string;
  targetColumns: string[];
}

export type ComposeTask = Omit<ComposeRequest, 'signal'>;

export interface TrainTask {
  /** Made and removed by whoever asks. */
  folder: string;
  options: Omit<TrainIntoOptions, 'signal' | 'onStage' | 'onProgress' | 'clock'>;
}

export type TrainedResult = Pick<
  TrainedFolder,
  | 'files'
  | 'metrics'
  | 'params'
  | 'tags'
  | 'description'
  | 'course'
  | 'trainedFrom'
  | 'trainedTo'
  | 'heldOutFrom'
  | 'heldOutTo'
  | 'heldOutRows'
  | 'warnings'
>;

/** More points of a course than this are thinned: nobody sees them in a chart, and a step's result has its limit. */
const COURSE_POINTS = 500;

/** What a step process does; its libraries are loaded by the first task that needs them. */
export const stepHandlers = {
  ...replayHandlers,

  'plan-target': async (input: {
    parquetPath: string;
    schema: readonly DatasetColumn[];
    target: string;
  }): Promise<PlannedTarget> => {
    const { targetName, targetColumns } = await planTarget(input);
    return { targetName, targetColumns };
  },

  compose: (input: ComposeTask, { signal }: HandlerContext): Promise<ComposedTable> =>
    composeTable({ ...input, signal }),

  train: async (
    { folder, options }: TrainTask,
    { signal, log, progress }: HandlerContext,
  ): Promise<TrainedResult> => {
    const { trainInto } = await import('../training/index.ts');
    let told: string | undefined;
    const trained = await trainInto(folder, {
      ...options,
      signal,
      onStage({ stage }) {
        if (stage !== told) log(stage);
        told = stage;
      },
      onProgress: ({ iteration, total, metric, value }) =>
        progress(iteration / total, `${iteration}/${total} ${metric} ${value.toFixed(5)}`),
    });
    const {
      modelPath: _model,
      heldOutPath: _rows,
      referencePath: _reference,
      reportPath: _report,
      ...kept
    } = trained;
    const every = Math.ceil(kept.course.length / COURSE_POINTS);
    return {
      ...kept,
      course: kept.course.filter((_, at) => at % every === 0 || at === kept.course.length - 1),
    };
  },
};
