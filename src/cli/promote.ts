import type { Command } from 'commander';
import type { Act } from './act.ts';
import { CliError, usageError } from './cli-error.ts';
import type { HttpClient } from './http-client.ts';
import { controlPlane } from './http-client.ts';
import { parseModelRef, withExamples, withUrl } from './options.ts';
import type { Terminal } from './terminal.ts';
import { describeServed, type Served, waitUntilServed } from './wait-until-served.ts';

export interface Promotion {
  name: string;
  from?: string;
  to: string;
  changed: boolean;
  decision: { verdict: string; summary: string; evidence?: unknown };
}

interface PromoteOptions {
  reason?: string;
  force?: boolean;
  url?: string;
}

export function configurePromote(command: Command, act: Act): void {
  command
    .argument('<model>', 'NAME or NAME/VERSION')
    .argument('[version]', 'the version to promote (default: the newest one)')
    .option('--reason <text>', 'why; kept in the audit log')
    .option('--force', 'skip the comparison with the champion; asks for --reason')
    .action(
      act(async (terminal, model: string, version: string | undefined, options: PromoteOptions) => {
        const ref = parseModelRef(model);
        if (options.force && !options.reason) throw usageError('--force needs --reason "…": it is audited');
        const client = controlPlane(options, terminal.io.env);
        const named = version ?? ref.version;
        const chosen = named ?? (await newestVersion(client, ref.name));
        if (named === undefined) terminal.note(`promotes the newest: ${ref.name}/${chosen}`);
        const promotion = await promote(client, ref.name, chosen, options);
        const served = await waitUntilServed(client, ref.name, promotion.to);
        terminal.document({ ...promotion, served });
        showPromotion(terminal, promotion, served);
      }),
    );
  withUrl(command);
  withExamples(command, [
    ['tidemill promote iris', 'the newest version'],
    ['tidemill promote iris/2 --reason "fixes the labels of May"', ''],
    ['tidemill promote iris/2 --force --reason "champion cannot score the new columns"', ''],
  ]);
}

/** Asks the control plane to promote; a refusal of the gate becomes exit status 4. */
export async function promote(
  client: HttpClient,
  name: string,
  version: string,
  { reason, force }: { reason?: string | undefined; force?: boolean | undefined },
): Promise<Promotion> {
  try {
    return await client.post<Promotion>(
      `/api/v1/models/${encodeURIComponent(name)}/promote`,
      { version, ...(reason !== undefined && { reason }), ...(force && { force }) },
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
  }
}

export function showPromotion(
  terminal: Terminal,
  { name, from, to, changed, decision }: Promotion,
  served: Served,
): void {
  const { colors } = terminal;
  if (!changed) terminal.line(`${name} version ${to} serves already`);
  else
    terminal.line(`${colors.green('✓')} ${name}: version ${to} serves${from ? `, instead of ${from}` : ''}`);
  // The summary of a forced one says so itself, behind what was measured.
  terminal.line(`  ${decision.verdict === 'forced' ? '' : `${decision.verdict}: `}${decision.summary}`);
  terminal.line(`  ${describeServed(name, served)}`);
}

async function newestVersion(client: HttpClient, name: string): Promise<string> {
  const model = await client.get<{ latest_version?: string }>(`/api/v1/models/${encodeURIComponent(name)}`);
  if (model.latest_version === undefined) throw new CliError(`${name} has no versions to promote`);
  return model.latest_version;
}
