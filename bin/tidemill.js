#!/usr/bin/env node
// Plain script without static imports: an old Node must be able to parse it and say what is missing.
(async () => {
  const MINIMUM = [24, 15];
  const version = process.versions.node.split('.').map(Number);
  const isRecent = version[0] > MINIMUM[0] || (version[0] === MINIMUM[0] && version[1] >= MINIMUM[1]);
  const load = (name) => (typeof require === 'function' ? Promise.resolve(require(name)) : import(name));

  const fs = await load('fs');
  const path = await load('path');
  const root = path.dirname(path.dirname(fs.realpathSync(process.argv[1])));

  if (isRecent) {
    const source = path.join(root, 'src/cli/main.ts');
    const entry = fs.existsSync(source) ? source : path.join(root, 'lib/cli/main.js');
    const { enableCompileCache } = await import('node:module');
    const cache = enableCompileCache();
    // Children (the model server, workers) compile from the same cache.
    if (cache.directory) process.env.NODE_COMPILE_CACHE = cache.directory;
    const { pathToFileURL } = await import('node:url');
    await import(pathToFileURL(entry).href);
    return;
  }

  const os = process.platform === 'win32' ? 'win' : process.platform;
  const executable = process.platform === 'win32' ? 'bin/node.exe' : 'bin/node';
  const packaged = path.join(root, 'node_modules', `node-${os}-${process.arch}`, executable);
  if (!fs.existsSync(packaged)) {
    process.stderr.write(
      `tidemill needs Node.js ${MINIMUM.join('.')} or newer, and this is ${process.version}: install the current LTS from https://nodejs.org/ and run the command again\n`,
    );
    process.exit(1);
  }

  const { spawn } = await load('child_process');
  const child = spawn(packaged, [path.join(root, 'bin', 'tidemill.js')].concat(process.argv.slice(2)), {
    stdio: 'inherit',
    env: Object.assign({}, process.env, { _TIDEMILL_LAUNCHER: String(process.pid) }),
  });
  child.on('error', (error) => {
    process.stderr.write(`tidemill could not start ${packaged}: ${error.message}\n`);
    process.exit(1);
  });
  const forward = (signal) => child.kill(signal);
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGUSR2']) {
    // A terminal sends ^C to the whole process group, so the child has it already.
    process.on(signal, () => (signal === 'SIGINT' && process.stdin.isTTY ? undefined : forward(signal)));
  }
  // npx and npm run end without passing the signal on: the change of parent is the only sign of it.
  const parent = process.ppid;
  const watch = process.env.npm_command
    ? setInterval(() => process.ppid !== parent && forward('SIGTERM'), 500)
    : undefined;
  child.on('exit', (code, signal) => {
    clearInterval(watch);
    if (!signal) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    // A signal that the runtime does not die from still ends as the shell would report it.
    setTimeout(() => process.exit(1), 100);
  });
})().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
