/** GET_STATE and SET_STATE, and the end of a target: the controller outlives it in a file. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeviceError, type StateRefusal } from '../../../../../host/transport/device.ts';
import { EINVAL, u32, u64 } from '../../fixture.ts';
import { message, table } from '../harness.ts';
import { EBUSY, EMFILE, ExtendedFixture, MIB, slot, STATE_FILE } from './harness.ts';

const STATE = u64(0x3000n);

function drain(fixture: ExtendedFixture): () => boolean {
  let done = false;
  fixture.session.drain(() => (done = true));
  return () => done;
}

test('GET_STATE gives one file, however often it is asked for', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x40d, Buffer.alloc(0), [], ['file 12288'], u64(0n, 0x3000n));
  fixture.accepts(0x40d, Buffer.alloc(0), [], [], u64(0n, 0x3000n));
  assert.deepEqual(fixture.sentFds, [STATE_FILE, STATE_FILE]);
  fixture.close();
  ExtendedFixture.agreed().refusesOtherShapes(0x40d, Buffer.alloc(0), [0]);
});

test('where there can be no file the errno is told', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.systemError = Object.assign(new Error('EMFILE'), { errno: EMFILE });
  fixture.refuses(0x40d, Buffer.alloc(0), EMFILE);
  fixture.systemError = new Error('something else');
  fixture.refuses(0x40d, Buffer.alloc(0), EINVAL);
  assert.deepEqual(fixture.sentFds, []);
  fixture.close();
});

test('SET_STATE goes on from a file, quiesced; a table then needs no stop', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x40e, STATE, [30], ['load 30 12288'], u64(0n, 0n));
  assert.deepEqual(fixture.closedFds, [30]);
  fixture.accepts(5, table([0n, MIB]), [31], [`map 0 ${MIB} 0 31 rw`]);
  fixture.accepts(5, table([0n, 2n * MIB]), [32], [`unmap 0 ${MIB}`, `map 0 ${2n * MIB} 0 32 rw`]);
  fixture.accepts(0x40c, u64(0n), [], ['proceed']);
  fixture.close();
});

test('a front end that gives a state again and again fills no log', () => {
  const fixture = ExtendedFixture.agreed();
  for (let count = 0; count < 100; count++) {
    fixture.accepts(0x40e, STATE, [30 + count], [`load ${30 + count} 12288`], u64(0n, 0n));
  }
  const lines = fixture.logLines.filter((line) => line.includes('goes on'));
  assert.ok(lines.length > 0 && lines.length < 20, `${lines.length} lines`);
  fixture.close();
});

test('each refusal has its reason, and the session goes on', () => {
  const reasons: [StateRefusal, number][] = [
    ['foreign', 1],
    ['version', 2],
    ['unclean', 3],
    ['configuration', 4],
    ['damaged', 5],
  ];
  const fixture = ExtendedFixture.agreed();
  for (const [refusal, reason] of reasons) {
    fixture.device.refusal = refusal;
    const answer = Buffer.concat([u64(BigInt(EINVAL)), u32(reason, 0)]);
    fixture.accepts(0x40e, STATE, [30 + reason], [`load ${30 + reason} 12288`], answer);
  }
  assert.equal(fixture.logLines.filter((line) => line.includes('VHOST_USER_RESUME')).length, 5);
  fixture.accepts(0x40c, u64(0n), [], ['proceed']);
  fixture.close();
});

test('a size that no file has is the controller’s to refuse', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x40e, u64(0n), [30], ['load 30 0'], u64(0n, 0n));
  const most = Number.MAX_SAFE_INTEGER;
  fixture.accepts(0x40e, u64(0xffff_ffff_ffff_ffffn), [31], [`load 31 ${most}`], u64(0n, 0n));
  fixture.close();
});

test('not after memory, not after a page; not where the controller says no', () => {
  const fixture = ExtendedFixture.withMemory();
  fixture.refuses(0x40e, STATE, EBUSY, [30]);
  fixture.accepts(38, slot(0n, MIB), [], [`unmap 0 ${MIB}`]);
  fixture.accepts(0x408, u64(4096n, 0n), [31], [`map ${1n << 52n} 4096 0 31 rw`, 'kicked 10000000000000']);
  fixture.refuses(0x40e, STATE, EBUSY, [32]);
  fixture.accepts(0x408, u64(0n, 0n), [], ['kicked -', `unmap ${1n << 52n} 4096`]);
  fixture.device.refusals.set('load', new DeviceError('CONTROLLER_BUSY', EBUSY, 'CC.EN is 1'));
  fixture.refuses(0x40e, STATE, EBUSY, [33], ['load 33 12288']);
  fixture.refusesOtherShapes(0x40e, STATE, [1]);
  fixture.close();
});

test('a target that ends leaves the state in the file', () => {
  const fixture = ExtendedFixture.withMemory();
  fixture.accepts(0x40d, Buffer.alloc(0), [], ['file 12288'], u64(0n, 0x3000n));
  fixture.device.late.add('quiesce');
  const isDone = drain(fixture);
  assert.deepEqual(fixture.calls(), ['quiesce']);
  assert.ok(!isDone());
  fixture.device.complete();
  assert.deepEqual(fixture.calls(), [`save ${STATE_FILE}`]);
  assert.ok(isDone());
  fixture.close();
  assert.deepEqual(fixture.calls(), ['disconnect']);
});

test('no state of a controller whose I/O does not end, and the log says why', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x40d, Buffer.alloc(0), [], ['file 12288'], u64(0n, 0x3000n));
  fixture.device.drained = false;
  assert.ok(drain(fixture)());
  assert.deepEqual(fixture.calls(), ['quiesce']);
  assert.ok(fixture.logLines.some((line) => line.includes('I/O does not end')));
  fixture.close();
});

test('nor where it cannot be written', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x40d, Buffer.alloc(0), [], ['file 12288'], u64(0n, 0x3000n));
  fixture.device.refusals.set('save', new DeviceError('CONTROLLER_BUSY', EBUSY, 'the core trapped'));
  assert.ok(drain(fixture)());
  assert.ok(fixture.logLines.some((line) => line.includes('the core trapped')));
  fixture.close();
});

test('a front end without a file has nothing to wait for', () => {
  for (const fixture of [ExtendedFixture.agreed(), new ExtendedFixture()]) {
    assert.ok(drain(fixture)());
    assert.deepEqual(fixture.calls(), []);
    fixture.close();
  }
});

test('a front end that leaves while the target ends', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x40d, Buffer.alloc(0), [], ['file 12288'], u64(0n, 0x3000n));
  fixture.device.late.add('quiesce');
  drain(fixture);
  fixture.close();
  fixture.device.complete();
  assert.deepEqual(fixture.calls(), ['quiesce', 'disconnect']);
});

test('a table that comes in between does not wake the controller of a target that ends', () => {
  const fixture = ExtendedFixture.withMemory();
  fixture.accepts(0x40d, Buffer.alloc(0), [], ['file 12288'], u64(0n, 0x3000n));
  fixture.device.late.add('unmap');
  fixture.handle(message(5, table([0n, 2n * MIB])), [30]);
  assert.ok(drain(fixture)());
  fixture.device.complete();
  const calls = fixture.calls();
  assert.ok(calls.includes(`save ${STATE_FILE}`) && !calls.includes('proceed'), calls.join());
  assert.deepEqual(fixture.replies(), []);
  fixture.close();
});
