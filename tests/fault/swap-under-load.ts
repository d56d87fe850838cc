import { setTimeout as pause } from 'node:timers/promises';
import { type LoadResult, measureLoad } from '../../src/cli/http/measure-load.ts';
import { postJson, spawnPlatform } from '../support/spawn-platform.ts';
import { SETOSA } from './work-on-platform.ts';

const SERVES_WITHIN_MS = 30_000;
const ASK_AGAIN_MS = 5;

export interface SwapReport extends LoadResult {
  swaps: number;
  /** Promotions of a version that was neither champion nor its predecessor, and so had to be loaded. */
  promotions: number;
  /** To the predecessor, which is kept warm. */
  rollbacks: number;
  slowest_ms_until_served: number;
  median_ms_until_served: number;
  /** Empty when no request failed and there were enough of them. */
  problems: string[];
}

/**
 * Promotes and rolls back by turns drawn from `random` while `concurrency` connections predict, and waits after each
 * until the version answers. `dataDir` must hold a model `iris` with `versions` versions, of which 1 serves.
 */
export async function swapUnderLoad({
  dataDir,
  swaps,
  versions,
  random,
  concurrency = 32,
  onSwap,
}: {
  dataDir: string;
  swaps: number;
  versions: number;
  random: () => number;
  concurrency?: number;
  onSwap?: (swap: number) => void;
}): Promise<SwapReport> {
  if (versions < 3) throw new Error(`A version to load needs 3 versions or more, got ${versions}`);
  const platform = await spawnPlatform({ dataDir });
  const stop = new AbortController();
  try {
    await waitUntilServed(platform.serveUrl, '1');
    const load = measureLoad({
      url: `${platform.serveUrl}/predict`,
      body: JSON.stringify({ features: SETOSA }),
      concurrency,
      durationMs: 3_600_000,
      warmUpMs: 0,
      signal: stop.signal,
    });
    const waits: number[] = [];
    const moves = { promotions: 0, rollbacks: 0 };
    let champion = '1';
    let predecessor = '';
    let canRollBack = false;
    for (let swap = 1; swap <= swaps; swap += 1) {
      const others = Array.from({ length: versions }, (_, index) => String(index + 1)).filter(
        (version) => version !== champion && version !== predecessor,
      );
      const isRollback: boolean = canRollBack && random() < 0.5;
      const to: string = isRollback ? predecessor : (others[Math.floor(random() * others.length)] as string);
      await move(platform.url, isRollback, to);
      moves[isRollback ? 'rollbacks' : 'promotions'] += 1;
      waits.push(await waitUntilServed(platform.serveUrl, to));
      [champion, predecessor] = [to, champion];
      canRollBack = !isRollback;
      onSwap?.(swap);
    }
    stop.abort();
    const result = await load;
    waits.sort((a, b) => a - b);
    return {
      swaps,
      ...moves,
      slowest_ms_until_served: waits.at(-1) ?? 0,
      median_ms_until_served: waits[waits.length >> 1] ?? 0,
      ...result,
      problems: findProblems(swaps, result),
    };
  } finally {
    stop.abort();
    await platform.stop();
  }
}

/** A load that sent hardly anything proves nothing. */
export function findProblems(
  swaps: number,
  { requests, errors, first_error }: Pick<LoadResult, 'requests' | 'errors' | 'first_error'>,
): string[] {
  const least = Math.max(1, 10 * swaps);
  return [
    ...(errors > 0
      ? [`${errors} requests failed${first_error === undefined ? '' : `; the first: ${first_error}`}`]
      : []),
    ...(requests < least ? [`the load made ${requests} requests, needed are ${least}`] : []),
  ];
}

async function move(url: string, isRollback: boolean, to: string): Promise<void> {
  const reason = 'swap under load';
  const { status, body } = isRollback
    ? await postJson(`${url}/api/v1/models/iris/rollback`, { reason })
    : await postJson(`${url}/api/v1/models/iris/promote`, { version: to, force: true, reason });
  if (status !== 200 || body.to !== to)
    throw new Error(`to version ${to}: ${status} ${JSON.stringify(body)}`);
}

/** Asks until the version answers; milliseconds. */
async function waitUntilServed(serveUrl: string, version: string): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    const { body } = await postJson(`${serveUrl}/predict`, { features: SETOSA });
    const waited = Math.round(performance.now() - startedAt);
    if (body.model_version === version) return waited;
    if (waited > SERVES_WITHIN_MS) {
      throw new Error(`version ${version} does not serve: ${JSON.stringify(body)}`);
    }
    await pause(ASK_AGAIN_MS);
  }
}
