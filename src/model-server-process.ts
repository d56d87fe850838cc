import type { ModelServerOptions } from './main.ts';
import { runModelServerProcess } from './run-model-server-process.ts';

// The parent's first message may come before the model server's modules are loaded.
const options = Promise.withResolvers<ModelServerOptions & { controlPlaneUrl: string }>();
const known: Partial<ModelServerOptions> = {};
process.on('message', (message: { type: string; options?: Partial<ModelServerOptions> }) => {
  Object.assign(known, message.options);
  if (known.controlPlaneUrl !== undefined) options.resolve(known as never);
});

void runModelServerProcess({ channel: process, options: options.promise, env: process.env }).then((status) =>
  process.exit(status),
);
