import { expect, it } from 'vitest';
import { describeDatabases, silentLogger } from '../../../tests/support/index.ts';
import { registerWatched } from '../../../tests/support/watched-model.ts';
import { createModelVersionStore } from '../../registry/index.ts';
import { monitorPolicySchema } from '../monitor-policy.ts';
import { createBaselineReader } from './read-baseline.ts';
import type { EvaluationRequest } from './score-evaluation.ts';

describeDatabases('what a version reached on its evaluation set', (openDatabase) => {
  it('is computed once, and anew for windows of another length', async () => {
    const database = await openDatabase();
    await registerWatched(database, 'flights', 1);
    const version = {
      ...(await createModelVersionStore(database.reader).get('flights', 1)),
      heldoutSha256: 'x',
    };
    const asked: EvaluationRequest[] = [];
    const reader = createBaselineReader({
      database,
      logger: silentLogger,
      files: { modelPath: async () => 'model.onnx', heldOutPath: async () => 'heldout.parquet' },
      score: async (request) => {
        asked.push(request);
        return [{ from: 0, to: 1, rows: 10, labelled: 10, value: asked.length / 10, loss: 1, baseline: 1 }];
      },
    });
    const daily = monitorPolicySchema.parse({});
    expect(await reader.baselineOf(version, 'roc_auc', daily)).toEqual([0.1]);
    expect(await reader.baselineOf(version, 'roc_auc', daily)).toEqual([0.1]);
    const weekly = monitorPolicySchema.parse({ window: { every: '7d', rows: 1000 } });
    expect(await reader.baselineOf(version, 'roc_auc', weekly)).toEqual([0.2]);
    expect(await reader.baselineOf(version, 'roc_auc', weekly)).toEqual([0.2]);
    expect(asked.map(({ everyMs, rows }) => [everyMs / 86_400_000, rows])).toEqual([
      [1, 500],
      [7, 1000],
    ]);
  });
});
