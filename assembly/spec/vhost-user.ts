// Portable: compiled by asc into the core and by tsc into the target. Constants only.
//
// vhost-user as a socket protocol for NVMe controllers: the header and the requests that QEMU's vhost-user document
// numbers (docs/interop/vhost-user.rst), and the private requests of the device that was published for QEMU 3.0 in
// 2019. docs/protocol/vhost-user-nvme-legacy.md shows them as tables. All numbers are little-endian.

// ---- Header ----------------------------------------------------------------------------------------------------

export const HEADER_REQUEST = 0; // u32
export const HEADER_FLAGS = 4; // u32
export const HEADER_SIZE = 8; // u32: bytes of the payload
export const HEADER_BYTES = 12;

export const FLAG_VERSION_MASK = 0x3;
export const FLAG_VERSION = 0x1;
/** The message is a reply. */
export const FLAG_REPLY = 0x4;
/** The sender waits for an answer, also to a request that has none of its own. */
export const FLAG_NEED_REPLY = 0x8;

/** Descriptors that one message carries at most. */
export const MESSAGE_FDS_MAX = 8;

// ---- Requests of the standard ----------------------------------------------------------------------------------

export const REQUEST_GET_FEATURES = 1;
export const REQUEST_SET_FEATURES = 2;
export const REQUEST_SET_OWNER = 3;
export const REQUEST_RESET_OWNER = 4;
export const REQUEST_SET_MEM_TABLE = 5;
export const REQUEST_SET_LOG_BASE = 6;
export const REQUEST_SET_LOG_FD = 7;
export const REQUEST_SET_VRING_NUM = 8;
export const REQUEST_SET_VRING_ADDR = 9;
export const REQUEST_SET_VRING_BASE = 10;
export const REQUEST_GET_VRING_BASE = 11;
export const REQUEST_SET_VRING_KICK = 12;
export const REQUEST_SET_VRING_CALL = 13;
export const REQUEST_SET_VRING_ERR = 14;
export const REQUEST_GET_PROTOCOL_FEATURES = 15;
export const REQUEST_SET_PROTOCOL_FEATURES = 16;
export const REQUEST_GET_QUEUE_NUM = 17;
export const REQUEST_SET_VRING_ENABLE = 18;
export const REQUEST_SEND_RARP = 19;
export const REQUEST_NET_SET_MTU = 20;
export const REQUEST_SET_BACKEND_REQ_FD = 21;
export const REQUEST_IOTLB_MSG = 22;
export const REQUEST_SET_VRING_ENDIAN = 23;
export const REQUEST_GET_CONFIG = 24;
export const REQUEST_SET_CONFIG = 25;

// ---- Private requests of the 2019 device -----------------------------------------------------------------------

/** An admin command: its 64-byte entry; answered by an entry of a completion queue, for Identify with data. */
export const REQUEST_NVME_ADMIN = 80;
/** The eventfd of a completion queue. */
export const REQUEST_NVME_SET_CQ_CALL = 81;
/** The CAP register. */
export const REQUEST_NVME_GET_CAP = 82;
/** CC.EN became 1, or 0. */
export const REQUEST_NVME_START_STOP = 83;
/** The value of an I/O doorbell. */
export const REQUEST_NVME_IO_CMD = 84;
/** Memory in which the device keeps the values of I/O doorbells. */
export const REQUEST_NVME_SET_BAR_MR = 85;
/** No request has a number above. */
export const REQUEST_MAX = 85;

// ---- Payloads --------------------------------------------------------------------------------------------------

/** Requests whose payload is one number, and replies that are one. */
export const U64_BYTES = 8;

/** SET_MEM_TABLE and SET_BAR_MR: a count, and then so many regions. */
export const MEMORY_COUNT = 0; // u32
export const MEMORY_PADDING = 4; // u32
export const MEMORY_REGIONS = 8;
export const MEMORY_REGION_GPA = 0; // u64
export const MEMORY_REGION_SIZE = 8; // u64
export const MEMORY_REGION_USER_ADDRESS = 16; // u64: the peer's own
export const MEMORY_REGION_OFFSET = 24; // u64: offset in the file
export const MEMORY_REGION_BYTES = 32;
export const MEMORY_REGIONS_MAX = 8;

export const ADMIN_BYTES = 64;
/** A reply without data: the entry of a completion queue. */
export const ADMIN_REPLY_BYTES = 16;
/** Where data begin in a reply: the device receives into the place of the request, which is 64 bytes long. */
export const ADMIN_REPLY_DATA = 64;
/** A reply with data: its size counts entry and data, so that the last 48 of 4,096 bytes are not sent. */
export const ADMIN_REPLY_DATA_BYTES = 4112;

/** SET_CQ_CALL: the completion queue's id, and that no descriptor comes. */
export const CQ_CALL_ID_MASK = 0xff;
export const CQ_CALL_NO_FD = 0x100;

export const IO_CMD_TYPE = 0; // u32
export const IO_CMD_QID = 4; // u32
export const IO_CMD_VALUE = 8; // u32
export const IO_CMD_BYTES = 12;
export const IO_CMD_TYPE_SUBMISSION = 1;
export const IO_CMD_TYPE_COMPLETION = 2;

/** Where the doorbells begin in the memory of SET_BAR_MR: as in BAR0. */
export const BAR_DOORBELLS = 0x1000;
/** Least size of that memory. */
export const BAR_BYTES_MIN = 0x2000;

/** The largest payload that either side takes: an admin entry's place and 4,096 bytes of data. */
export const PAYLOAD_BYTES_MAX = 4160;

// ---- What the 2019 device was written against -------------------------------------------------------------------

export const LEGACY_QUEUE_PAIRS_MAX = 31;
export const LEGACY_QUEUE_ENTRIES_MAX = 256;
