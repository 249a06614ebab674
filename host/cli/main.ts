#!/usr/bin/env node
// The executable `doorbell`: runs the command line and ends the process with its exit code.

import { run } from './program.ts';

// A reader that goes away (`doorbell help | head`) is no failure.
process.stdout.on('error', () => {
  process.exit(0);
});

process.exit(await run(process.argv.slice(2)));
