// `doorbell qemu-args`: the QEMU options that belong to a target's sockets.

import type { Command } from 'commander';
import { parseSize } from '../config/size.ts';
import { parseSocket } from '../config/socket-spec.ts';
import { UsageError } from '../config/usage-error.ts';
import { sharedMemoryOptions, vfioUserDevice, vhostUserNvmeDevice } from '../demo/qemu.ts';
import { collect } from './collect.ts';
import type { CommandContext } from './program.ts';

const MIB = 1024 * 1024;

const DETAILS = `
The options are one line, quoted for a shell. They make the guest's memory a shared memfd, which lets the target read
queues and data in place, choose the q35 machine on that memory, and add one NVMe controller for each socket. Add your
own -accel, -smp, disks, kernel and so on; leave out your own -m and -machine. QEMU 10.1 or later is needed; for a
socket with protocol=vhost-user-nvme it is the one that npm run qemu:build prints. The target must be listening when
QEMU starts.

Examples:
  doorbell qemu-args --socket /tmp/nvme.sock --memory 2G
  eval "qemu-system-x86_64 -accel kvm -nographic $(doorbell qemu-args --socket /tmp/nvme.sock --memory 2G)"
  doorbell qemu-args --socket b.sock,protocol=vhost-user-nvme
  doorbell qemu-args --socket a.sock --socket b.sock --json      two controllers, as a JSON array of arguments
`;

export function registerQemuArgs(program: Command, context: CommandContext): void {
  program
    .command('qemu-args')
    .summary('print the QEMU options for sockets of a target')
    .description("Prints the QEMU options that connect a guest to a target's sockets.")
    .requiredOption(
      '--socket <path[,...]>',
      'socket of a controller, as given to serve; repeat it for more controllers',
      collect,
    )
    .option('--memory <size>', 'memory of the guest, whole MiB: 512M, 6G', '1G')
    .option('--json', 'print a JSON array with one string an argument')
    .addHelpText('after', DETAILS)
    .action((options: { socket: string[]; memory: string; json?: true }) => {
      const devices = options.socket.flatMap((text, index) => {
        const { path, protocol } = parseSocket(text);
        return protocol === 'vfio-user' ? vfioUserDevice(path) : vhostUserNvmeDevice(path, `nvme${index}`);
      });
      const args = [...sharedMemoryOptions(parseMemory(options.memory)), ...devices];
      context.print(options.json ? JSON.stringify(args) : args.map(quoteForShell).join(' '));
    });
}

/** Bytes, a multiple of 1 MiB. */
function parseMemory(text: string): number {
  const bytes = parseSize(text, '--memory');
  if (bytes % MIB === 0) return bytes;
  const above = Math.ceil(bytes / MIB);
  throw new UsageError('SIZE_INVALID', `--memory ${text} is not whole MiB: write --memory ${above}M`);
}

/** One word of a POSIX shell. */
export function quoteForShell(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
