import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { tempDir } from '../tests/support/index.ts';
import { superviseChild } from './supervise-child.ts';

const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
});

/** A child that reports the options it got as its URL's path. */
function supervise(body: string, say: (message: string) => void = () => {}, graceMs = 5000) {
  const file = join(tempDir(), 'child.mjs');
  writeFileSync(
    file,
    `let options = {};
     process.on('disconnect', () => process.exit(0));
     process.on('message', (message) => {
       if (message.type === 'stop') return onStop();
       Object.assign(options, message.options);
       if (options.ready) run();
     });
     let onStop = () => process.exit(0);
     const listening = () => process.send({ type: 'listening', url: 'http://127.0.0.1:' + (options.port || 4321) });
     ${body}`,
  );
  const child = superviseChild<{ port: number; ready?: boolean }>({
    entry: pathToFileURL(file),
    options: { port: 0 },
    say,
    graceMs,
  });
  stops.push(() => child.stop());
  return child;
}

describe('superviseChild', () => {
  it('starts the child, tells it what becomes known, and stops it', async () => {
    const child = supervise(`function run() { listening(); process.send({ type: 'ready' }); }`);
    child.update({ ready: true });
    expect(await child.listening).toBe('http://127.0.0.1:4321');
    await child.ready;
    const pid = child.pid() as number;
    await child.stop();
    await child.stop();
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });

  it('starts it again on the same port when it is killed, and says so', async () => {
    const said: string[] = [];
    const again = Promise.withResolvers<void>();
    const child = supervise(`function run() { listening(); process.send({ type: 'ready' }); }`, (message) => {
      said.push(message);
      again.resolve();
    });
    child.update({ ready: true });
    await child.ready;
    const first = child.pid() as number;
    process.kill(first, 'SIGKILL');
    await again.promise;
    await expect.poll(() => child.pid(), { timeout: 10_000 }).not.toBe(first);
    expect(said).toEqual(['the model server ended with SIGKILL; starting it again in 200 ms']);
  });

  it('gives up with the reason when the very first start fails', async () => {
    const child = supervise(
      `function run() { process.send({ type: 'failed', message: 'Port 1 is in use' }, () => process.exit(1)); }`,
    );
    child.update({ ready: true });
    await expect(child.listening).rejects.toThrow('Port 1 is in use');
    await expect(child.ready).rejects.toThrow('Port 1 is in use');
  });

  it('kills a child that does not end in time', async () => {
    const child = supervise('onStop = () => {}; function run() { listening(); }', () => {}, 50);
    child.update({ ready: true });
    await child.listening;
    const pid = child.pid() as number;
    await child.stop();
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });
});
