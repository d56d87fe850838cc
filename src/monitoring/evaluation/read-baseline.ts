import type { Database, Logger } from '../../platform/index.ts';
import type { ModelVersion } from '../../registry/index.ts';
import { keepBaseline } from '../drift-commands.ts';
import { type MonitorPolicy, type PerformanceMetric, policyTimes, windowRule } from '../monitor-policy.ts';
import type { DriftDb } from '../tables.ts';
import { type MeasuredWindow, skillOf } from '../windows/measure-performance.ts';
import type { EvaluationRequest } from './score-evaluation.ts';

export interface BaselineDeps {
  database: Database;
  logger: Logger;
  files: {
    modelPath(version: ModelVersion): Promise<string>;
    heldOutPath(sha256: string): Promise<string>;
  };
  score: (request: EvaluationRequest) => Promise<MeasuredWindow[]>;
}

/**
 * What versions reached on the windows of their own evaluation sets, so that a champion's performance can be tested
 * from its first day on. It is computed once and kept, and anew when the policy makes other windows.
 */
export function createBaselineReader({ database, logger, files, score }: BaselineDeps) {
  let isStopped = false;

  async function compute(
    version: ModelVersion,
    metric: PerformanceMetric,
    policy: MonitorPolicy,
  ): Promise<number[]> {
    if (version.heldoutSha256 === undefined) return [];
    const windows = await score({
      modelPath: await files.modelPath(version),
      heldOutPath: await files.heldOutPath(version.heldoutSha256),
      metric,
      everyMs: policyTimes(policy).everyMs,
      rows: policy.window.rows,
    });
    return windows.flatMap((window) => skillOf(metric, window) ?? []);
  }

  return {
    async baselineOf(
      version: ModelVersion,
      metric: PerformanceMetric,
      policy: MonitorPolicy,
    ): Promise<number[]> {
      const key = { model: version.name, version: String(version.version), metric };
      const rule = windowRule(policy);
      const known = await (database.reader as DriftDb)
        .selectFrom('monitor_baselines')
        .select('windows')
        .where('model', '=', key.model)
        .where('version', '=', key.version)
        .where('metric', '=', metric)
        .where('window_rule', '=', rule)
        .executeTakeFirst();
      if (known !== undefined) return JSON.parse(known.windows) as number[];
      let values: number[] = [];
      try {
        values = await compute(version, metric, policy);
      } catch (error) {
        if (isStopped) throw error;
        // A model that cannot be scored on its own evaluation set is watched by its first labelled windows.
        logger.warn(
          { err: error, model: version.name, version: version.version },
          'the evaluation set cannot be scored',
        );
      }
      await database.execute(keepBaseline, { ...key, windows: JSON.stringify(values), window_rule: rule });
      return values;
    },
    stop(): void {
      isStopped = true;
    },
  };
}
