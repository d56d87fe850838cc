import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'tests/**/*.test.ts'],
    // The processes that tests start load what an earlier one compiled, which takes a third of the time.
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/compiled', import.meta.url)) },
    globalSetup: ['tests/support/postgres-server.ts'],
    // Limits are for what hangs, not for what is slow: a test passes on a machine that does much else.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 30_000, interval: 20 } },
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      // Tests, and the suites that several tests share, are not shipped; nothing else is left out.
      exclude: ['src/**/*.test.ts', 'src/**/*.suite.ts'],
      reporter: ['text-summary', 'json-summary'],
      thresholds: { lines: 85 },
    },
  },
});
