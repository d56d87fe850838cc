import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Judgement } from '../../delivery/index.ts';
import type { ClassValue } from '../../models/index.ts';
import { ApiError } from '../../platform/index.ts';
import { lookAlpha } from '../../statistics/index.ts';
import { durationMs, gatePolicySchema } from '../project/policy-schemas.ts';
import { trainingParameters } from '../project/project-schema.ts';
import type { BacktestRequest } from './backtest-request.ts';
import { lowerBound, type PlannedReplay } from './plan-replay.ts';
import type {
  ReplayedServing,
  ReplayedTraining,
  ReplayJudging,
  ReplayServing,
  ReplayTable,
  ReplayTraining,
} from './replay-tasks.ts';
import type { ReplayModel, ReplayWorkers } from './simulate-policy.ts';

const LEAST_TRAINING_SHARE = 0.5;
const SEED = 1;

/** Trains, judges and serves in the processes; what two policies ask alike is done once. */
export function createModelPool(
  request: BacktestRequest,
  parts: {
    table: ReplayTable;
    replay: PlannedReplay;
    folder: string;
    run: <T>(name: string, input: unknown) => Promise<T>;
  },
): { workers: ReplayWorkers; counts: () => { done: number; shared: number } } {
  const { config } = request;
  const { table, replay, folder, run } = parts;
  const gate = gatePolicySchema.parse(config.gate ?? {});
  const evaluateMs = durationMs(gate.evaluate);
  const windowMs = config.retrain?.window === undefined ? undefined : durationMs(config.retrain.window);
  const trained = new Map<string, Promise<ReplayModel | { failed: string }>>();
  const served = new Map<string, Promise<ReplayedServing>>();
  const judged = new Map<string, Promise<Judgement>>();
  let shared = 0;

  function once<T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
    const before = known.get(key);
    if (before) return before;
    const made = make();
    known.set(key, made);
    return made;
  }

  async function train(
    key: string,
    from: number,
    to: number,
    number: number,
  ): Promise<ReplayModel | { failed: string }> {
    const testFrom = Math.max(to - evaluateMs, Math.floor(from + LEAST_TRAINING_SHARE * (to - from)));
    const place = join(folder, `model-${number}`);
    await mkdir(place);
    const columns = new Set(table.schema.map(({ name }) => name));
    const { train: how, features, data } = config;
    const task: ReplayTraining = {
      folder: place,
      table,
      from,
      to,
      options: {
        name: request.model,
        ignore: (data.ignore ?? []).filter((column) => columns.has(column)),
        ...(features !== undefined && { features }),
        algorithm: how.algorithm,
        params: trainingParameters(how),
        seed: how.seed ?? SEED,
        codeVersion: request.codeVersion,
        testFrom,
      },
    };
    try {
      return { key, number, testFrom, to, trained: await run<ReplayedTraining>('replay-train', task) };
    } catch (error) {
      // Rows that cannot be learned from stop a retraining on a platform too, and nothing else.
      if (error instanceof ApiError && error.code === 'INVALID_PARAMETER_VALUE')
        return { failed: error.message };
      throw error;
    }
  }

  const workers: ReplayWorkers = {
    train(at, isFirst) {
      const to = isFirst ? at : at - replay.labelDelayMs;
      const oldest = replay.times[0] as number;
      const from = windowMs === undefined ? oldest : Math.max(oldest, to - windowMs);
      const key = `${from} ${to}`;
      if (trained.has(key)) shared++;
      return once(trained, key, () => train(key, from, to, trained.size + 1));
    },

    judge(challenger, champion) {
      const input: ReplayJudging = {
        challengerPath: challenger.trained.modelPath,
        championPath: champion.trained.modelPath,
        heldOut: { path: challenger.trained.heldOutPath, sha256: challenger.trained.heldOutSha256 },
        question: {
          ...(gate.metric !== undefined && { metric: gate.metric }),
          alpha: lookAlpha(gate.alpha, 1),
          ...(gate.nonInferiority !== undefined && { margin: gate.nonInferiority }),
          ...(gate.atLeast !== undefined && { atLeast: gate.atLeast }),
          slices: gate.slices,
          ...(gate.cluster !== undefined && { cluster: gate.cluster }),
        },
      };
      return once(judged, `${challenger.key}|${champion.key}`, () => run<Judgement>('replay-judge', input));
    },

    serve(model) {
      return once(served, model.key, async () => {
        const firstRow = lowerBound(replay.times, model.testFrom);
        const windows = replay.windows.map((window, index) => ({ ...window, index }));
        const task: ReplayServing = {
          modelPath: model.trained.modelPath,
          referencePath: model.trained.referencePath,
          table,
          firstRow,
          windows: windows.filter(({ from, index }) => from >= model.to && index >= replay.firstWindow),
        };
        return inOrderOf(replay.classValues, await run<ReplayedServing>('replay-serve', task));
      });
    },
  };
  return { workers, counts: () => ({ done: trained.size, shared }) };
}

/** A window may lack a class: then its model gives it the probability 0. */
function inOrderOf(classes: readonly ClassValue[] | undefined, serving: ReplayedServing): ReplayedServing {
  const own = serving.classes;
  if (classes === undefined || own === undefined) return serving;
  const place = own.map((each) => classes.findIndex((other) => String(other) === String(each)));
  if (place.length === classes.length && place.every((at, index) => at === index)) return serving;
  const rows = serving.answers.length / own.length;
  const answers = new Float32Array(rows * classes.length);
  for (let row = 0; row < rows; row++) {
    for (const [from, to] of place.entries()) {
      answers[row * classes.length + to] = serving.answers[row * own.length + from] as number;
    }
  }
  return { ...serving, answers };
}
