import { z } from 'zod';
import { ApiError } from '../../platform/index.ts';
import { encodeMessage } from '../onnx/encode-message.ts';
import { metadataEntryMessage, modelHeaderMessage } from '../onnx/onnx-schema.ts';
import { type Decoded, decodeMessage, defineMessage, fieldBudget, many } from '../onnx/protobuf-message.ts';
import { readOnnx } from '../onnx/read-onnx.ts';
import { refuseOtherFormats } from '../onnx/refuse-other-formats.ts';
import { inferSignature, type SignatureHints } from './infer-signature.ts';
import { type Signature, signatureSchema } from './signature.ts';

export const SIGNATURE_KEY = 'tidemill.signature';
export const EXAMPLE_KEY = 'tidemill.example';
export const FRAMEWORK_KEY = 'tidemill.framework';
export const TRAINING_KEY = 'tidemill.training';
/** How the model's columns and answers are counted while it serves: a profile's spec. */
export const PROFILE_KEY = 'tidemill.profile';

/** Some 40,000 entries of metadata; real files have dozens. */
const MOST_HEADER_FIELDS = 1_000_000;
/** Categories of text columns are the most of a signature: this is room for a million. */
const MOST_SIGNATURE_CHARACTERS = 16 * 2 ** 20;
/** What its check takes a fraction of a second for. */
const MOST_COLUMNS = 10_000;

/** The file's metadata_props. The graph is skipped, so that a large file costs no more than a small one. */
export function readMetadata(bytes: Uint8Array): Record<string, string> {
  refuseOtherFormats(bytes);
  return metadataOf(decodeMessage(modelHeaderMessage, bytes, fieldBudget(MOST_HEADER_FIELDS)));
}

/** The metadata of a decoded header; where a key stands twice, the last one counts. */
export function metadataOf(model: {
  metadata: Decoded<typeof metadataEntryMessage>[];
}): Record<string, string> {
  const metadata: Record<string, string> = Object.create(null);
  for (const { key, value } of model.metadata) metadata[key ?? ''] = value ?? '';
  return metadata;
}

/**
 * The same file with more metadata. They are appended: a protobuf message followed by another is their union, so
 * that nothing of the file is parsed or changed, and the last entry of a key counts.
 */
export function addMetadata(bytes: Uint8Array, metadata: Record<string, string>): Uint8Array {
  const entries = Object.entries(metadata).map(([key, value]) => ({ key, value }));
  const added = encodeMessage(metadataOnlyMessage, { metadata: entries });
  const all = new Uint8Array(bytes.byteLength + added.byteLength);
  all.set(bytes);
  all.set(added, bytes.byteLength);
  return all;
}

const metadataOnlyMessage = defineMessage('ModelProto', { metadata: many(14, metadataEntryMessage) });

/** The signature as text, for the file's metadata. */
export const writeSignature = (signature: Signature): string =>
  JSON.stringify(signatureSchema.parse(signature));

/** The signature that a file carries; undefined when it carries none. Throws when it is broken. */
export function signatureOf(metadata: Record<string, string>): Signature | undefined {
  const text = metadata[SIGNATURE_KEY];
  if (text === undefined) return undefined;
  if (text.length > MOST_SIGNATURE_CHARACTERS)
    throw broken(`has ${text.length} characters, and at most ${MOST_SIGNATURE_CHARACTERS} are read`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw broken(`is no JSON: ${(error as Error).message}`);
  }
  refuseTooMany(value);
  const result = signatureSchema.safeParse(value);
  if (result.success) return result.data;
  throw broken(`is broken: ${z.prettifyError(result.error)}`);
}

const broken = (why: string): ApiError =>
  new ApiError('INVALID_PARAMETER_VALUE', `The model's ${SIGNATURE_KEY} ${why}`);

/** The schema looks at every item before it counts them. */
function refuseTooMany(value: unknown): void {
  const { columns, inputs, output } = Object(value) as Record<string, unknown>;
  const { classes } = Object(output) as Record<string, unknown>;
  for (const [what, list] of Object.entries({ columns, inputs, classes })) {
    if (Array.isArray(list) && list.length > MOST_COLUMNS)
      throw broken(`has ${list.length} ${what}, and at most ${MOST_COLUMNS} are taken`);
  }
}

/** The signature of a model file: the one it carries, else what its graph says, with `hints` for what that cannot say. */
export function readSignature(bytes: Uint8Array, hints?: SignatureHints): Signature {
  return signatureOf(readMetadata(bytes)) ?? inferSignature(readOnnx(bytes), hints).signature;
}
