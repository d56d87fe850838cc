import { setTimeout } from 'node:timers/promises';
import type { Command } from 'commander';
import { controlPlane, type HttpClient } from './http/http-client.ts';
import type { Act } from './terminal/act.ts';
import { CliError, usageError } from './terminal/cli-error.ts';
import { withExamples, withUrl } from './terminal/options.ts';
import { formatDuration, formatTime, type Terminal } from './terminal/terminal.ts';

interface Decision {
  id: number;
  at: number;
  verdict: string;
  outcome: string;
  summary: string;
  actor: string;
  reason?: string;
}

export interface RolloutDetail {
  id: string;
  model: string;
  version: string;
  champion: string;
  state: 'shadow' | 'canary' | 'paused' | 'watching' | 'done' | 'undone' | 'aborted';
  goes_on_in?: string;
  weight: number;
  steps: number[];
  step: number;
  started_at: number;
  step_started_at: number;
  step_ends_at?: number;
  watched_until?: number;
  ended_at?: number;
  actor: string;
  note?: string;
  evidence?: Record<string, unknown>;
  gain?: { summary: string };
  decisions: Decision[];
}

interface HandOptions {
  reason?: string;
  skip?: boolean;
  url?: string;
}

const POLL_MS = 500;

export function configureRollout(command: Command, act: Act): void {
  const show = withUrl(
    command.command('show', { isDefault: true }).description('show where a rollout stands'),
  )
    .argument('<model>', 'the model')
    .argument('[id]', 'a rollout of it (default: the one under way, else the newest)')
    .action(
      act(async (terminal, model: string, id: string | undefined, options: { url?: string }) => {
        if (HANDS.some(({ name }) => name === id))
          throw usageError(`write the word first: tidemill rollout ${id} ${model}`);
        const rollout = await readRollout(controlPlane(options, terminal.io.env), model, id);
        terminal.document(rollout);
        showRollout(terminal, rollout);
      }),
    );
  withExamples(show, [['tidemill rollout show churn', 'state, weight, evidence, decisions']]);

  for (const { name, summary, done, example } of HANDS) {
    const hand = withUrl(command.command(name).description(summary))
      .argument('<model>', 'the model')
      .option('--reason <text>', 'why; kept in the audit log');
    if (name === 'resume') hand.option('--skip', 'pass the step without waiting for evidence');
    hand.action(
      act(async (terminal, model: string, options: HandOptions) => {
        const client = controlPlane(options, terminal.io.env);
        const rollout = await client.post<RolloutDetail>(`${rolloutsOf(model)}/current/${name}`, {
          ...(options.reason !== undefined && { reason: options.reason }),
          ...(options.skip && { skip: true }),
        });
        terminal.document(rollout);
        terminal.line(`${terminal.colors.green('✓')} ${model}: rollout ${rollout.id} ${done(rollout)}`);
        showRollout(terminal, rollout);
      }),
    );
    withExamples(hand, [[example, '']]);
  }
}

const HANDS = [
  {
    name: 'pause',
    summary: 'hold the rollout where it is; bad evidence still undoes it',
    done: () => 'is paused',
    example: 'tidemill rollout pause churn --reason "looks odd"',
  },
  {
    name: 'resume',
    summary: 'let a paused rollout go on, or pass its step',
    done: ({ state }: RolloutDetail) =>
      state === 'watching' || state === 'done' ? 'has ended: it serves' : 'goes on',
    example: 'tidemill rollout resume churn --skip --reason "no traffic at night"',
  },
  {
    name: 'abort',
    summary: 'end the rollout; the champion answers everything again',
    done: () => 'is aborted',
    example: 'tidemill rollout abort churn --reason "wrong file"',
  },
] as const;

const rolloutsOf = (model: string) => `/api/v1/models/${encodeURIComponent(model)}/rollouts`;

function readRollout(client: HttpClient, model: string, id = 'current'): Promise<RolloutDetail> {
  return client.get<RolloutDetail>(`${rolloutsOf(model)}/${encodeURIComponent(id)}`);
}

function showRollout(terminal: Terminal, rollout: RolloutDetail): void {
  const { id, model, version, champion, state, weight, steps, evidence, decisions } = rollout;
  terminal.line(
    `${model}: rollout ${id}, version ${version} beside ${champion}, ${state}${isServing(state) ? '' : ` at ${weight} %`}`,
  );
  terminal.line(`  steps    ${steps.map((each) => `${each} %`).join(' -> ')}`);
  terminal.line(`  begun    ${formatTime(rollout.started_at)} by ${rollout.actor}`);
  if (rollout.step_ends_at !== undefined) {
    const length = formatDuration(rollout.step_ends_at - rollout.step_started_at);
    terminal.line(`  step     since ${formatTime(rollout.step_started_at)}, takes ${length} or more`);
  }
  if (state === 'watching')
    terminal.line(`  watched  until ${formatTime(rollout.watched_until)}: late labels may still undo it`);
  if (rollout.gain) terminal.line(`  gained   ${rollout.gain.summary}`);
  if (rollout.note !== undefined) terminal.line(`  note     ${rollout.note}`);
  for (const kind of ['errors', 'latency', 'labels', 'loss', 'scores', 'disagreement']) {
    const found = evidence?.[kind] as { state: string; words: string } | undefined;
    if (found) terminal.line(`  ${kind.padEnd(8)} ${found.state}: ${found.words}`);
  }
  terminal.line('');
  terminal.table(
    ['at', 'outcome', 'by', 'why'],
    decisions.map(({ at, outcome, actor, reason, summary }) => [
      formatTime(at),
      outcome,
      actor,
      reason === undefined ? summary : `${reason} (${summary})`,
    ]),
  );
}

const isServing = (state: RolloutDetail['state']) => state === 'watching' || state === 'done';

/** Tells every change of a rollout until it has ended or asks for a decision. */
export async function followRollout(
  terminal: Terminal,
  client: HttpClient,
  model: string,
): Promise<RolloutDetail> {
  let told = '';
  for (;;) {
    const rollout = await readRollout(client, model);
    const { state, weight } = rollout;
    const now = isServing(state) ? `version ${rollout.version} serves` : `${state} at ${weight} %`;
    if (now !== told) terminal.note(`${formatTime(Date.now())}  ${now}`);
    told = now;
    if (state !== 'shadow' && state !== 'canary') return rollout;
    await setTimeout(POLL_MS);
  }
}

/** A rollout that was waited for and did not end well is exit status 4, as a refusal of the gate is. */
export function refuseUnlessServing({ state, model, version, note }: RolloutDetail): void {
  if (isServing(state)) return;
  throw new CliError(
    `${model}: version ${version} does not serve, its rollout is ${state}: ${note ?? 'no reason given'}`,
    {
      exit: 'refused',
    },
  );
}
