import { ApiError, type App, requestSignal } from '../platform/index.ts';
import * as contract from './contract.ts';
import type { Jobs } from './create-jobs.ts';
import { clean } from './store/job-error.ts';
import type { JobRun, JobStep, LogLine } from './store/run-store.ts';
import { FINISHED } from './store/tables.ts';

/** Another replica's doings are not heard in this process: a waiting question looks for them this often. */
const REPLICA_POLL_MS = 500;

/** Runs of flows: what they do, what they say, and what a person may do to them. */
export function jobRoutes({ jobs }: { jobs: Jobs }): (app: App) => void {
  async function detail(runId: string) {
    const [run, steps] = await Promise.all([jobs.get(runId), jobs.store.steps(runId)]);
    return {
      ...toWire(run),
      key: run.key,
      input: run.input ?? null,
      ...(run.output !== undefined && { output: run.output }),
      log_lines: run.logLines,
      steps: steps.map(stepToWire),
    };
  }

  async function readLog(runId: string, after: number, limit: number) {
    // The run first: a line that was written before it ended is then among the lines.
    const run = await jobs.get(runId);
    const [lines, steps] = await Promise.all([jobs.store.log(runId, after, limit), jobs.store.steps(runId)]);
    return { run, lines, steps };
  }

  return (app) => {
    const tags = ['jobs'];

    app.get(
      '/api/v1/jobs',
      {
        schema: {
          tags,
          summary: 'List jobs: retrainings and other runs of several steps',
          querystring: contract.listQuery,
          response: { 200: contract.listSchema },
        },
      },
      async ({ query }) => {
        const before = readToken(query.page_token);
        const found = await jobs.list({
          limit: query.limit + 1,
          ...(query.flow !== undefined && { flow: query.flow }),
          ...(query.subject !== undefined && { subject: query.subject }),
          ...(query.status !== undefined && { status: query.status }),
          ...(before !== undefined && { before }),
        });
        const page = found.slice(0, query.limit);
        return {
          jobs: page.map(toWire),
          ...(found.length > page.length && { next_page_token: String(page.at(-1)?.sequence) }),
        };
      },
    );

    app.get(
      '/api/v1/jobs/:run_id',
      {
        schema: {
          tags,
          summary: 'A job with its steps, their attempts and results',
          params: contract.runParams,
          response: { 200: contract.detailSchema },
        },
      },
      ({ params }) => detail(params.run_id),
    );

    app.get(
      '/api/v1/jobs/:run_id/logs',
      {
        schema: {
          tags,
          summary: 'What the steps of a job say; with wait_ms it waits for more',
          params: contract.runParams,
          querystring: contract.logQuery,
          response: { 200: contract.logSchema },
        },
        config: { logLevel: 'debug' as const },
      },
      async ({ params: { run_id: runId }, query }, reply) => {
        const signal = requestSignal(app, reply);
        const end = performance.now() + query.wait_ms;
        for (;;) {
          const waitMs = Math.min(end - performance.now(), REPLICA_POLL_MS);
          const stop = new AbortController();
          // The wait begins before the look, so that a change between the two is not missed.
          const woken = jobs.changes.wait(Math.max(0, waitMs), AbortSignal.any([signal, stop.signal]));
          try {
            const found = await readLog(runId, query.after, query.limit);
            const answer = logToWire(found, query.after);
            const isNews =
              found.lines.length > 0 ||
              FINISHED.includes(found.run.status) ||
              (query.seen !== undefined && query.seen !== answer.state);
            if (isNews || waitMs <= 0 || signal.aborted) return answer;
            await woken;
          } finally {
            stop.abort();
          }
        }
      },
    );

    acting('cancel', 'End a job for good, whatever it is at');
    acting('retry', 'Let a job that failed or was cancelled go on at the step that it failed at');
    deciding('approve', 'Approve what a job waits for', contract.actRequest);
    deciding('reject', 'Reject what a job waits for', contract.rejectRequest);

    function acting(verb: 'cancel' | 'retry', summary: string): void {
      app.post(
        `/api/v1/jobs/:run_id/${verb}`,
        {
          schema: {
            tags,
            summary,
            params: contract.runParams,
            body: contract.actRequest,
            response: { 200: contract.detailSchema },
          },
        },
        async ({ params, body, actor }) => {
          await jobs[verb](params.run_id, operator(actor, body?.reason));
          return detail(params.run_id);
        },
      );
    }

    function deciding(
      verb: 'approve' | 'reject',
      summary: string,
      body: typeof contract.actRequest | typeof contract.rejectRequest,
    ): void {
      app.post(
        `/api/v1/jobs/:run_id/steps/:step/${verb}`,
        {
          schema: {
            tags,
            summary,
            params: contract.stepParams,
            body,
            response: { 200: contract.detailSchema },
          },
        },
        async ({ params, body: said, actor }) => {
          const answer = { approved: verb === 'approve', ...operator(actor, said?.reason) };
          await jobs.approve(params.run_id, params.step, answer);
          return detail(params.run_id);
        },
      );
    }
  };
}

const operator = (actor: string, reason: string | undefined) => ({
  actor,
  ...(reason !== undefined && { reason: clean(reason) }),
});

function readToken(token: string | undefined): number | undefined {
  if (token === undefined || token === '') return undefined;
  if (!/^\d{1,15}$/.test(token)) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `'page_token' is '${token.slice(0, 60)}': it must be the next_page_token of an earlier answer`,
    );
  }
  return Number(token);
}

const given = <K extends string, V>(key: K, value: V | undefined) =>
  (value === undefined ? {} : { [key]: value }) as { [key in K]?: V };

function toWire(run: JobRun) {
  return {
    run_id: run.runId,
    flow: run.flow,
    subject: run.subject,
    status: run.status,
    trigger: run.trigger,
    actor: run.actor,
    created_at: run.createdAt,
    ...given('started_at', run.startedAt),
    ...given('finished_at', run.finishedAt),
    work_ms: run.workMs,
    ...given('waiting_for', run.waitingFor),
    ...given('wake_at', run.wakeAt),
    ...given('failed_step', run.failedStep),
    ...given('error', run.error),
  };
}

function stepToWire(step: JobStep) {
  return {
    step: step.step,
    kind: step.kind,
    status: step.status,
    started_at: step.startedAt,
    ...given('finished_at', step.finishedAt),
    work_ms: step.workMs,
    ...given('progress', step.progress),
    ...given('progress_note', step.progressNote),
    ...given('wake_at', step.wakeAt),
    ...given('result', step.result),
    ...given('error', step.error),
    attempts: step.attempts.map((each) => ({
      attempt: each.attempt,
      started_at: each.startedAt,
      ...given('finished_at', each.finishedAt),
      ...given('work_ms', each.workMs),
      ...given('outcome', each.outcome),
      ...given('error', each.error),
    })),
    ...(step.approval && {
      approval: {
        question: step.approval.question,
        ...given('deciders', step.approval.deciders),
        not_by_starter: step.approval.forbidSelf,
        ...given('approved', step.approval.approved),
        ...given('by', step.approval.by),
        ...given('at', step.approval.at),
        ...given('reason', step.approval.reason),
      },
    }),
  };
}

function logToWire(
  { run, lines, steps }: { run: JobRun; lines: LogLine[]; steps: JobStep[] },
  after: number,
) {
  const current = steps.findLast(({ status }) => status === 'running' || status === 'retrying');
  const state = steps.map((step) => `${step.status[0]}${step.attempts.length}`).join('');
  return {
    status: run.status,
    state: `${run.status}.${state}.${current?.progress ?? ''}`,
    lines,
    next: lines.at(-1)?.line ?? after,
    ...given('step', current?.step ?? run.waitingFor),
    ...given('progress', current?.progress),
    ...given('progress_note', current?.progressNote),
  };
}
