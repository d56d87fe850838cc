import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measureLoad } from '../../src/cli/measure-load.ts';
import { postJson, spawnPlatform } from '../support/spawn-platform.ts';
import { prepareIris } from './prepare-iris.ts';

// npm run swaps [-- SWAPS]: promotes and rolls back in turn while 32 connections predict; prints one JSON line and
// fails when a request failed or a version did not come to serve.
const swaps = Number(process.argv[2] ?? 100);
const dataDir = mkdtempSync(join(tmpdir(), 'tidemill-swaps-'));
const features = {
  'sepal length (cm)': 5.1,
  'sepal width (cm)': 3.5,
  'petal length (cm)': 1.4,
  'petal width (cm)': 0.2,
};

try {
  await prepareIris(dataDir);
  const platform = await spawnPlatform({ dataDir });
  const stop = new AbortController();
  const load = measureLoad({
    url: `${platform.serveUrl}/predict`,
    body: JSON.stringify({ features }),
    concurrency: 32,
    durationMs: 3_600_000,
    signal: stop.signal,
  });
  const waits: number[] = [];
  for (let swap = 0; swap < swaps; swap += 1) {
    const isPromotion = swap % 2 === 0;
    const { status, body } = isPromotion
      ? await postJson(`${platform.url}/api/v1/models/iris/promote`, {
          version: '2',
          force: true,
          reason: 'swap',
        })
      : await postJson(`${platform.url}/api/v1/models/iris/rollback`, { reason: 'swap' });
    if (status !== 200) throw new Error(JSON.stringify(body));
    waits.push(await untilServed(platform.serveUrl, isPromotion ? '2' : '1'));
    if (swap % 10 === 9) process.stderr.write(`${swap + 1}/${swaps}\n`);
  }
  stop.abort();
  const result = await load;
  await platform.stop();
  waits.sort((a, b) => a - b);
  process.stdout.write(
    `${JSON.stringify({ fault: 'swaps', swaps, slowest_ms_until_served: waits.at(-1), median_ms_until_served: waits[waits.length >> 1], ...result })}\n`,
  );
  process.exitCode = result.errors === 0 ? 0 : 1;
} finally {
  rmSync(dataDir, { recursive: true, force: true });
}

/** Asks until the version answers; milliseconds. */
async function untilServed(serveUrl: string, version: string): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    const { body } = await postJson(`${serveUrl}/predict`, { features });
    const waited = Math.round(performance.now() - startedAt);
    if (body.model_version === version) return waited;
    if (waited > 30_000) throw new Error(`version ${version} does not serve: ${JSON.stringify(body)}`);
    await new Promise((again) => setTimeout(again, 5));
  }
}
