/**
 * The public door of the package: what a program that embeds Tidemill may import. `defineProject` joins it with the project file.
 */
export { runCli } from './cli/index.ts';
export type { Platform, PlatformOptions } from './main.ts';
export { startPlatform } from './main.ts';
