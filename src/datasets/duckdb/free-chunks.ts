import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const CHUNKS_AT_ONCE = 16;

/**
 * Frees the chunks of a stream that are done with: call it once for each. DuckDB's memory hangs on small objects of which
 * V8 does not know what they hold, so that a table would stay in memory until it happens to collect them.
 */
export function createChunkFreer(): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: { type: 'minor' }) => void;
  let chunks = 0;
  return () => {
    chunks++;
    if (chunks % CHUNKS_AT_ONCE === 0) collect({ type: 'minor' });
  };
}
