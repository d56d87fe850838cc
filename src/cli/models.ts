import type { Command } from 'commander';
import { controlPlane } from './http/http-client.ts';
import type { Act } from './terminal/act.ts';
import { withExamples, withUrl } from './terminal/options.ts';
import { showFirstMetrics } from './terminal/show-metrics.ts';
import { formatBytes, formatTime, type Terminal } from './terminal/terminal.ts';

interface ModelSummary {
  name: string;
  versions: number;
  latest_version?: string;
  aliases: Record<string, string>;
  champion?: { version: string; by: string; servable: boolean };
  updated_at: number;
}

interface ModelDetails extends ModelSummary {
  description?: string;
  history: Move[];
  model_versions: {
    version: string;
    created_at: number;
    stage: string;
    aliases?: string[];
    run_id?: string;
    servable: boolean;
    not_servable_reason?: string;
    size_bytes?: number;
    metrics?: Record<string, number>;
  }[];
}

/** What a promotion brought, against what it took the place of. */
interface Gain {
  version: string;
  predecessor: string;
  from: number;
  summary: string;
}

interface RolloutSummary {
  id: string;
  version: string;
  state: string;
  weight: number;
  gain?: Gain;
}

/** Whether its version answers some requests, or copies of them, beside the champion. */
const isOpen = ({ state }: RolloutSummary): boolean => ['shadow', 'canary', 'paused'].includes(state);

/** The newest. */
const SHOWN_GAINS = 5;

export interface Move {
  at: number;
  action: string;
  from?: string;
  to?: string;
  actor: string;
  reason?: string;
}

export function configureModels(command: Command, act: Act): void {
  command.argument('[name]', 'show this model').action(
    act(async (terminal, name: string | undefined, options: { url?: string }) => {
      const client = controlPlane(options, terminal.io.env);
      if (name !== undefined) {
        const path = `/api/v1/models/${encodeURIComponent(name)}`;
        const model = await client.get<ModelDetails>(path);
        const { rollouts } = await client.get<{ rollouts: RolloutSummary[] }>(`${path}/rollouts`);
        const gains = rollouts.flatMap(({ gain }) => gain ?? []).slice(0, SHOWN_GAINS);
        terminal.document({ ...model, gains });
        showModel(terminal, model, rollouts.find(isOpen));
        showGains(terminal, gains);
        return;
      }
      const answer = await client.get<{ models: ModelSummary[] }>('/api/v1/models');
      terminal.document(answer);
      if (answer.models.length === 0) {
        terminal.line('No models yet. Train one: tidemill train FILE --target COLUMN --name NAME --promote');
        return;
      }
      terminal.table(
        ['model', 'versions', 'latest', 'champion', 'aliases', 'updated'],
        answer.models.map((model) => [
          model.name,
          model.versions,
          model.latest_version,
          model.champion && `${model.champion.version}${model.champion.servable ? '' : ' (not servable)'}`,
          listAliases(model.aliases),
          formatTime(model.updated_at),
        ]),
      );
    }),
  );
  withUrl(command);
  withExamples(command, [
    ['tidemill models', ''],
    ['tidemill models iris', 'versions, champion, history'],
  ]);
}

function showModel(terminal: Terminal, model: ModelDetails, open: RolloutSummary | undefined): void {
  const { colors } = terminal;
  terminal.line(`${colors.bold(model.name)}${model.description ? `  ${model.description}` : ''}`);
  terminal.line(
    model.champion
      ? `serves version ${model.champion.version} (by ${model.champion.by}${model.champion.servable ? '' : ', not servable'})`
      : `nothing serves yet: tidemill promote ${model.name} VERSION`,
  );
  if (open !== undefined) {
    const { id, version, state, weight } = open;
    terminal.line(
      `version ${version} is on its way in, ${state} at ${weight} %: \`tidemill rollout show ${model.name}\` (${id})${state === 'paused' ? '; nothing is retrained before somebody decides' : ''}`,
    );
  }
  terminal.line();
  const versions = model.model_versions;
  // What says the same of every version says nothing.
  const hasStages = versions.some(({ stage }) => stage !== 'None');
  const isServable = versions.every(({ servable }) => servable);
  terminal.table(
    [
      'version',
      ...(hasStages ? ['stage'] : []),
      'aliases',
      ...(isServable ? [] : ['servable']),
      'metrics',
      'size',
      'run',
      'created',
    ],
    versions.map((version) => [
      version.version,
      ...(hasStages ? [version.stage] : []),
      (version.aliases ?? []).join(', '),
      ...(isServable ? [] : [version.servable ? 'yes' : `no: ${version.not_servable_reason ?? 'unknown'}`]),
      showFirstMetrics(version.metrics ?? {}),
      version.size_bytes === undefined ? undefined : formatBytes(version.size_bytes),
      version.run_id?.slice(0, 8),
      formatTime(version.created_at),
    ]),
  );
  if (model.history.length === 0) return;
  terminal.line();
  showHistory(terminal, model.history);
}

function showGains(terminal: Terminal, gains: readonly Gain[]): void {
  if (gains.length === 0) return;
  terminal.line('\nWhat promotions gained, by the labels that came after them');
  for (const { version, from, summary } of gains)
    terminal.line(`  version ${version}, since ${formatTime(from)}: ${summary}`);
}

/** Prints who moved what serves, newest first. */
export function showHistory(terminal: Terminal, history: Move[]): void {
  terminal.table(
    ['when', 'what', 'from', 'to', 'by', 'why'],
    history.map((move) => [formatTime(move.at), move.action, move.from, move.to, move.actor, move.reason]),
  );
}

function listAliases(aliases: Record<string, string>): string {
  return Object.entries(aliases)
    .map(([alias, version]) => `${alias}=${version}`)
    .join(' ');
}
