import { createHash } from 'node:crypto';
import { Transform } from 'node:stream';
import { ApiError } from '../platform/index.ts';

/** Passes bytes on and fails at their end when they are not the ones that were put. */
export function checkContent(key: string, expected: { sizeBytes: number; sha256: string }): Transform {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      hash.update(chunk);
      sizeBytes += chunk.length;
      done(null, chunk);
    },
    flush(done) {
      const sha256 = hash.digest('hex');
      const intact = sha256 === expected.sha256 && sizeBytes === expected.sizeBytes;
      done(intact ? null : damaged(key, `its sha256 is ${sha256}, ${expected.sha256} was stored`));
    },
  });
}

export function damaged(key: string, how: string): ApiError {
  return new ApiError('INVALID_STATE', `Artifact ${key} is damaged: ${how}. Restore it from a backup`);
}
