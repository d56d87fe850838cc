import { setTimeout } from 'node:timers/promises';
import type { Command } from 'commander';
import type { HttpClient } from './http/http-client.ts';
import { controlPlane } from './http/http-client.ts';
import { describeServed, type Served, waitUntilServed } from './http/wait-until-served.ts';
import { followRollout, refuseUnlessServing } from './rollout.ts';
import type { Act } from './terminal/act.ts';
import { CliError, usageError } from './terminal/cli-error.ts';
import { formatNumber } from './terminal/format-values.ts';
import { parseModelRef, withExamples, withUrl } from './terminal/options.ts';
import type { Terminal } from './terminal/terminal.ts';

export interface Promotion {
  name: string;
  from?: string;
  to: string;
  changed: boolean;
  /** rollout: it begins to serve, step by step. */
  outcome: 'promoted' | 'rollout' | 'unchanged';
  rollout?: string;
  decision: { verdict: string; summary: string; evidence?: GateEvidence };
}

interface JudgementState {
  what: 'promotion' | 'labels';
  model: string;
  version: string;
  state: 'running' | 'waiting';
  for_ms: number;
}

/** A judgement that is over sooner needs no word. */
const TELL_AFTER_MS = 2000;

interface PromoteOptions {
  reason?: string;
  force?: boolean;
  now?: boolean;
  wait?: boolean;
  url?: string;
}

export function configurePromote(command: Command, act: Act): void {
  command
    .argument('<model>', 'NAME or NAME/VERSION')
    .argument('[version]', 'the version to promote (default: the newest one)')
    .option('--reason <text>', 'why; kept in the audit log')
    .option('--force', 'pass the gate whatever it says; asks for --reason')
    .option('--now', "move all requests at once, whatever the rollout's steps are")
    .option('--wait', 'wait until the rollout has ended, or asks for a decision')
    .action(
      act(async (terminal, model: string, version: string | undefined, options: PromoteOptions) => {
        const ref = parseModelRef(model);
        if (options.force && !options.reason) throw usageError('--force needs --reason "…": it is audited');
        const client = controlPlane(options, terminal.io.env);
        const named = version ?? ref.version;
        const chosen = named ?? (await newestVersion(client, ref.name));
        if (named === undefined) terminal.note(`promotes the newest: ${ref.name}/${chosen}`);
        const promotion = await promote(client, ref.name, chosen, {
          ...options,
          onWait: (words) => terminal.note(words),
        });
        const served = await waitUntilPromoted(client, promotion);
        showPromotion(terminal, promotion, served);
        const isAwaited = options.wait && promotion.outcome === 'rollout';
        const rollout = isAwaited ? await followRollout(terminal, client, ref.name) : undefined;
        terminal.document({ ...promotion, served, ...(rollout && { followed: rollout }) });
        if (rollout) refuseUnlessServing(rollout);
      }),
    );
  withUrl(command);
  withExamples(command, [
    ['tidemill promote iris', 'the newest version'],
    ['tidemill promote iris/2 --reason "fixes the labels of May"', ''],
    ['tidemill promote iris/2 --force --reason "champion cannot score the new columns"', ''],
    ['tidemill promote iris/2 --now', 'no canary, whatever the project says'],
  ]);
}

/** Asks the control plane to promote; a refusal of the gate becomes exit status 4. */
export async function promote(
  client: HttpClient,
  name: string,
  version: string,
  {
    reason,
    force,
    now,
    onWait,
  }: {
    reason?: string | undefined;
    force?: boolean | undefined;
    now?: boolean | undefined;
    /** Told what a promotion that takes long waits for, whenever that changes. */
    onWait?: ((words: string) => void) | undefined;
  },
): Promise<Promotion> {
  const answered = new AbortController();
  const telling = onWait && tellWaiting(client, { name, version, onWait, signal: answered.signal });
  try {
    return await client.post<Promotion>(
      `/api/v1/models/${encodeURIComponent(name)}/promote`,
      { version, ...(reason !== undefined && { reason }), ...(force && { force }), ...(now && { now }) },
      // The comparison scores up to 20,000 held-out rows with both models.
      { timeoutMs: 120_000 },
    );
  } catch (error) {
    if (error instanceof CliError && error.code === 'RESOURCE_CONFLICT') {
      throw new CliError(error.message, {
        exit: 'refused',
        code: error.code,
        ...(error.details && { details: error.details }),
      });
    }
    throw error;
  } finally {
    answered.abort();
    await telling;
  }
}

/** Says now and then what stands before a promotion; what cannot be asked is not said. */
async function tellWaiting(
  client: HttpClient,
  asked: { name: string; version: string; onWait: (words: string) => void; signal: AbortSignal },
): Promise<void> {
  const { name, version, onWait, signal } = asked;
  let told = '';
  try {
    while (!signal.aborted) {
      await setTimeout(TELL_AFTER_MS, undefined, { signal });
      const { judgements } = await client.get<{ judgements: JudgementState[] }>('/api/v1/judgements');
      const words = describeWaiting(judgements, name, version);
      if (words !== undefined && words !== told && !signal.aborted) onWait(words);
      told = words ?? told;
    }
  } catch {
    // The promotion was answered, or the server does not say: its answer tells all that matters.
  }
}

/** Undefined where nothing of it is known. */
export function describeWaiting(
  judgements: readonly JudgementState[],
  name: string,
  version: string,
): string | undefined {
  const promotions = judgements.filter(({ what }) => what === 'promotion');
  const mine = promotions.find((each) => each.model === name && each.version === version);
  if (mine === undefined) return undefined;
  if (mine.state === 'running') return `${name}/${version} and what serves score the held-out rows`;
  const running = promotions.find(({ state }) => state === 'running');
  const others = promotions.filter((each) => each.state === 'waiting' && each !== mine).length;
  const before = running ? `the judgement of ${running.model}/${running.version}` : 'its turn';
  return `${name}/${version} waits for ${before}${others === 0 ? '' : `; ${others} more ${others === 1 ? 'waits' : 'wait'}`}`;
}

/** Waits until the version serves; while it is rolled out, what served goes on serving. */
export function waitUntilPromoted(client: HttpClient, promotion: Promotion): Promise<Served> {
  const { name, outcome, from, to } = promotion;
  return waitUntilServed(client, name, outcome === 'rollout' && from !== undefined ? from : to);
}

export function showPromotion(
  terminal: Terminal,
  { name, from, to, outcome, rollout, decision }: Promotion,
  served: Served,
): void {
  const { colors } = terminal;
  // The summary of a forced one says so itself, behind what was measured.
  const why = `  ${decision.verdict === 'forced' ? '' : `${decision.verdict}: `}${decision.summary}`;
  if (outcome === 'rollout') {
    const how =
      decision.verdict === 'forced'
        ? 'is forced past the gate and rolled out'
        : 'passed the gate and is rolled out';
    terminal.line(`${colors.green('✓')} ${name}: version ${to} ${how} beside ${from} (${rollout})`);
    terminal.line(why);
    showChecks(terminal, decision.evidence);
    terminal.line(`  see it: tidemill rollout show ${name}; end it: tidemill rollout abort ${name}`);
    return;
  }
  if (outcome === 'unchanged') terminal.line(`${name} version ${to} serves already`);
  else {
    terminal.line(`${colors.green('✓')} ${name}: version ${to} serves${from ? `, instead of ${from}` : ''}`);
    terminal.line(why);
    showChecks(terminal, decision.evidence);
  }
  terminal.line(`  ${describeServed(name, served)}`);
}

interface GateEvidence {
  checks?: { name: string; state: string; words: string }[];
  comparison?: { mcnemar?: { p: number }; delong?: { p: number } };
  notes?: string[];
}

/** What a reader should know besides: checks that warn, and tests that decide nothing. */
function showChecks(terminal: Terminal, evidence: GateEvidence | undefined): void {
  const { checks = [], comparison, notes = [] } = evidence ?? {};
  for (const { name, state, words } of checks)
    if (state === 'warning' || state === 'blocked') terminal.line(`  ${name}: ${state}, ${words}`);
  const tests = [
    ...(comparison?.mcnemar ? [`McNemar p = ${formatNumber(comparison.mcnemar.p)}`] : []),
    ...(comparison?.delong ? [`DeLong p = ${formatNumber(comparison.delong.p)}`] : []),
  ];
  if (tests.length > 0) terminal.line(`  ${tests.join(', ')}: take rows as independent, decide nothing`);
  for (const note of notes) terminal.line(`  note: ${note}`);
}

async function newestVersion(client: HttpClient, name: string): Promise<string> {
  const model = await client.get<{ latest_version?: string }>(`/api/v1/models/${encodeURIComponent(name)}`);
  if (model.latest_version === undefined) throw new CliError(`${name} has no versions to promote`);
  return model.latest_version;
}
