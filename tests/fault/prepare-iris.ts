import { fileURLToPath } from 'node:url';
import { runCapturedCli } from '../support/run-captured-cli.ts';
import { spawnPlatform } from '../support/spawn-platform.ts';

const IRIS = fileURLToPath(new URL('../../examples/iris/iris.csv', import.meta.url));

/** Fills an empty data folder with the model `iris`, versions 1 and 2, of which 1 serves; the platform is stopped. */
export async function prepareIris(
  dataDir: string,
  { versions = 2 }: { versions?: number } = {},
): Promise<void> {
  const platform = await spawnPlatform({ dataDir });
  try {
    for (let version = 1; version <= versions; version += 1) {
      const argv = ['train', IRIS, '--target', 'species', '--name', 'iris', '--seed', String(version)];
      const first = version === 1 ? ['--promote'] : [];
      const done = await runCapturedCli([...argv, ...first, '--url', platform.url]);
      if (done.status !== 0) throw new Error(done.stderr);
    }
  } finally {
    await platform.stop();
  }
}
