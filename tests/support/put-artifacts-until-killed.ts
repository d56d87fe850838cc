import { createLocalArtifactStore } from '../../src/artifacts/index.ts';

/** A child process of a test: puts artifacts for ever, and names each on standard output once it is stored. */
const store = createLocalArtifactStore({ root: process.argv[2] as string });
for (let i = 0; ; i++) {
  const key = `run-${i % 7}/file-${i}`;
  await store.put(key, Buffer.from(key.repeat(5_000)));
  process.stdout.write(`${key}\n`);
}
