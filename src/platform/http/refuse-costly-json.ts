import { ApiError } from '../errors.ts';

/** What a shorter text can name is parsed in no time. */
const SHORTEST = 256 * 1024;
/** Rows share their columns' names. Each further name costs the parser as much as ten values. */
export const MOST_NAMES = 50_000;

const QUOTE = '"';
const BACKSLASH = 0x5c;
const COLON = 0x3a;
/** Nobody can choose names that are counted as one. */
const SEED = Math.floor(Math.random() * 2 ** 32);

/** Throws when a JSON text has more different names of fields than any request needs: parsing it would hold everybody up. */
export function refuseManyNames(text: string): void {
  if (text.length < SHORTEST) return;
  const seen = new Uint8Array(2 ** 17);
  let names = 0;
  for (let start = text.indexOf(QUOTE); start !== -1; ) {
    const end = endOf(text, start);
    if (end === -1) return; // The parser says what is wrong.
    if (isName(text, end)) {
      const hash = hashOf(text, start + 1, end);
      const place = (hash >>> 3) % seen.length;
      const bit = 1 << (hash & 7);
      if (((seen[place] as number) & bit) === 0) {
        seen[place] = (seen[place] as number) | bit;
        names += 1;
        if (names > MOST_NAMES) {
          throw new ApiError(
            'PAYLOAD_TOO_LARGE',
            `The body has more than ${MOST_NAMES} different names of fields; send several requests`,
          );
        }
      }
    }
    start = text.indexOf(QUOTE, end + 1);
  }
}

/** Where a string that starts at a quote ends; -1 when it does not. */
function endOf(text: string, start: number): number {
  let end = text.indexOf(QUOTE, start + 1);
  while (end !== -1) {
    let at = end - 1;
    while (at > start && text.charCodeAt(at) === BACKSLASH) at -= 1;
    if ((end - at) % 2 === 1) return end;
    end = text.indexOf(QUOTE, end + 1);
  }
  return -1;
}

/** Whether what ends here is followed by a colon. */
function isName(text: string, end: number): boolean {
  let at = end + 1;
  while (at < text.length && text.charCodeAt(at) <= 0x20) at += 1;
  return text.charCodeAt(at) === COLON;
}

/** FNV-1a, mixed so that all bits count. */
function hashOf(text: string, from: number, to: number): number {
  let hash = SEED;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) >>> 0;
}
