/** SET_NOTIFIER: an eventfd for each vector, and for INTx. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EINVAL, u32 } from '../../fixture.ts';
import { ExtendedFixture } from './harness.ts';

const INTX = 0xffffffff;
const [REMOVE, SET, MASK, UNMASK] = [0, 1, 2, 3];

test('a vector has an eventfd, another one, none', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x40a, u32(0, SET), [30], ['notifier msix 0 30']);
  fixture.accepts(0x40a, u32(64, SET), [31], ['notifier msix 64 31']);
  fixture.accepts(0x40a, u32(64, SET), [32], ['notifier msix 64 32']);
  fixture.accepts(0x40a, u32(64, REMOVE), [], ['notifier msix 64 -']);
  fixture.close();
});

test('a vector is masked and unmasked', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x40a, u32(3, MASK), [], ['mask 3']);
  fixture.accepts(0x40a, u32(3, UNMASK), [], ['unmask 3']);
  fixture.close();
});

test('INTx has one too, and is signalled again after an unmask', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.accepts(0x40a, u32(INTX, SET), [30], ['notifier intx 0 30']);
  fixture.accepts(0x40a, u32(INTX, UNMASK), [], ['unmask']);
  fixture.accepts(0x40a, u32(INTX, REMOVE), [], ['notifier intx 0 -']);
  fixture.refuses(0x40a, u32(INTX, MASK), EINVAL);
  fixture.close();
});

test('a descriptor that is no eventfd is refused by the device, which closes it', () => {
  const fixture = ExtendedFixture.agreed();
  fixture.device.refusedFds.add(30);
  fixture.refuses(0x40a, u32(1, SET), EINVAL, [30], ['notifier msix 1 30']);
  assert.ok(fixture.logLines.some((line) => line.includes('NOTIFIER_KIND')));
  fixture.close();
});

test('vectors and actions that there are not, other shapes', () => {
  const fixture = ExtendedFixture.agreed();
  let fd = 30;
  for (const vector of [65, 0x7fffffff, 0xfffffffe]) fixture.refuses(0x40a, u32(vector, SET), EINVAL, [fd++]);
  for (const action of [4, 0xffffffff]) fixture.refuses(0x40a, u32(1, action), EINVAL, [fd++]);
  for (const action of [REMOVE, MASK, UNMASK]) {
    fixture.refuses(0x40a, u32(1, action), EINVAL, [fd++]);
  }
  fixture.refusesOtherShapes(0x40a, u32(1, SET), [1]);
});
