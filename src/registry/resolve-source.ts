import { ApiError } from '../platform/index.ts';
import type { ModelVersion } from './tables.ts';

/** Versions may name versions; more in a row than this is no honest chain. */
const MAX_CHAIN = 32;

interface SourceLookups {
  findVersion(name: string, version: number): Promise<ModelVersion | undefined>;
  findAlias(name: string, alias: string): Promise<number | undefined>;
  findArtifactUri(runId: string): Promise<string | undefined>;
}

/**
 * The artifact location that a version's source stands for: `runs:/<run>/<path>` and `models:/<name>/<version>` are
 * looked up, other locations stay as they are. Paths of the server's own disk are refused, and so are versions that
 * name each other in a circle.
 */
export async function resolveSource(
  source: string,
  lookups: SourceLookups,
  passed: string[] = [],
): Promise<string> {
  const [scheme, rest] = splitScheme(source);
  if (scheme === undefined || scheme === 'file') {
    throw invalid(
      source,
      "a model version's source is not a path on the server's disk; log the model to a run and give mlflow-artifacts:/… or runs:/<run>/<path>",
    );
  }
  if (/(^|\/)\.\.(\/|$)/.test(decoded(rest)) || source.includes('#')) {
    throw invalid(source, "it must not contain '..' or '#'");
  }
  if (scheme === 'runs') {
    const [, runId, path] = /^\/*([^/]+)\/?(.*)$/.exec(rest) ?? [];
    const artifactUri = runId === undefined ? undefined : await lookups.findArtifactUri(runId);
    if (artifactUri === undefined) throw invalid(source, `there is no run ${runId ?? ''}`);
    return path ? `${artifactUri}/${path}` : artifactUri;
  }
  if (scheme === 'models') return resolveModel(source, rest.replace(/^\/+/, ''), lookups, passed);
  return source;
}

async function resolveModel(
  source: string,
  path: string,
  lookups: SourceLookups,
  passed: string[],
): Promise<string> {
  const aliased = /^([^/@]+)@([\w-]+)$/.exec(path);
  const numbered = /^([^/]+)\/(\d+)$/.exec(path);
  const name = aliased?.[1] ?? numbered?.[1];
  if (name === undefined) {
    throw invalid(
      source,
      'logged models are not built yet; give models:/<name>/<version>, or where the files lie',
    );
  }
  const version = aliased ? await lookups.findAlias(name, aliased[2] as string) : Number(numbered?.[2]);
  const found = version === undefined ? undefined : await lookups.findVersion(name, version);
  if (!found) throw invalid(source, 'there is no such version');
  const place = `models:/${name}/${version}`;
  if (passed.includes(place)) {
    throw invalid(source, `it leads back to itself: ${[...passed, place].join(' -> ')}`);
  }
  if (passed.length === MAX_CHAIN) throw invalid(source, `it passes more than ${MAX_CHAIN} versions`);
  return resolveSource(found.source, lookups, [...passed, place]);
}

function splitScheme(source: string): [string | undefined, string] {
  const [, scheme, rest] = /^([A-Za-z][A-Za-z0-9+.-]+):(.*)$/.exec(source) ?? [];
  return [scheme?.toLowerCase(), rest ?? source];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const invalid = (source: string, reason: string) =>
  new ApiError('INVALID_PARAMETER_VALUE', `Invalid model version source: '${source}': ${reason}`);
