import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { tempDir } from './support/index.ts';

const SCRIPT = fileURLToPath(new URL('../.ci/run', import.meta.url));

function count(log: string): { status: number | null; lines: string[] } {
  const path = join(tempDir(), 'log');
  writeFileSync(path, log);
  const { status, stdout } = spawnSync('bash', [SCRIPT, '--count', path], { encoding: 'utf8' });
  return { status, lines: stdout.trimEnd().split('\n') };
}

describe.skipIf(process.platform === 'win32')('the counts of .ci/run', () => {
  it('end with one plain line, after what was skipped in words', () => {
    const { status, lines } = count(
      [
        'skipped: the tests on PostgreSQL, because the server did not start: no room',
        'stdout | tests/package.test.ts',
        'skipped: installing the package, because the npm registry cannot be reached\r',
        ' Test Files  80 passed (80)',
        '\u001b[2m      Tests \u001b[22m \u001b[32m1210 passed\u001b[39m | 3 skipped | 1 todo (1214)',
        '   Duration  120.00s',
      ].join('\n'),
    );
    expect(lines).toEqual([
      'skipped: installing the package, because the npm registry cannot be reached',
      'skipped: the tests on PostgreSQL, because the server did not start: no room',
      '1210 passed, 0 failed, 4 skipped',
    ]);
    expect(status).toBe(0);
  });

  it('fail when a test failed, when none passed, and when there are no totals', () => {
    const failed = count('      Tests  1 failed | 210 passed | 3 skipped (214)\n');
    expect(failed).toEqual({ status: 1, lines: ['210 passed, 1 failed, 3 skipped'] });
    expect(count('      Tests  3 skipped (3)\n').status).toBe(1);
    const none = count('npm error code ENOSPC\n');
    expect(none.status).toBe(1);
    expect(none.lines.at(-1)).toBe('0 passed, 0 failed, 0 skipped');
  });
});
