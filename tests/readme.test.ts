import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { tempDir } from './support/index.ts';
import { runProcess } from './support/run-process.ts';
import { type SpawnedPlatform, spawnPlatform } from './support/spawn-platform.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const BIN = join(root, 'bin/tidemill.js');

interface Block {
  language: string;
  text: string;
}

/** The fenced blocks of a page, in order. */
function blocksOf(page: string): Block[] {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', body = '']) => ({
    language,
    text: body,
  }));
}

/** Runs a line as the page says it, against the platform that the test started. */
function runLine(line: string, platform: SpawnedPlatform, cwd: string) {
  const command = line
    .replaceAll('npx tidemill', `"${process.execPath}" "${BIN}"`)
    .replace(/^tidemill /gm, `"${process.execPath}" "${BIN}" `)
    .replaceAll('http://127.0.0.1:7070', platform.url)
    .replaceAll('http://127.0.0.1:7071', platform.serveUrl);
  // Whoever runs the tests may have a platform on the usual ports.
  const env = {
    ...process.env,
    TIDEMILL_URL: platform.url,
    TIDEMILL_PORT: '0',
    TIDEMILL_SERVE_PORT: '0',
    NO_COLOR: '1',
  };
  return runProcess('sh', ['-c', command], { cwd, env, timeout: 300_000 });
}

/** Equal but for what differs each time: ids and times in full, numbers of the model in their third digit. */
function expectLike(actual: unknown, written: unknown, where: string): void {
  if (typeof written === 'number' && typeof actual === 'number') {
    if (!where.endsWith('_ms')) expect(actual, where).toBeCloseTo(written, 2);
  } else if (typeof written === 'object' && written !== null) {
    expect(Object.keys(actual as object), where).toEqual(Object.keys(written));
    for (const [key, value] of Object.entries(written)) {
      expectLike((actual as Record<string, unknown>)[key], value, `${where}.${key}`);
    }
  } else if (!where.endsWith('_id')) expect(actual, where).toEqual(written);
}

/** Runs every shell block of a page in order, and compares an answer with the JSON block below it. */
async function runPage(page: string, args: string[] = []): Promise<number> {
  const cwd = tempDir();
  // The pages speak from the root of a clone; what they write must not land in this one.
  cpSync(join(root, 'examples'), join(cwd, 'examples'), { recursive: true });
  const dataDir = join(cwd, '.tidemill');
  const platform = await spawnPlatform({ dataDir, args, cwd });
  let count = 0;
  try {
    const blocks = blocksOf(page);
    for (const [index, { language, text }] of blocks.entries()) {
      if (language !== 'sh' || /npm ci|tidemill up( --clock events.*)?$|vega-datasets/m.test(text)) continue;
      // A command may go over several lines where its quotes do.
      const lines = text.trim().split(/\n(?=(?:[^']*'[^']*')*[^']*$)/);
      for (const line of lines) {
        const { status, stdout, stderr } = await runLine(line, platform, cwd);
        expect(status, `${line}\n${stderr}`).toBe(0);
        count += 1;
        const next = blocks[index + 1];
        if (next?.language === 'json') expectLike(JSON.parse(stdout), JSON.parse(next.text), 'answer');
      }
    }
  } finally {
    await platform.stop();
  }
  return count;
}

describe('every command in the docs works', () => {
  it('README.md, with the answers that it shows', { timeout: 600_000 }, async () => {
    expect(await runPage('README.md')).toBeGreaterThan(12);
  });

  it('docs/getting-started.md', { timeout: 600_000 }, async () => {
    expect(await runPage('docs/getting-started.md')).toBeGreaterThan(8);
  });

  it('docs/guides, the loop by the command line and by HTTP', { timeout: 900_000 }, async () => {
    const project = ['--clock', 'events', '--project', 'examples/flights'];
    expect(await runPage('docs/guides/the-loop.md', project)).toBeGreaterThan(10);
    expect(await runPage('docs/guides/the-loop-by-curl.md')).toBeGreaterThan(14);
  });

  it('examples', { timeout: 600_000 }, async () => {
    expect(await runPage('examples/iris/README.md')).toBe(2);
    expect(await runPage('examples/regression/README.md')).toBe(2);
    expect(await runPage('examples/weather/README.md')).toBe(1);
  });

  it('README.md gives the two lines that do all the set-up, and .ci/run runs the second', () => {
    const lines = blocksOf('README.md').map(({ text }) => text.trim());
    expect(lines).toContain('npm ci && npx tidemill demo');
    expect(lines).toContain('npm ci && npm test');
    expect(readFileSync(join(root, '.ci/run'), 'utf8')).toContain('npm ci && npm test');
  });
});
