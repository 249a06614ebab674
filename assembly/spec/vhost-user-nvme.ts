// Portable: compiled by asc into the core and by tsc into the target. Constants only.
//
// vhost-user-nvme, extended dialect: what is negotiated beside the standard handshake of vhost-user, and the private
// requests. The whole controller lives in the target (the back end); the front end is a PCI function in a VMM.
// docs/protocol/vhost-user-nvme.md specifies each as a table; a test compares the two. Header, memory regions and the
// standard's own requests are in vhost-user.ts. All numbers are little-endian.

// ---- Negotiation -----------------------------------------------------------------------------------------------

/** GET_FEATURES: VHOST_USER_F_PROTOCOL_FEATURES, the one feature there is. */
export const FEATURE_PROTOCOL_FEATURES_BIT = 30;
export const PROTOCOL_FEATURE_REPLY_ACK_BIT = 3;
export const PROTOCOL_FEATURE_BACKEND_REQ_BIT = 5;
export const PROTOCOL_FEATURE_CONFIGURE_MEM_SLOTS_BIT = 15;
/** This protocol. */
export const PROTOCOL_FEATURE_NVME_BIT = 56;

// ---- Requests of the standard that this dialect takes, beside those of vhost-user.ts ------------------------------

export const REQUEST_GET_MAX_MEM_SLOTS = 36;
export const REQUEST_ADD_MEM_REG = 37;
export const REQUEST_REM_MEM_REG = 38;

/** ADD_MEM_REG and REM_MEM_REG: eight bytes of padding, then one region. */
export const MEMORY_SLOT_REGION = 8;
export const MEMORY_SLOT_BYTES = 40;

// ---- Private requests ------------------------------------------------------------------------------------------

/** Capabilities and identity of the controller. */
export const REQUEST_GET_CONTROLLER = 0x400;
/** Limits and serial number, before memory and queues. */
export const REQUEST_SET_CONTROLLER = 0x401;
export const REQUEST_GET_REGISTER = 0x402;
export const REQUEST_SET_REGISTER = 0x403;
/** What the guest wrote to PCI configuration space: Command and MSI-X Message Control. */
export const REQUEST_SET_FUNCTION = 0x404;
export const REQUEST_ADMIN_COMMAND = 0x405;
export const REQUEST_IO_COMMAND = 0x406;
/** The value of a doorbell, from a front end that shares no doorbell page. */
export const REQUEST_SET_DOORBELL = 0x407;
export const REQUEST_SET_DOORBELL_PAGE = 0x408;
export const REQUEST_SET_KICK = 0x409;
export const REQUEST_SET_NOTIFIER = 0x40a;
/** Function-level reset. */
export const REQUEST_RESET = 0x40b;
export const REQUEST_QUIESCE = 0x40c;
export const REQUEST_GET_STATE = 0x40d;
export const REQUEST_SET_STATE = 0x40e;

/** From the back end, on the socket of SET_BACKEND_REQ_FD: CSTS has changed. */
export const BACKEND_STATUS = 0x480;
/** Likewise: doorbells of I/O queues are in guest memory now (Doorbell Buffer Config), or no more. */
export const BACKEND_SHADOW_DOORBELLS = 0x481;

// ---- Replies to private requests ---------------------------------------------------------------------------------

/** Every reply begins with it: 0, or an errno of Linux; behind an errno nothing follows, but for SET_STATE. */
export const REPLY_RESULT = 0; // u64
export const REPLY_BYTES = 8;

// ---- GET_CONTROLLER, SET_CONTROLLER ------------------------------------------------------------------------------

export const CONTROLLER_CAP = 8; // u64
export const CONTROLLER_VS = 16; // u32
export const CONTROLLER_IO_QUEUE_PAIRS = 20; // u32
/** MSI-X vectors: one for the admin queue and one for each pair of I/O queues. */
export const CONTROLLER_VECTORS = 24; // u32
/** Bytes of a doorbell page. */
export const CONTROLLER_DOORBELL_BYTES = 28; // u32
/** Bytes of a state file. */
export const CONTROLLER_STATE_BYTES = 32; // u64
export const CONTROLLER_VENDOR_ID = 40; // u16
export const CONTROLLER_DEVICE_ID = 42; // u16
export const CONTROLLER_SUBSYSTEM_VENDOR_ID = 44; // u16
export const CONTROLLER_SUBSYSTEM_ID = 46; // u16
/** Class code << 8 | revision, as in configuration space from 08h on. */
export const CONTROLLER_CLASS_REVISION = 48; // u32
/** Data that ADMIN_COMMAND and IO_COMMAND carry at most. */
export const CONTROLLER_DATA_BYTES_MAX = 52; // u32
export const CONTROLLER_REPLY_BYTES = 56;

/** 0: as many as the target has. */
export const LIMITS_IO_QUEUE_PAIRS = 0; // u32
export const LIMITS_RESERVED = 4; // u32, 0
/** ASCII, padded with spaces or zeros; all zero: the target's own. */
export const LIMITS_SERIAL = 8;
export const LIMITS_SERIAL_BYTES = 20;
export const LIMITS_RESERVED_2 = 28; // u32, 0
export const LIMITS_BYTES = 32;

// ---- Registers and PCI function ----------------------------------------------------------------------------------

export const REGISTER_OFFSET = 0; // u32: in BAR0, below 1000h, a multiple of the size
export const REGISTER_SIZE = 4; // u32: 4 or 8
export const REGISTER_VALUE = 8; // u64
export const GET_REGISTER_BYTES = 8;
export const SET_REGISTER_BYTES = 16;
/** Of the reply to GET_REGISTER. */
export const GET_REGISTER_REPLY_VALUE = 8; // u64
export const GET_REGISTER_REPLY_BYTES = 16;

export const FUNCTION_COMMAND = 0; // u16: PCI Command
export const FUNCTION_MSIX_CONTROL = 2; // u16: MSI-X Message Control
export const FUNCTION_RESERVED = 4; // u32, 0
export const FUNCTION_BYTES = 8;

// ---- Commands ----------------------------------------------------------------------------------------------------

export const COMMAND_SQE = 0; // 64 bytes: PSDT, MPTR and DPTR are not looked at
/** Bytes that follow, of a command that transfers to the controller; else those that the front end has room for. */
export const COMMAND_DATA_BYTES = 64; // u32
export const COMMAND_RESERVED = 68; // u32, 0
export const COMMAND_DATA = 72;
export const COMMAND_DATA_BYTES_MAX = 65536;
/** Of an admin command. */
export const COMMAND_ADMIN_DATA_BYTES_MAX = 4096;
export const COMMAND_REPLY_CQE = 8; // 16 bytes
export const COMMAND_REPLY_DATA = 24;

// ---- Doorbells, kicks, notifiers ---------------------------------------------------------------------------------

export const DOORBELL_PAGE_SIZE = 0; // u64: 4,096, or 0 without a descriptor: no page any more
export const DOORBELL_PAGE_OFFSET = 8; // u64: in the file
export const SET_DOORBELL_PAGE_BYTES = 16;
/** SQ y tail at 8y, CQ y head at 8y + 4, as in BAR0 from 1000h on. */
export const DOORBELL_PAGE_BYTES = 4096;

export const DOORBELL_OFFSET = 0; // u32: where the doorbell would be in a page
export const DOORBELL_VALUE = 4; // u32
export const SET_DOORBELL_BYTES = 8;

/** 0 to the number of I/O queue pairs; without a descriptor: no kick any more. */
export const KICK_QID = 0; // u32
export const KICK_RESERVED = 4; // u32, 0
export const KICK_BYTES = 8;

export const NOTIFIER_VECTOR = 0; // u32
export const NOTIFIER_VECTOR_INTX = 0xffffffff;
export const NOTIFIER_ACTION = 4; // u32
export const NOTIFIER_BYTES = 8;
export const NOTIFIER_REMOVE = 0;
/** With an eventfd. */
export const NOTIFIER_SET = 1;
/** What is raised from now on waits. */
export const NOTIFIER_MASK = 2;
/** What waited is signalled; INTx is signalled if it is still asserted. */
export const NOTIFIER_UNMASK = 3;

// ---- State -------------------------------------------------------------------------------------------------------

export const QUIESCE_ACTION = 0; // u64
export const QUIESCE_BYTES = 8;
export const QUIESCE_GO_ON = 0;
export const QUIESCE_STOP = 1;

export const GET_STATE_REPLY_SIZE = 8; // u64
export const GET_STATE_REPLY_BYTES = 16;

export const SET_STATE_SIZE = 0; // u64
export const SET_STATE_BYTES = 8;
export const SET_STATE_REPLY_REASON = 8; // u32
export const SET_STATE_REPLY_RESERVED = 12; // u32
export const SET_STATE_REPLY_BYTES = 16;
export const STATE_RESUMED = 0;
/** Not a state file of this implementation, or not as long as it says. */
export const STATE_FOREIGN = 1;
/** Of another version of the state. */
export const STATE_VERSION = 2;
/** Without the mark that a completed drain sets: the target before died. */
export const STATE_UNCLEAN = 3;
/** The target now has other namespaces, limits or another identity. */
export const STATE_CONFIGURATION = 4;
/** The controller refused it. */
export const STATE_DAMAGED = 5;

export const STATUS_CSTS = 0; // u32
export const STATUS_RESERVED = 4; // u32
export const STATUS_BYTES = 8;

export const SHADOW_DOORBELLS_ON = 0; // u32: 1 or 0
export const SHADOW_DOORBELLS_RESERVED = 4; // u32
export const SHADOW_DOORBELLS_BYTES = 8;

/** The largest payload of either direction. */
export const EXTENDED_PAYLOAD_BYTES_MAX = 65608;
