import type { ModelServerOptions } from './main.ts';
import { runModelServerProcess } from './run-model-server-process.ts';

// The parent's first message may come before the model server's modules are loaded.
const started = Promise.withResolvers<ModelServerOptions>();
const controlPlane = Promise.withResolvers<string>();
process.on('message', (message: { type: string; options?: Partial<ModelServerOptions> }) => {
  if (message.options?.controlPlaneUrl !== undefined) controlPlane.resolve(message.options.controlPlaneUrl);
  if (message.type === 'start') started.resolve(message.options as ModelServerOptions);
});

void runModelServerProcess({
  channel: process,
  options: started.promise,
  controlPlaneUrl: controlPlane.promise,
  env: process.env,
}).then((status) => process.exit(status));
