import { spawn } from 'node:child_process';
import { serveSteps } from '../../src/jobs/index.ts';
import { ApiError } from '../../src/platform/index.ts';

/** A step process for tests. */
serveSteps({
  add: async ({ a, b }: { a: number; b: number }, { log, progress }) => {
    log('adding');
    progress(1, 'done');
    return a + b;
  },
  pid: async () => process.pid,
  refuse: async () => {
    throw new ApiError('RESOURCE_CONFLICT', 'a rollout is under way', { rollout: 7 });
  },
  crash: async () => {
    process.stderr.write('about to fall over\n');
    process.kill(process.pid, 'SIGSEGV');
    await new Promise(() => {});
  },
  exit: async () => {
    console.error('fatal: no memory');
    process.exit(9);
  },
  heed: async (_, { signal, log }) => {
    log(`began ${process.pid}`);
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  },
  spin: async (_, { log }) => {
    log(`began ${process.pid}`);
    await new Promise(setImmediate);
    for (;;);
  },
  beget: async (_, { log }) => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    log(`began ${child.pid}`);
    await new Promise(() => {});
  },
  // What it starts has its output, and outlives it.
  abandon: async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
    process.stderr.write(`left ${child.pid} behind\n`);
    process.kill(process.pid, 'SIGABRT');
    await new Promise(() => {});
  },
  print: async () => {
    console.log('to the output');
    console.error('to the errors');
    await new Promise((resolve) => process.stdout.write('', resolve));
  },
  function: async () => () => 1,
  bytes: async (bytes: Float64Array) => bytes.map((value) => value * 2),
  grow: async () => {
    (globalThis as any).kept = Buffer.alloc(64 * 1024 * 1024, 1);
    return process.pid;
  },
});
