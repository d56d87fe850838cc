import { csv, defineProject, gradientBoosting } from 'tidemill';

// What was the weather in Seattle on a day with these temperatures and this wind?
export default defineProject({
  models: {
    weather: {
      // The day's rain would give the answer away.
      data: csv('seattle-weather.csv', {
        target: 'weather',
        time: 'date',
        ignore: ['date', 'precipitation'],
      }),
      features: {
        day: 'day_of_year(date)',
        range: 'temp_max - temp_min',
      },
      train: gradientBoosting({ trees: 60 }),
      gate: { metric: 'log_loss', nonInferiority: 0.01, evaluate: '60d' },
      rollout: { canary: [50, 100], stepFor: '7d' },
      monitor: { drift: 'robust', window: { every: '30d', rows: 200 }, labels: { delay: '1d' } },
      retrain: { schedule: '0 4 1 * *', on: ['performance'], window: '730d' },
    },
  },
});
