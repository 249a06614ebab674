// Metrics as a scraper reads them, and what the server refuses.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serveMetrics } from '../../../host/control/index.ts';
import type { Answers, TargetLook } from '../../../host/serve/messages.ts';
import { noStatistics } from '../../../host/nvme/statistics.ts';

const LOOK: TargetLook = {
  subsystems: [
    {
      nqn: 'nqn.x',
      serial: 'S',
      namespaces: [{ nsid: 3, label: 'file:/a "b"', blocks: 256n, blockSize: 4096, readOnly: true }],
    },
  ],
  controllers: [
    {
      ...{ subsystemNqn: 'nqn.x', socketPath: '/a.sock', cntlid: 7, protocol: 'vfio-user', connected: true },
      namespaces: [3],
      statistics: { ...noStatistics(), requests: 12, requestErrors: 1 },
      state: 'ready',
      queues: [0, 1].map((qid) => ({
        ...{ qid, cqid: qid, vector: qid, entries: 32, head: 0, tail: 2, waiting: 2 },
        ...{ outstanding: 5, commands: 9 },
      })),
    },
  ],
  ...{ turns: 100, sleeps: 4 },
};

const target = {
  looks: 0,
  ask(): Promise<Answers[keyof Answers]> {
    this.looks++;
    return Promise.resolve(LOOK);
  },
};

test('a scrape', async () => {
  const ask = target as unknown as Parameters<typeof serveMetrics>[0];
  const server = await serveMetrics(ask, { kind: 'tcp', host: '127.0.0.1', port: 0 });
  try {
    assert.ok(server.address.kind === 'tcp' && server.address.port > 0);
    const base = `http://127.0.0.1:${server.address.port}`;
    const response = await fetch(`${base}/metrics`);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    const text = await response.text();
    const labels = '{subsystem="nqn.x",controller="7",socket="/a.sock"}';
    const lines = text.split('\n');
    for (const line of [
      `doorbell_controller_requests_total${labels} 12`,
      `doorbell_controller_request_errors_total${labels} 1`,
      `doorbell_controller_connected${labels} 1`,
      `doorbell_controller_failed${labels} 0`,
      `doorbell_controller_io_queues${labels} 1`,
      `doorbell_controller_commands_outstanding${labels} 10`,
      'doorbell_namespace_bytes{subsystem="nqn.x",nsid="3",storage="file:/a \\"b\\""} 1048576',
      'doorbell_reactor_sleeps_total 4',
      '# TYPE doorbell_controller_requests_total counter',
    ]) {
      assert.ok(lines.includes(line), `${line} is not in\n${text}`);
    }
    assert.equal(target.looks, 1);
    // A second one counts from what is, not on top of the first.
    assert.equal(await (await fetch(`${base}/metrics`)).text(), text);
    assert.equal((await fetch(`${base}/`)).status, 404);
    assert.equal((await fetch(`${base}/metrics`, { method: 'POST' })).status, 405);
    await assert.rejects(serveMetrics(ask, server.address), { code: 'METRICS_ADDRESS' });
  } finally {
    server.close();
  }
});
