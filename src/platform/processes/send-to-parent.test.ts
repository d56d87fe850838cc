import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { sendToParent } from './send-to-parent.ts';

it('sends, and says nothing of a parent that has gone', async () => {
  const path = join(tempDir(), 'child.ts');
  const helper = JSON.stringify(new URL('./send-to-parent.ts', import.meta.url).href);
  writeFileSync(
    path,
    `const { sendToParent } = await import(${helper});
     await sendToParent({ hello: 1 });
     process.disconnect();
     await sendToParent({ hello: 2 });
     process.exitCode = 7;`,
  );
  const child = fork(path, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const heard: unknown[] = [];
  child.on('message', (message) => heard.push(message));
  expect(await once(child, 'exit')).toEqual([7, null]);
  expect(heard).toEqual([{ hello: 1 }]);
});

it('takes no offence at a channel that closes meanwhile', async () => {
  const channel = {
    connected: true,
    send: (_message: unknown, onSent?: (error: Error) => void) => {
      const error = new Error('Channel closed');
      // As Node does it.
      if (onSent === undefined) throw error;
      onSent(error);
    },
  };
  expect(await sendToParent({ hello: 1 }, channel)).toBeUndefined();
});
