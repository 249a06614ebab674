// `doorbell top`: a live view of a target's controllers, from what its control socket tells at most twice a second.

import path from 'node:path';
import type { Command } from 'commander';
import { UsageError } from '../config/usage-error.ts';
import { CONTROL_DEFAULT } from './ctl.ts';
import type { CommandContext } from './program.ts';
import { formatTable } from './table.ts';

const DETAILS = `
Shows each controller's requests and doorbell writes a second, interrupts, commands under way and queues, the busiest
first. Ctrl-C ends it. Without a terminal it prints one table after --interval and ends, for scripts.
`;

interface Options {
  readonly control: string;
  readonly interval: string;
}

/** What controller.list and queue.list tell of a controller, as far as it is shown. */
export interface TopController {
  readonly subsystemNqn: string;
  readonly cntlid: number;
  readonly socketPath: string;
  readonly connected: boolean;
  readonly state: string;
  readonly ioQueues: number;
  readonly statistics: { readonly requests: number; readonly doorbells: number; readonly interrupts: number };
}

export interface TopQueue {
  readonly socketPath: string;
  readonly outstanding: number;
  readonly waiting: number;
}

/** One moment. */
export interface Sample {
  /** Milliseconds. */
  readonly time: number;
  readonly controllers: readonly TopController[];
  readonly queues: readonly TopQueue[];
}

export function registerTop(program: Command, context: CommandContext): void {
  program
    .command('top')
    .summary('a live view of a running target')
    .description("Shows what a running target's controllers do, as top(1) does of processes.")
    .option('--control <path>', "the target's control socket", CONTROL_DEFAULT)
    .option('--interval <seconds>', 'between two looks, 0.5 to 60', '1')
    .addHelpText('after', DETAILS)
    .action(async ({ control, interval }: Options) => {
      const milliseconds = parseInterval(interval) * 1000;
      const { ControlClient } = await import('../control/index.ts');
      const client = await ControlClient.connect(path.resolve(control));
      const look = async (): Promise<Sample> => ({
        time: performance.now(),
        controllers: (await client.call('controller.list')) as TopController[],
        queues: (await client.call('queue.list')) as TopQueue[],
      });
      try {
        if (process.stdout.isTTY) await watch(look, milliseconds);
        else {
          const before = await look();
          await pause(milliseconds);
          for (const line of topLines(before, await look())) context.print(line);
        }
      } finally {
        client.close();
      }
    });
}

/** Until Ctrl-C, or until the target has gone. */
async function watch(look: () => Promise<Sample>, milliseconds: number): Promise<void> {
  const { default: logUpdate } = await import('log-update');
  process.once('SIGINT', () => {
    logUpdate.done();
    process.exit(0);
  });
  try {
    for (let before = await look(); ;) {
      await pause(milliseconds);
      const now = await look();
      const rows = Math.max(3, (process.stdout.rows || 24) - 1);
      logUpdate(topLines(before, now).slice(0, rows).join('\n'));
      before = now;
    }
  } finally {
    logUpdate.done();
  }
}

/** The lines of a view of what happened between two samples. */
export function topLines(before: Sample, now: Sample): string[] {
  const seconds = Math.max((now.time - before.time) / 1000, 0.001);
  const rows = now.controllers
    .map((controller) => {
      const last = before.controllers.find(({ socketPath }) => socketPath === controller.socketPath);
      const queues = now.queues.filter(({ socketPath }) => socketPath === controller.socketPath);
      const rate = (name: keyof TopController['statistics']): number =>
        Math.max(0, controller.statistics[name] - (last?.statistics[name] ?? 0)) / seconds;
      const sum = (name: 'outstanding' | 'waiting'): number =>
        queues.reduce((total, queue) => total + queue[name], 0);
      return { controller, rate, sum };
    })
    .sort((a, b) => b.rate('requests') - a.rate('requests'));
  const total = rows.reduce((all, { rate }) => all + rate('requests'), 0);
  const connected = now.controllers.filter((controller) => controller.connected).length;
  return [
    `${now.controllers.length} controllers, ${connected} with a VMM, ${formatRate(total)} requests/s`,
    '',
    ...formatTable(
      ['SOCKET', 'VMM', 'STATE', 'REQ/S', 'DOORBELLS/S', 'IRQ/S', 'UNDER WAY', 'WAITING', 'QUEUES'],
      rows.map(({ controller, rate, sum }) => [
        controller.socketPath,
        controller.connected ? 'yes' : 'no',
        controller.state,
        formatRate(rate('requests')),
        formatRate(rate('doorbells')),
        formatRate(rate('interrupts')),
        String(sum('outstanding')),
        String(sum('waiting')),
        String(controller.ioQueues),
      ]),
    ),
  ];
}

/** `950`, `12.3k`, `1.5M` */
function formatRate(perSecond: number): string {
  if (perSecond >= 1e6) return `${(perSecond / 1e6).toFixed(1)}M`;
  return perSecond >= 1e4 ? `${(perSecond / 1e3).toFixed(1)}k` : perSecond.toFixed(0);
}

function parseInterval(text: string): number {
  const seconds = Number(text);
  if (text.trim() !== '' && seconds >= 0.5 && seconds <= 60) return seconds;
  throw new UsageError(
    'OPTION_INVALID',
    `--interval ${text || '(empty)'} is not possible: write seconds, from 0.5 to 60`,
  );
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
