import { afterEach, describe, expect, it } from 'vitest';
import { fixedClock, openTestDatabase, silentLogger } from '../../tests/support/index.ts';
import { runCapturedCli } from '../../tests/support/run-captured-cli.ts';
import { createTestApp } from '../../tests/support/test-app.ts';
import { createJobs, type FlowContext, type Jobs, jobRoutes } from '../jobs/index.ts';

const started: Jobs[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((jobs) => jobs.stop()));
});

async function platform(flows: Record<string, (flow: FlowContext) => Promise<unknown>>) {
  const database = await openTestDatabase('sqlite');
  const jobs = createJobs({ database, clock: fixedClock(), logger: silentLogger, flows, graceMs: 100 });
  started.push(jobs);
  await jobs.begin();
  const { app, start } = createTestApp();
  jobRoutes({ jobs })(app);
  const url = await start();
  return {
    run: async (flow: string, subject = 'flights') =>
      (await jobs.start({ flow, subject, key: subject, trigger: { kind: 'drift' }, actor: 'system' })).runId,
    cli: (...argv: string[]) => runCapturedCli(['jobs', ...argv], { env: { TIDEMILL_URL: url } }),
  };
}

describe('tidemill jobs', () => {
  it('lists, shows and follows jobs, and tells by its exit status how one ended', async () => {
    let isBroken = true;
    const { run, cli } = await platform({
      retrain: async (flow) => {
        await flow.step('ingest', {}, async (step) => step.log('3 rows'));
        await flow.step('train', {}, async () => {
          if (isBroken) throw new Error('out of memory');
        });
      },
    });
    expect((await cli()).stdout).toContain('No jobs');
    const runId = await run('retrain');
    const failed = await cli('logs', 'flights', '-f');
    expect(failed).toMatchObject({
      status: 1,
      stdout: 'ingest  3 rows\ntrain  attempt 1 failed: out of memory\n',
    });
    expect(failed.stderr).toContain(`${runId} failed at train: out of memory`);
    const list = await cli('list', '--status', 'failed');
    expect(list.stdout).toContain(runId);
    expect(list.stdout).toContain('train: out of memory');
    expect((await cli('list', '--model', 'other')).stdout).toContain('No jobs');
    const shown = await cli('show', runId.slice(0, 10));
    expect(shown.stdout).toMatch(/retrain of flights, by drift \(system\)/);
    expect(shown.stdout).toMatch(/ingest +succeeded +1/);
    expect(shown.stdout).toMatch(/train +failed +1 .*out of memory/);
    isBroken = false;
    const again = await cli('retry', runId, '-f', '--json');
    expect(again.status).toBe(0);
    expect(again.json).toMatchObject({ run_id: runId, status: 'succeeded' });
    expect((await cli('logs', runId, '--json')).json.lines.map(({ text }: { text: string }) => text)).toEqual(
      ['3 rows', 'attempt 1 failed: out of memory'],
    );
    expect((await cli('--json')).json.jobs).toHaveLength(1);
    expect((await cli('retry', runId)).status).toBe(1);
    expect((await cli('show', 'nothing')).stderr).toMatch(
      /No job with run_id=nothing; to see those there are: (npx )?tidemill jobs list/,
    );
    expect((await cli(runId)).stderr).toContain(`tidemill jobs show ${runId}`);
  });

  it('decides and cancels', async () => {
    const { run, cli } = await platform({
      asks: async (flow) => {
        const { approved, reason } = await flow.approval('release', { question: 'Release version 3?' });
        if (!approved) throw new Error(`rejected: ${reason}`);
      },
    });
    await run('asks', 'a');
    await run('asks', 'b');
    await run('asks', 'c');
    const waiting = await cli('logs', 'a', '-f');
    expect(waiting.status).toBe(0);
    expect(waiting.stderr).toContain('it waits for a decision');
    expect((await cli('show', 'a')).stdout).toContain('asks: Release version 3?');
    expect(await cli('approve', 'a', '-f', '--reason', 'fine')).toMatchObject({ status: 0 });
    expect((await cli('show', 'a')).stdout).toMatch(/approved by .*: fine/);
    await cli('logs', 'b', '-f');
    expect((await cli('reject', 'b')).status).toBe(2);
    expect((await cli('reject', 'b', 'release', '-f', '--reason', 'too soon')).stderr).toContain(
      'rejected: too soon',
    );
    await cli('logs', 'c', '-f');
    const cancelled = await cli('cancel', 'c', '--reason', 'enough', '--json');
    expect(cancelled.json).toMatchObject({ status: 'cancelled' });
    expect((await cli('approve', 'c')).stderr).toContain('asks for no decision');
  });
});
