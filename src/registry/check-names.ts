import { ApiError } from '../platform/index.ts';
import { STAGES, type Stage } from './tables.ts';

export const MAX_TAG_VALUE_LENGTH = 100_000;
const MAX_NAME_LENGTH = 256;
const MAX_ALIAS_LENGTH = 255;
const MAX_TAG_KEY_LENGTH = 250;
const MAX_DESCRIPTION_LENGTH = 100_000;

/** A registered model's name is part of paths and of `models:/name/version`, so '/' and ':' cannot be in it. */
export function checkModelName(name: string): void {
  if (name.trim() === '') throw invalid(`Missing value for required parameter 'name'.`);
  if (name.length > MAX_NAME_LENGTH) {
    throw invalid(
      `Invalid model name: it has ${name.length} characters, at most ${MAX_NAME_LENGTH} are allowed`,
    );
  }
  if (/[/:\p{Cc}]/u.test(name) || name === '.' || name === '..') {
    throw invalid(
      `Invalid model name: '${name}'. Registered model names cannot contain '/', ':' or control characters`,
    );
  }
}

/** `latest` and `v3` would read like versions where a client names one. */
export function checkAlias(alias: string): void {
  if (alias.length > MAX_ALIAS_LENGTH) {
    throw invalid(
      `Invalid alias name: it has ${alias.length} characters, at most ${MAX_ALIAS_LENGTH} are allowed`,
    );
  }
  if (!/^[\w-]+$/.test(alias)) {
    throw invalid(
      `Invalid alias name: '${alias}'. Names may only contain letters, digits, underscores and dashes`,
    );
  }
  if (alias.toLowerCase() === 'latest')
    throw invalid(`'${alias}' alias name (case insensitive) is reserved.`);
  if (/^v\d+$/i.test(alias)) {
    throw invalid(`Version alias name '${alias}' is reserved: it reads like a version's number`);
  }
}

/** @returns the stage in its canonical case. */
export function readStage(text: string): Stage {
  const stage = STAGES.find((each) => each.toLowerCase() === text.toLowerCase());
  if (!stage)
    throw invalid(`Invalid Model Version stage: ${text}. Value must be one of ${STAGES.join(', ')}.`);
  return stage;
}

export function readVersion(text: string): number {
  const version = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(version >= 1)) throw invalid(`Model version must be an integer from 1, got '${text}'`);
  return version;
}

export function checkRegistryTag({ key, value }: { key: string; value: string }): void {
  if (key === '') throw invalid('Tag name cannot be empty');
  if (key.length > MAX_TAG_KEY_LENGTH) {
    throw invalid(
      `Invalid tag name: it has ${key.length} characters, at most ${MAX_TAG_KEY_LENGTH} are allowed`,
    );
  }
  if (value.length > MAX_TAG_VALUE_LENGTH) {
    throw invalid(
      `Invalid value of tag '${key}': it has ${value.length} characters, at most ${MAX_TAG_VALUE_LENGTH} are allowed`,
    );
  }
}

export function checkDescription(description: string): void {
  if (description.length > MAX_DESCRIPTION_LENGTH) {
    throw invalid(
      `The description has ${description.length} characters, at most ${MAX_DESCRIPTION_LENGTH} are allowed`,
    );
  }
}

const invalid = (message: string) => new ApiError('INVALID_PARAMETER_VALUE', message);
