// A second process for the tests of files.
//
//   hold PATH rw|ro   opens the file, prints `held` or the code of the refusal, and waits for the end of its input
//   fill PATH         writes the last 4 MiB of a file, which have no space, and prints what happened as JSON

import * as abi from '../../../assembly/abi/records.ts';
import type { FileSpec } from '../../../host/block/backend.ts';
import { openFile } from '../../../host/block/file.ts';
import { UsageError } from '../../../host/config/usage-error.ts';
import { Machine } from './machine.ts';

const KIB = 1024;
const FILLED = 4096 * KIB;

const [command = '', path = '', access = 'rw'] = process.argv.slice(2);
const spec: FileSpec = {
  scheme: 'file',
  path,
  size: undefined,
  offset: undefined,
  overlap: false,
  blockSize: 4096,
  readOnly: access === 'ro',
  direct: 'auto',
};

if (command === 'hold') hold();
else fill();

function hold(): void {
  try {
    openFile(spec);
    console.log('held');
    process.stdin.resume();
    process.stdin.on('end', () => process.exit(0));
  } catch (error) {
    console.log(error instanceof UsageError ? error.code : String(error));
  }
}

function fill(): void {
  const backend = openFile(spec);
  const machine = new Machine(backend);
  const bytes = Buffer.alloc(64 * KIB, 0x5a);
  const results: string[] = [];
  const start = backend.storage.length - FILLED;
  for (let offset = 0; offset < FILLED; offset += bytes.length) {
    const result = machine.write(start + offset, bytes) ?? '';
    if (results.at(-1) !== result) results.push(result);
  }
  const first = machine.read(start, bytes.length, 1024 * KIB).equals(bytes);
  // What was freed can be used again, at once.
  machine.run({ operation: abi.OPERATION_DEALLOCATE, segments: [[start, 128 * KIB]] });
  const again = machine.write(start, bytes);
  console.log(JSON.stringify({ results, first, again }));
}
