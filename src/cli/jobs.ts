import type { Command } from 'commander';
import { followJob, type Job, type JobDetail, showLines } from './http/follow-job.ts';
import { controlPlane, type HttpClient, type Query } from './http/http-client.ts';
import type { Act } from './terminal/act.ts';
import { CliError, usageError } from './terminal/cli-error.ts';
import { interruption } from './terminal/interruption.ts';
import { parseCount, withExamples, withUrl } from './terminal/options.ts';
import { formatDuration, formatTime, type Terminal } from './terminal/terminal.ts';

interface ListOptions {
  flow?: string;
  model?: string;
  status?: string;
  limit: number;
  url?: string;
}

interface ActOptions {
  reason?: string;
  follow?: boolean;
  url?: string;
}

const WHICH =
  'the job; the first characters of its id, or the name of a model for its newest job, are enough';

export function configureJobs(command: Command, act: Act): void {
  const list = withUrl(
    command.command('list', { isDefault: true }).description('list the jobs, the newest first'),
  )
    .option('--model <name>', 'only those of this model')
    .option('--flow <name>', 'only those of this kind, such as retrain')
    .option('--status <list>', 'only pending, running, waiting, succeeded, failed or cancelled ones')
    .option('--limit <count>', 'how many', parseCount, 20)
    .action(
      act(async (terminal, options: ListOptions, { args }: Command) => {
        if (args[0] !== undefined) {
          throw usageError(
            `jobs takes list, show, logs, cancel, approve, reject or retry: to see one, \`tidemill jobs show ${args[0]}\``,
          );
        }
        const answer = await controlPlane(options, terminal.io.env).get<{ jobs: Job[] }>('/api/v1/jobs', {
          limit: options.limit,
          subject: options.model,
          flow: options.flow,
          status: options.status,
        });
        terminal.document(answer);
        showJobs(terminal, answer.jobs);
      }),
    );
  list.allowExcessArguments();
  withExamples(list, [
    ['tidemill jobs', ''],
    ['tidemill jobs list --model flights --status failed,waiting', ''],
  ]);

  const show = withUrl(command.command('show').description('show a job: steps, attempts, errors, approvals'))
    .argument('<job>', WHICH)
    .action(
      act(async (terminal, job: string, options: { url?: string }) => {
        const found = await findJob(controlPlane(options, terminal.io.env), job);
        terminal.document(found);
        showJob(terminal, found);
      }),
    );
  withExamples(show, [['tidemill jobs show flights', "the model's newest job"]]);

  const logs = withUrl(command.command('logs').description('print what the steps of a job say'))
    .argument('<job>', WHICH)
    .option('-f, --follow', 'go on until the job is over or waits for somebody')
    .action(
      act(async (terminal, job: string, { follow, url }: { follow?: boolean; url?: string }) => {
        const client = controlPlane({ ...(url !== undefined && { url }) }, terminal.io.env);
        const { run_id: runId } = await findJob(client, job);
        if (follow) {
          const { ended, lines } = await followJob(terminal, client, runId, interruption(terminal.io));
          terminal.document({ ...ended, lines });
          refuseUnlessDone(terminal, ended);
          return;
        }
        const lines = await readLines(client, runId);
        terminal.document({ run_id: runId, lines });
        showLines(terminal, lines);
        if (lines.length === 0) terminal.note(`${runId} has said nothing yet`);
      }),
    );
  withExamples(logs, [['tidemill jobs logs flights -f', 'live, with progress']]);

  acting('cancel', 'end a job for good');
  acting('retry', 'let a job that failed or was cancelled go on where it failed', true);
  deciding('approve', 'approve what a job waits for', true);
  deciding('reject', 'reject what a job waits for', false);

  function acting(verb: 'cancel' | 'retry', description: string, follows = false): void {
    const made = withUrl(command.command(verb).description(description))
      .argument('<job>', WHICH)
      .option('--reason <text>', 'why; kept in the audit');
    if (follows) made.option('-f, --follow', 'print what it says until it is over');
    made.action(
      act(async (terminal, job: string, { reason, follow, ...options }: ActOptions) => {
        const client = controlPlane(options, terminal.io.env);
        const { run_id: runId } = await findJob(client, job);
        const done = await client.post<JobDetail>(
          `${pathOf(runId)}/${verb}`,
          reason === undefined ? {} : { reason },
        );
        const word = verb === 'cancel' ? 'cancelled' : 'goes on';
        terminal.line(`${terminal.colors.green('✓')} ${runId} ${word}`);
        await showEnd(terminal, client, done, follow);
      }),
    );
    withExamples(made, [[`tidemill jobs ${verb} retrain-3f2a9c01d7e4`, '']]);
  }

  function deciding(verb: 'approve' | 'reject', description: string, approved: boolean): void {
    const made = withUrl(command.command(verb).description(description))
      .argument('<job>', WHICH)
      .argument('[step]', 'the step that asks (default: the one that it waits for)');
    if (approved) made.option('--reason <text>', 'why; kept in the audit');
    else made.requiredOption('--reason <text>', 'why; kept in the audit');
    made.option('-f, --follow', 'print what it says until it is over').action(
      act(
        async (
          terminal,
          job: string,
          step: string | undefined,
          { reason, follow, ...options }: ActOptions,
        ) => {
          const client = controlPlane(options, terminal.io.env);
          const found = await findJob(client, job);
          const name = step ?? waitingStep(found);
          const done = await client.post<JobDetail>(
            `${pathOf(found.run_id)}/steps/${encodeURIComponent(name)}/${verb}`,
            reason === undefined ? {} : { reason },
          );
          terminal.line(
            `${terminal.colors.green('✓')} ${name} of ${found.run_id} is ${approved ? 'approved' : 'rejected'}`,
          );
          await showEnd(terminal, client, done, follow);
        },
      ),
    );
    const because = approved ? '' : ' --reason "too few rows"';
    withExamples(made, [[`tidemill jobs ${verb} flights${because}`, '']]);
  }
}

async function showEnd(
  terminal: Terminal,
  client: HttpClient,
  done: JobDetail,
  follow: boolean | undefined,
): Promise<void> {
  if (!follow) return terminal.document(done);
  const { ended } = await followJob(terminal, client, done.run_id, interruption(terminal.io), done.log_lines);
  terminal.document(ended);
  refuseUnlessDone(terminal, ended);
}

const pathOf = (runId: string) => `/api/v1/jobs/${encodeURIComponent(runId)}`;

function waitingStep(job: JobDetail): string {
  const asking = job.steps.find(({ approval, status }) => approval !== undefined && status === 'waiting');
  if (asking === undefined) {
    throw new CliError(`${job.run_id} is ${job.status} and asks for no decision`, {
      code: 'RESOURCE_CONFLICT',
    });
  }
  return asking.step;
}

async function findJob(client: HttpClient, named: string): Promise<JobDetail> {
  const { jobs } = await client.get<{ jobs: Job[] }>('/api/v1/jobs', { limit: 1000 });
  const exact = jobs.find(({ run_id: id }) => id === named);
  const begun = jobs.filter(({ run_id: id }) => id.startsWith(named));
  const ofModel = jobs.find(({ subject }) => subject === named);
  if (exact === undefined && ofModel === undefined && begun.length > 1) {
    throw new CliError(`${begun.length} jobs begin with ${named}: give more characters`);
  }
  const found = exact ?? ofModel ?? begun[0];
  // One that is older than the newest thousand, or none: the server tells.
  return client.get<JobDetail>(pathOf(found?.run_id ?? named));
}

async function readLines(client: HttpClient, runId: string) {
  const lines: { line: number; at: number; step: string; attempt: number; text: string }[] = [];
  for (let after = 0; ; ) {
    const query: Query = { after, limit: 5000 };
    const answer = await client.get<{ lines: typeof lines; next: number }>(`${pathOf(runId)}/logs`, query);
    if (answer.lines.length === 0) return lines;
    lines.push(...answer.lines);
    after = answer.next;
  }
}

/** The exit status tells how a job that was followed ended. */
function refuseUnlessDone(terminal: Terminal, job: JobDetail): void {
  if (job.status === 'failed' || job.status === 'cancelled') {
    throw new CliError(
      `${job.run_id} ${job.status === 'failed' ? 'failed' : 'was cancelled'}${job.failed_step === undefined ? '' : ` at ${job.failed_step}`}: ${job.error?.message ?? 'without a word'}`,
    );
  }
  if (
    job.status === 'waiting' &&
    job.steps.some(({ approval, status }) => approval && status === 'waiting')
  ) {
    terminal.note(`it waits for a decision: \`tidemill jobs approve ${job.run_id}\`, or reject`);
  }
}

function showJobs(terminal: Terminal, jobs: Job[]): void {
  if (jobs.length === 0) {
    terminal.line('No jobs. A retraining is one: tidemill retrain MODEL');
    return;
  }
  terminal.table(
    ['job', 'model', 'status', 'trigger', 'by', 'created', 'work', ''],
    jobs.map((job) => [
      job.run_id,
      job.subject,
      job.status,
      job.trigger.kind,
      job.actor,
      formatTime(job.created_at),
      formatDuration(job.work_ms),
      remarkOf(job),
    ]),
  );
}

function remarkOf(job: Job): string {
  if (job.waiting_for !== undefined) return `waits at ${job.waiting_for}`;
  const at = job.failed_step === undefined ? '' : `${job.failed_step}: `;
  return job.error === undefined ? '' : `${at}${job.error.message}`.slice(0, 80);
}

function showJob(terminal: Terminal, job: JobDetail): void {
  const { colors } = terminal;
  terminal.line(
    `${colors.bold(job.run_id)}  ${job.status}${job.waiting_for ? `, waits at ${job.waiting_for}` : ''}`,
  );
  const why = (job.trigger.detail as { why?: unknown } | null | undefined)?.why;
  terminal.line(
    `${job.flow} of ${job.subject}, ${typeof why === 'string' ? `because: ${why}` : `by ${job.trigger.kind}`} (${job.actor})`,
  );
  terminal.line(
    `created ${formatTime(job.created_at)}, finished ${formatTime(job.finished_at)}, work ${formatDuration(job.work_ms)}`,
  );
  if (job.error)
    terminal.line(`${colors.red('✗')} ${job.failed_step ? `${job.failed_step}: ` : ''}${job.error.message}`);
  const { summary } = (job.output ?? {}) as { summary?: unknown };
  if (typeof summary === 'string') terminal.line(summary);
  if (job.steps.length === 0) return;
  terminal.line();
  terminal.table(
    ['step', 'status', 'attempts', 'work', ''],
    job.steps.map((step) => [
      step.step,
      step.status,
      step.attempts.length || undefined,
      step.kind === 'work' ? formatDuration(step.work_ms) : undefined,
      stepRemark(step),
    ]),
  );
}

function stepRemark({
  approval,
  error,
  kind,
  progress,
  progress_note: note,
  status,
  wake_at: wakeAt,
}: JobDetail['steps'][number]): string {
  if (approval) {
    if (approval.approved === undefined) return `asks: ${approval.question}`;
    const why = approval.reason === undefined ? '' : `: ${approval.reason}`;
    return `${approval.approved ? 'approved' : 'rejected'} by ${approval.by}${why}`;
  }
  if (kind === 'sleep') return status === 'waiting' ? `until ${formatTime(wakeAt)}` : '';
  if (status === 'running' && progress !== undefined) {
    return `${Math.floor(progress * 100)} %${note === undefined ? '' : ` ${note}`}`;
  }
  return error?.message.slice(0, 80) ?? '';
}
