// The frame of vhost-user's messages on a socket.

import { HEADER_BYTES, HEADER_SIZE, MESSAGE_FDS_MAX } from '../../../assembly/spec/vhost-user.ts';
import type { Framing } from '../../native.ts';
import { MAX_MESSAGE_BYTES } from './messages/header.ts';

/** How vhost-user messages are cut out of the stream. */
export const VHOST_USER_FRAMING: Framing = {
  headerBytes: HEADER_BYTES,
  sizeOffset: HEADER_SIZE,
  sizeIncludesHeader: false,
  maxBytes: MAX_MESSAGE_BYTES,
  maxFds: MESSAGE_FDS_MAX,
};
