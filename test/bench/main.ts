// `npm run bench`: measures, prints Markdown on stdout and keeps every sample in build/bench. Progress goes to stderr.
//
//   npm run bench                    everything; about twelve minutes
//   npm run bench -- --quick         shorter, and without guests: about two minutes
//   npm run bench -- core idle       these parts alone: core, path, idle, guest; --quick makes them shorter, too

import { SetupError } from '../../host/demo/setup-error.ts';
import { measureCore } from './core.ts';
import { FULL, QUICK, type Effort, type Section } from './figures.ts';
import { measureGuest } from './guest.ts';
import { measureIdle } from './idle.ts';
import { measurePath } from './path.ts';
import { describeMachine, loadAverage, reportSave, reportText } from './report.ts';

type Part = (effort: Effort, progress: (line: string) => void) => Promise<Section>;

const PARTS: Readonly<Record<string, Part>> = {
  core: measureCore,
  path: measurePath,
  idle: measureIdle,
  guest: measureGuest,
};

/** Those that are run when none is named and time is short. */
const QUICK_PARTS: readonly string[] = ['core', 'path', 'idle'];

function progress(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}

async function main(args: readonly string[]): Promise<number> {
  const wanted = args.filter((arg) => arg !== '--quick');
  const unknown = wanted.find((name) => !(name in PARTS));
  if (unknown !== undefined) {
    progress(`unknown part ${unknown}: use ${Object.keys(PARTS).join(', ')} or --quick`);
    return 2;
  }
  const quick = args.includes('--quick');
  const effort = quick ? QUICK : FULL;
  const usual = quick ? QUICK_PARTS : Object.keys(PARTS);
  const loadBefore = loadAverage();
  const taken = new Date().toISOString().slice(0, 19);
  const begin = performance.now();
  const sections: Section[] = [];
  for (const [name, measure] of Object.entries(PARTS)) {
    if (!(wanted.length > 0 ? wanted : usual).includes(name)) continue;
    progress(name);
    sections.push(await measure(effort, progress));
  }
  const seconds = (performance.now() - begin) / 1000;
  const report = { taken, seconds, machine: describeMachine(loadBefore), effort, sections };
  process.stdout.write(reportText(report));
  progress(`all samples: ${reportSave(report)}`);
  return 0;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  progress(error.message);
  process.exitCode = 1;
}
