// The frame of vfio-user's messages on a socket.

import { HEADER_BYTES, HEADER_SIZE } from '../../../assembly/spec/vfio-user.ts';
import type { Framing } from '../../native.ts';
import { MAX_MESSAGE_BYTES, MAX_RECEIVED_FDS } from './messages/header.ts';

/** How vfio-user messages are cut out of the stream. */
export const VFIO_USER_FRAMING: Framing = {
  headerBytes: HEADER_BYTES,
  sizeOffset: HEADER_SIZE,
  sizeIncludesHeader: true,
  maxBytes: MAX_MESSAGE_BYTES,
  maxFds: MAX_RECEIVED_FDS,
};
