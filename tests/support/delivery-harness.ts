import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InjectOptions } from 'fastify';
import { ingestFile } from '../../src/datasets/index.ts';
import {
  type Delivery,
  type DeliveryDeps,
  type Judge,
  judgeChallenger,
  type VariantCounts,
} from '../../src/delivery/index.ts';
import type { App, Database } from '../../src/platform/index.ts';
import type { Variant } from '../../src/serving/contract.ts';
import { createControlPlaneApp } from './control-plane-app.ts';
import { fixedClock } from './fixed-clock.ts';
import { rememberJudgements } from './remember-judgements.ts';
import { tempDir } from './temp-dir.ts';

export const NOW = Date.UTC(2026, 2, 1);
export const MINUTE = 60_000;
export const DAY = 86_400_000;

interface LabelledOptions {
  rows?: number;
  from?: number;
  days?: number;
  /** Says the opposite. */
  isTurned?: boolean;
}

interface LabelledFile {
  path: string;
  digest: string;
  rows: number;
}

const writtenRows = new Map<string, Promise<LabelledFile>>();

/** A table as `writeRows` writes it; who asks for the same rows gets the same file, to be read only. */
export function writeLabelledRows(options: LabelledOptions): Promise<LabelledFile> {
  const key = JSON.stringify(options);
  const written = writtenRows.get(key) ?? writeRows(options);
  writtenRows.set(key, written);
  return written;
}

/** A table of `a`, `b` and `answer` (yes where a > b, with noise) as Parquet, rows evenly over some days. */
async function writeRows(options: LabelledOptions): Promise<LabelledFile> {
  const { rows = 400, from = NOW - 7 * DAY, days = 7, isTurned = false } = options;
  const folder = tempDir();
  const csv = join(folder, 'rows.csv');
  const lines = Array.from({ length: rows }, (_, i) => {
    const a = ((i * 37) % 100) / 25 - 2;
    const b = ((i * 61) % 100) / 25 - 2;
    const isYes = a + (i % 7 === 0 ? -1 : 0) > b !== isTurned;
    return `${a},${b},${isYes ? 'yes' : 'no'},${Math.floor(from + (i / rows) * days * DAY)}`;
  });
  writeFileSync(csv, `a,b,answer,__time\n${lines.join('\n')}\n`);
  const path = join(folder, 'rows.parquet');
  const { digest } = await ingestFile({ path: csv, outPath: path });
  return { path, digest, rows };
}

/** Judges as the product does, each question about the same files once in a test file. */
export const judgeOnce: Judge = rememberJudgements(judgeChallenger);

/** Counts of each part, for whichever of the first versions has it. */
export const trafficOf = (traffic: Record<string, VariantCounts>) =>
  ['1', '2', '3'].flatMap((version) =>
    Object.entries(traffic).map(([variant, counts]) => ({ ...counts, version, variant: variant as Variant })),
  );

/** A control plane with its delivery, to be driven by hand: versions, promotions, time. */
export async function createDeliveryHarness(
  database: Database,
  options: Pick<
    DeliveryDeps,
    'judge' | 'policyOf' | 'log' | 'variantCounts' | 'reportedAt' | 'isClockOfEvents'
  > = {},
) {
  const clock = fixedClock(NOW);
  let delivery: Delivery | undefined;
  let told = Promise.withResolvers<void>();
  const app: App = await createControlPlaneApp({
    judge: judgeOnce,
    ...options,
    database,
    clock,
    onChange: () => {
      told.resolve();
      told = Promise.withResolvers();
    },
    onDelivery: (made) => {
      delivery = made;
    },
  });

  async function ask(
    method: InjectOptions['method'],
    url: string,
    body?: object,
    headers: Record<string, string> = { 'x-tidemill-actor': 'ann' },
  ) {
    const response = await app.inject({ method, url, headers, ...(body ? { payload: body } : {}) });
    return {
      status: response.statusCode,
      headers: response.headers,
      body: response.body ? response.json() : undefined,
    };
  }
  const mlflow = (path: string, body: object) => ask('POST', `/api/2.0/mlflow${path}`, body);

  return {
    app,
    clock,
    delivery: delivery as Delivery,
    ask,
    mlflow,
    close: () => app.close(),
    /** As the loop does it: again whenever something in the background has ended. */
    async advance(): Promise<{ didSomething: boolean }> {
      let didSomething = false;
      for (;;) {
        const changed = told.promise;
        if ((await (delivery as Delivery).advance()).didSomething) didSomething = true;
        if (!(delivery as Delivery).busy()) return { didSomething };
        await changed;
      }
    },
    promote: (version: string, more: object = {}) =>
      ask('POST', '/api/v1/models/m/promote', { version, ...more }),
    rollback: (body: object = {}) => ask('POST', '/api/v1/models/m/rollback', body),
    hand: (what: 'pause' | 'resume' | 'abort', body: object = {}) =>
      ask('POST', `/api/v1/models/m/rollouts/current/${what}`, body),
    rollout: async () => (await ask('GET', '/api/v1/models/m/rollouts/current')).body,
    decisions: async () => (await ask('GET', '/api/v1/models/m/decisions')).body.decisions,
    model: async () => (await ask('GET', '/api/v1/models/m')).body,
    desired: async () => (await ask('GET', '/api/v1/serving/desired-state')).body,

    /** Registers a version of `m` with its held-out rows. */
    async register(onnx: Uint8Array, heldOutPath?: string): Promise<string> {
      await mlflow('/registered-models/create', { name: 'm' });
      const { run } = (await mlflow('/runs/create', { experiment_id: '0' })).body;
      const root = `0/${run.info.run_id}/artifacts`;
      const put = (path: string, payload: Uint8Array) =>
        app.inject({
          method: 'PUT',
          url: `/api/2.0/mlflow-artifacts/artifacts/${root}/${path}`,
          payload: Buffer.from(payload),
        });
      await put('model/model.onnx', onnx);
      if (heldOutPath !== undefined) await put('evaluation/heldout.parquet', await readFile(heldOutPath));
      const created = await mlflow('/model-versions/create', {
        name: 'm',
        source: `mlflow-artifacts:/${root}/model`,
        run_id: run.info.run_id,
      });
      return created.body.model_version.version;
    },
  };
}

export type DeliveryHarness = Awaited<ReturnType<typeof createDeliveryHarness>>;
