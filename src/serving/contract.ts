import { z } from 'zod';

/** A model version as the model server needs to know it: enough to fetch its bytes and to check them. */
export const desiredVersionSchema = z.object({
  version: z.string().describe('The version number, as text: "1", "2", …'),
  run_id: z.string().optional().describe('The run that logged the model'),
  sha256: z.string().describe('Hex digest of the ONNX bytes'),
  size_bytes: z.int().describe('Size of the ONNX bytes'),
});

/** One registered model that should answer: its champion, and what served before it, kept warm for undo. */
export const desiredModelSchema = z.object({
  name: z.string(),
  champion: desiredVersionSchema,
  previous: desiredVersionSchema.optional(),
});

/** A model whose champion exists but cannot be loaded, with the reason in words. */
export const notServableSchema = z.object({
  name: z.string(),
  version: z.string(),
  reason: z.string(),
});

/**
 * What the model servers should serve. `revision` changes with every move of what serves; it is also the
 * ETag of the route, so that a server asks with `If-None-Match` and gets 304 while nothing moved.
 */
export const desiredStateSchema = z.object({
  revision: z.string(),
  models: z.array(desiredModelSchema),
  not_servable: z.array(notServableSchema),
});

export type DesiredVersion = z.infer<typeof desiredVersionSchema>;
export type DesiredModel = z.infer<typeof desiredModelSchema>;
export type DesiredState = z.infer<typeof desiredStateSchema>;
