import { ApiError } from '../../platform/index.ts';

/** What files that are no ONNX begin with. */
const OTHER_FORMATS: [string, ...string[]][] = [
  ['a pickle, which can run any code and is never loaded', '\x80\x02', '\x80\x03', '\x80\x04', '\x80\x05'],
  ['a ZIP archive (PyTorch checkpoints and Keras files are such)', 'PK\x03\x04'],
  ['an HDF5 file', '\x89HDF'],
  ['a Parquet file', 'PAR1'],
  ['text (XGBoost and LightGBM save such models)', '{', '[', '<', '#', 'tree\n'],
];

/** Throws, naming the format, when a file is well known to be something else than ONNX. */
export function refuseOtherFormats(bytes: Uint8Array): void {
  const other = otherFormat(bytes);
  if (!other) return;
  throw new ApiError('INVALID_PARAMETER_VALUE', `Not an ONNX file but ${other}; export the model to ONNX`);
}

function otherFormat(bytes: Uint8Array): string | undefined {
  if (bytes.byteLength === 0) return 'empty';
  const start = Buffer.from(bytes.subarray(0, 16)).toString('latin1');
  // ONNX Runtime would load it by another reader than the one whose checks we rely on.
  if (start.startsWith('ORTM', 4)) return "a file in ONNX Runtime's own format";
  return OTHER_FORMATS.find(([, ...prefixes]) => prefixes.some((prefix) => start.startsWith(prefix)))?.[0];
}
