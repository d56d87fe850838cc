import { defineProject, gradientBoosting, parquet } from 'tidemill';

// Will the plane, now leaving the gate in Phoenix, arrive more than 15 minutes late?
export default defineProject({
  models: {
    flights: {
      data: parquet('january.parquet', { target: 'delay > 15', time: 'date', ignore: ['date'] }),
      features: {
        minute: 'minute_of_day(date)',
        hour: 'hour(date)',
        weekday: 'weekday(date)',
      },
      train: gradientBoosting({ trees: 100 }),
      gate: { metric: 'log_loss', nonInferiority: 0.002, evaluate: '7d' },
      rollout: { canary: [25, 100], stepFor: '1d' },
      monitor: { drift: 'robust', labels: { delay: '1d' } },
      retrain: { schedule: '0 4 * * 1', on: ['drift', 'performance'], cooldown: '3d', window: '42d' },
    },
  },
});
