import { fork } from 'node:child_process';

/**
 * A parent for tests to kill: `node child-parent.ts <entry>` starts a child process of the platform, keeps its main thread busy
 * for ever, and prints its process id.
 */
const spin = `process.prependListener('message', () => { process.send('spinning'); for (;;); })`;
const child = fork(process.argv[2] as string, {
  serialization: 'advanced',
  execArgv: ['--import', `data:text/javascript,${encodeURIComponent(spin)}`],
  stdio: ['pipe', 'ignore', 'inherit', 'ipc'],
});
child.once('message', () => console.log(child.pid));
child.send('work');
