import type { Command } from 'commander';
import type { Act } from './terminal/act.ts';

export interface CommandModule {
  /** Adds arguments, options, examples and the action to an empty command. */
  configure(command: Command, act: Act): void;
}

export interface CommandEntry {
  name: string;
  summary: string;
  group: string;
  /** What `--json` prints, where it is not one document at the end. */
  json?: string;
  /** Imported only when this command runs, so that `tidemill --version` loads none of them. */
  load(): Promise<CommandModule>;
}

const JSON_WHEN_READY = 'print one line of JSON with the URLs when it is ready, instead of text';
const RUN = 'Run the platform:';
const MODELS = 'Work with models and data:';
const OPERATE = 'Operate:';

export const COMMANDS: CommandEntry[] = [
  {
    name: 'up',
    summary: 'start the whole platform on this machine',
    group: RUN,
    json: JSON_WHEN_READY,
    load: async () => ({ configure: (await import('./up.ts')).configureUp }),
  },
  {
    name: 'init',
    summary: 'write a new project: its file, example data, a test',
    group: RUN,
    load: async () => ({ configure: (await import('./init.ts')).configureInit }),
  },
  {
    name: 'server',
    summary: 'start the control plane alone',
    group: RUN,
    json: JSON_WHEN_READY,
    load: async () => ({ configure: (await import('./server.ts')).configureServer }),
  },
  {
    name: 'serve',
    summary: 'start a model server alone',
    group: RUN,
    json: JSON_WHEN_READY,
    load: async () => ({ configure: (await import('./serve.ts')).configureServe }),
  },
  {
    name: 'demo',
    summary: 'live through five months of flights: watch, notice, retrain, judge, roll out, undo',
    group: RUN,
    json: 'print one line of JSON a week, and a summary as the last, instead of text',
    load: async () => ({ configure: (await import('./demo.ts')).configureDemo }),
  },
  {
    name: 'train',
    summary: 'train a model on a table, track the run, register the version',
    group: MODELS,
    load: async () => ({ configure: (await import('./train.ts')).configureTrain }),
  },
  {
    name: 'predict',
    summary: 'predict the rows of a file with the model that serves',
    group: MODELS,
    load: async () => ({ configure: (await import('./predict.ts')).configurePredict }),
  },
  {
    name: 'replay',
    summary: 'send the rows of a dated table as requests of their time, with labels that come late',
    group: MODELS,
    load: async () => ({ configure: (await import('./replay.ts')).configureReplay }),
  },
  {
    name: 'evaluate',
    summary: 'measure a model version on labelled rows',
    group: MODELS,
    load: async () => ({ configure: (await import('./evaluate.ts')).configureEvaluate }),
  },
  {
    name: 'models',
    summary: 'list registered models, or show one: versions, champion, history',
    group: MODELS,
    load: async () => ({ configure: (await import('./models.ts')).configureModels }),
  },
  {
    name: 'runs',
    summary: 'list tracked runs, or show one: parameters, metrics, tags',
    group: MODELS,
    load: async () => ({ configure: (await import('./runs.ts')).configureRuns }),
  },
  {
    name: 'promote',
    summary: 'put a version through the gate and let it serve, at once or step by step',
    group: MODELS,
    load: async () => ({ configure: (await import('./promote.ts')).configurePromote }),
  },
  {
    name: 'rollout',
    summary: 'show, pause, resume or abort the rollout of a version',
    group: MODELS,
    load: async () => ({ configure: (await import('./rollout.ts')).configureRollout }),
  },
  {
    name: 'rollback',
    summary: 'abort the rollout, or give the predecessor its place back, at once',
    group: MODELS,
    load: async () => ({ configure: (await import('./rollback.ts')).configureRollback }),
  },
  {
    name: 'apply',
    summary: 'send a project to a control plane: how its models are trained, judged and watched',
    group: MODELS,
    load: async () => ({ configure: (await import('./apply.ts')).configureApply }),
  },
  {
    name: 'retrain',
    summary: 'train a model of a project again, now',
    group: MODELS,
    load: async () => ({ configure: (await import('./retrain.ts')).configureRetrain }),
  },
  {
    name: 'backtest',
    summary: 'replay a dated table under policies of retraining, and show what each would have given',
    group: MODELS,
    load: async () => ({ configure: (await import('./backtest.ts')).configureBacktest }),
  },
  {
    name: 'explain',
    summary: 'show every threshold, default and formula that decides about a model',
    group: MODELS,
    load: async () => ({ configure: (await import('./explain.ts')).configureExplain }),
  },
  {
    name: 'datasets',
    summary: 'add tables as versioned datasets, list and show them',
    group: MODELS,
    load: async () => ({ configure: (await import('./datasets.ts')).configureDatasets }),
  },
  {
    name: 'drift',
    summary: 'compare two files column by column, as a report or a check, without a server',
    group: MODELS,
    load: async () => ({ configure: (await import('./drift.ts')).configureDrift }),
  },
  {
    name: 'alarms',
    summary: 'list alarms of drift and performance, acknowledge or close one',
    group: MODELS,
    load: async () => ({ configure: (await import('./alarms.ts')).configureAlarms }),
  },
  {
    name: 'windows',
    summary: 'show the windows in which a model was watched: drift, performance, labels',
    group: MODELS,
    load: async () => ({ configure: (await import('./windows.ts')).configureWindows }),
  },
  {
    name: 'log',
    summary: 'ask the prediction log in SQL, count it, make it forget',
    group: MODELS,
    load: async () => ({ configure: (await import('./log.ts')).configureLog }),
  },
  {
    name: 'jobs',
    summary: 'list retrainings and other jobs, follow, approve, cancel and retry them',
    group: MODELS,
    load: async () => ({ configure: (await import('./jobs.ts')).configureJobs }),
  },
  {
    name: 'inspect',
    summary: 'show what an ONNX file holds, without a server',
    group: MODELS,
    load: async () => ({ configure: (await import('./inspect.ts')).configureInspect }),
  },
  {
    name: 'status',
    summary: 'show what runs and what serves',
    group: OPERATE,
    load: async () => ({ configure: (await import('./status.ts')).configureStatus }),
  },
  {
    name: 'doctor',
    summary: 'check this machine and the servers, with a remedy for each finding',
    group: OPERATE,
    load: async () => ({ configure: (await import('./doctor.ts')).configureDoctor }),
  },
  {
    name: 'load-test',
    summary: 'measure a model server: requests per second, latencies, errors',
    group: OPERATE,
    load: async () => ({ configure: (await import('./load-test.ts')).configureLoadTest }),
  },
  {
    name: 'backup',
    summary: 'copy the embedded platform into one folder while it works',
    group: OPERATE,
    load: async () => ({ configure: (await import('./backup.ts')).configureBackup }),
  },
  {
    name: 'restore',
    summary: 'lay a backup out as a new data folder',
    group: OPERATE,
    load: async () => ({ configure: (await import('./restore.ts')).configureRestore }),
  },
  {
    name: 'completion',
    summary: 'print the completion script for bash, zsh or fish',
    group: OPERATE,
    load: async () => ({ configure: (await import('./completion.ts')).configureCompletion }),
  },
];
