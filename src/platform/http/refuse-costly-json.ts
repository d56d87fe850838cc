import { ApiError } from '../errors.ts';

/** A shorter text is parsed in no time, whatever it says. */
const SHORTEST = 128 * 1024;
/** Rows share their columns' names. Each further name costs the parser as much as ten values. */
export const MOST_NAMES = 50_000;
/** Lists and objects within each other: of a million in a row the parser takes no notice, of a million deep it does. */
export const MOST_DEPTH = 1000;
/** Lists and objects in all. */
export const MOST_CONTAINERS = 1_000_000;

/** A longer text is looked at here and there first, because to look at all of it takes as long as to parse it. */
const LONGEST_READ_WHOLE = 1024 * 1024;
const SAMPLES = 32;
const SAMPLE_CHARACTERS = 8 * 1024;
/** What makes the samples of a text suspicious. */
const SAMPLED_NAMES = 1000;
const SAMPLED_DEPTH = 100;

const QUOTE = '"';
const BACKSLASH = 0x5c;
const COLON = 0x3a;
/** Nobody can choose names that are counted as one. */
const SEED = Math.floor(Math.random() * 2 ** 32);

/**
 * Throws when parsing a JSON text would hold everybody up, which size alone does not tell: very many different names
 * of fields, lists in lists in lists, or empty ones by the million.
 */
export function refuseCostlyJson(text: string, random: () => number = Math.random): void {
  if (text.length < SHORTEST) return;
  if (text.length > LONGEST_READ_WHOLE && !looksCostly(text, random)) return;
  const found = createTally();
  scan(text, 0, text.length, found);
  if (found.names > MOST_NAMES)
    throw tooCostly(`more than ${MOST_NAMES} different names of fields; send several requests`);
  if (found.deepest > MOST_DEPTH) throw tooCostly(`lists and objects nested more than ${MOST_DEPTH} deep`);
  if (found.containers > MOST_CONTAINERS)
    throw tooCostly(`more than ${MOST_CONTAINERS} lists and objects; send several requests`);
}

function tooCostly(what: string): ApiError {
  return new ApiError('PAYLOAD_TOO_LARGE', `The body has ${what}`);
}

interface Tally {
  /** Different ones, by a table of bits that misses some. */
  names: number;
  seen: Uint8Array;
  depth: number;
  deepest: number;
  containers: number;
}

const createTally = (): Tally => ({
  names: 0,
  seen: new Uint8Array(2 ** 17),
  depth: 0,
  deepest: 0,
  containers: 0,
});

function looksCostly(text: string, random: () => number): boolean {
  const found = createTally();
  for (let i = 0; i < SAMPLES; i++) {
    const from = Math.floor(random() * (text.length - SAMPLE_CHARACTERS));
    // Behind a name's colon no string is open.
    const colon = text.slice(from, from + SAMPLE_CHARACTERS).indexOf('":');
    found.depth = 0;
    scan(text, colon === -1 ? from : from + colon + 2, from + SAMPLE_CHARACTERS, found);
  }
  const share = (SAMPLES * SAMPLE_CHARACTERS) / text.length;
  return (
    found.names > SAMPLED_NAMES || found.deepest > SAMPLED_DEPTH || found.containers / share > MOST_CONTAINERS
  );
}

/** Counts what lies between two places outside of strings, until it is too much. */
function scan(text: string, from: number, to: number, found: Tally): void {
  let end = from - 1;
  for (let start = text.indexOf(QUOTE, from); start !== -1 && start < to; ) {
    countContainers(text, end + 1, start, found);
    if (found.deepest > MOST_DEPTH || found.names > MOST_NAMES) return;
    end = endOf(text, start);
    if (end === -1) return; // The parser says what is wrong.
    if (isName(text, end)) countName(text, start + 1, end, found);
    start = text.indexOf(QUOTE, end + 1);
  }
  countContainers(text, end + 1, to, found);
}

function countContainers(text: string, from: number, to: number, found: Tally): void {
  for (let at = from; at < to; at++) {
    // `[` and `{` differ in one bit only, and so do `]` and `}`.
    const code = text.charCodeAt(at) | 0x20;
    if (code === 0x7b) {
      found.containers += 1;
      found.depth += 1;
      if (found.depth > found.deepest) found.deepest = found.depth;
    } else if (code === 0x7d) found.depth -= 1;
  }
}

function countName(text: string, from: number, to: number, found: Tally): void {
  const hash = hashOf(text, from, to);
  const place = (hash >>> 3) % found.seen.length;
  const bits = found.seen[place] as number;
  const bit = 1 << (hash & 7);
  if ((bits & bit) !== 0) return;
  found.seen[place] = bits | bit;
  found.names += 1;
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
