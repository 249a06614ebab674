// What `doorbell top` makes of two samples.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { topLines, type Sample } from '../../../host/cli/top.ts';

function sample(time: number, requests: readonly number[]): Sample {
  const controllers = requests.map((count, index) => ({
    ...{ subsystemNqn: 'nqn.x', cntlid: index + 1, socketPath: `/${index}.sock`, connected: index === 0 },
    ...{ state: 'ready', ioQueues: 2 },
    statistics: { requests: count, doorbells: 0, interrupts: count / 2 },
  }));
  const queues = [1, 2].map(() => ({ socketPath: '/1.sock', outstanding: 3, waiting: 1 }));
  return { time, controllers, queues };
}

test('rates between two samples, the busiest first', () => {
  const [summary, , heading, first, second] = topLines(sample(1000, [10, 0]), sample(3000, [30, 40_000]));
  assert.equal(summary, '2 controllers, 1 with a VMM, 20.0k requests/s');
  assert.match(heading ?? '', /^SOCKET +VMM +STATE +REQ\/S/);
  assert.match(first ?? '', /^\/1\.sock +no +ready +20\.0k +0 +10\.0k +6 +2 +2$/);
  assert.match(second ?? '', /^\/0\.sock +yes +ready +10 +0 +5 +0 +0 +2$/);
});

test('a controller that is new, and one that was made anew', () => {
  assert.match(topLines(sample(0, []), sample(1000, [7]))[3] ?? '', / ready +7 /);
  assert.match(topLines(sample(0, [9]), sample(1000, [0]))[3] ?? '', / ready +0 /);
});
