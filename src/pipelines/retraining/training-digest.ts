import { createHash } from 'node:crypto';
import { canonicalJson } from '../../platform/index.ts';
import type { IngestedWindow } from './ingested-window.ts';
import type { RetrainInput } from './retrain-input.ts';

/** Names what a training learns from and how: the same digest gives the same model. */
export function trainingDigest(
  { config }: Pick<RetrainInput, 'config'>,
  { digest, to }: Pick<IngestedWindow, 'digest' | 'to'>,
): string {
  const { train, features, data, gate } = config;
  const { target, id, time, ignore } = data;
  const how = { digest, to, train, features, target, id, time, ignore, evaluate: gate?.evaluate };
  return createHash('sha256')
    .update(canonicalJson(JSON.parse(JSON.stringify(how))))
    .digest('hex');
}
