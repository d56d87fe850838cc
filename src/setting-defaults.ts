/** Defaults that the help of the commands tells too, apart from the schemas so that `--help` loads no more than it needs. */
export const DEFAULTS = {
  data: '.tidemill',
  host: '127.0.0.1',
  port: 7070,
  servePort: 7071,
  url: 'http://127.0.0.1:7070',
} as const;
