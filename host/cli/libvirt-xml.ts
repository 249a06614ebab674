// `doorbell libvirt-xml`: the parts of a libvirt domain that belong to a target's sockets.

import type { Command } from 'commander';
import { parseSocket, type SocketSpec } from '../config/socket-spec.ts';
import { vfioUserDevice, vhostUserNvmeDevice } from '../demo/qemu.ts';
import { collect } from './collect.ts';
import type { CommandContext } from './program.ts';

const DETAILS = `
libvirt has no element for these controllers, so they are arguments for QEMU. Put what is printed into the domain (virsh
edit): the attribute xmlns:qemu belongs to its first line, and memoryBacking and qemu:commandline must not be there
twice. The guest's memory becomes a shared memfd, without which the target cannot read queues and data in place. The
user that QEMU runs as must be allowed to connect to the sockets, and AppArmor or SELinux must let it.

Example:
  doorbell libvirt-xml --socket /run/doorbell/vm1.sock
`;

export function registerLibvirtXml(program: Command, context: CommandContext): void {
  program
    .command('libvirt-xml')
    .summary('print libvirt XML for sockets of a target')
    .description("Prints the parts of a libvirt domain that connect a guest to a target's sockets.")
    .requiredOption(
      '--socket <path[,...]>',
      'socket of a controller, as given to serve; repeat it for more controllers',
      collect,
    )
    .addHelpText('after', DETAILS)
    .action(({ socket }: { socket: string[] }) => {
      for (const line of domainXml(socket.map((text) => parseSocket(text)))) context.print(line);
    });
}

/** Lines of XML. */
function domainXml(sockets: readonly SocketSpec[]): string[] {
  const devices = sockets.flatMap(({ path, protocol }, index) =>
    protocol === 'vfio-user' ? vfioUserDevice(path) : vhostUserNvmeDevice(path, `nvme${index}`),
  );
  return [
    "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>",
    '  <memoryBacking>',
    "    <source type='memfd'/>",
    "    <access mode='shared'/>",
    '  </memoryBacking>',
    '  <qemu:commandline>',
    ...devices.map((arg) => `    <qemu:arg value='${escapeXml(arg)}'/>`),
    '  </qemu:commandline>',
    '</domain>',
  ];
}

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll("'", '&apos;');
}
