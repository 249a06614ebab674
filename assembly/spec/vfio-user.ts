// Portable: compiled by asc into the core and by tsc into the target. Constants only.
//
// The vfio-user protocol, version 0.0, as QEMU's docs/interop/vfio-user.rst specifies it; section titles of
// that document head the groups. Offsets of message fields count from the end of the header, as they do
// there. What the document takes from <linux/vfio.h> (flags, indices, capability ids) stands here under the
// kernel's names without their VFIO_ prefix. All numbers are little-endian on the machines that this target
// runs on.

// ---- Commands ------------------------------------------------------------------------------------------------

export const COMMAND_VERSION = 1;
export const COMMAND_DMA_MAP = 2;
export const COMMAND_DMA_UNMAP = 3;
export const COMMAND_DEVICE_GET_INFO = 4;
export const COMMAND_DEVICE_GET_REGION_INFO = 5;
export const COMMAND_DEVICE_GET_REGION_IO_FDS = 6;
export const COMMAND_DEVICE_GET_IRQ_INFO = 7;
export const COMMAND_DEVICE_SET_IRQS = 8;
export const COMMAND_REGION_READ = 9;
export const COMMAND_REGION_WRITE = 10;
/** Server to client. */
export const COMMAND_DMA_READ = 11;
/** Server to client. */
export const COMMAND_DMA_WRITE = 12;
export const COMMAND_DEVICE_RESET = 13;
/** Of older versions of the document; 14 is not used any more. */
export const COMMAND_DIRTY_PAGES = 14;
export const COMMAND_REGION_WRITE_MULTI = 15;
export const COMMAND_DEVICE_FEATURE = 16;
export const COMMAND_MIG_DATA_READ = 17;
export const COMMAND_MIG_DATA_WRITE = 18;

// ---- Header --------------------------------------------------------------------------------------------------

export const HEADER_ID = 0; // u16
export const HEADER_COMMAND = 2; // u16
export const HEADER_SIZE = 4; // u32: the whole message with its header
export const HEADER_FLAGS = 8; // u32
export const HEADER_ERROR = 12; // u32: an errno value, in replies with FLAG_ERROR only
export const HEADER_BYTES = 16;

export const FLAG_TYPE_MASK = 0xf;
export const FLAG_TYPE_COMMAND = 0x0;
export const FLAG_TYPE_REPLY = 0x1;
/** In a command: no reply must be sent, not even for an error. */
export const FLAG_NO_REPLY = 0x10;
/** In a reply: the command failed; such a reply is a header alone. */
export const FLAG_ERROR = 0x20;

// ---- VFIO_USER_VERSION ---------------------------------------------------------------------------------------

export const VERSION_MAJOR = 0; // u16
export const VERSION_MINOR = 2; // u16
export const VERSION_DATA = 4; // JSON in UTF-8 with a terminating NUL; optional
export const VERSION_BYTES = 4;

export const PROTOCOL_MAJOR = 0;
export const PROTOCOL_MINOR = 0;

/** What holds for a peer that does not name a capability. */
export const DEFAULT_MAX_MSG_FDS = 1;
export const DEFAULT_MAX_DATA_XFER_SIZE = 1048576;
export const DEFAULT_MAX_DMA_MAPS = 65535;
export const DEFAULT_PGSIZES = 4096;

// ---- VFIO_USER_DMA_MAP ---------------------------------------------------------------------------------------

export const DMA_MAP_ARGSZ = 0; // u32: bytes of this structure
export const DMA_MAP_FLAGS = 4; // u32
export const DMA_MAP_OFFSET = 8; // u64: in the file
export const DMA_MAP_ADDRESS = 16; // u64: DMA address of the first byte
export const DMA_MAP_SIZE = 24; // u64
export const DMA_MAP_BYTES = 32;

export const DMA_MAP_FLAG_READ = 1 << 0;
export const DMA_MAP_FLAG_WRITE = 1 << 1;
/** The file descriptor is for mmap(2): the same as no access mode at all with a descriptor. */
export const DMA_MAP_FLAG_MMAP = 1 << 2;
/** The file descriptor is for pread(2) and pwrite(2). */
export const DMA_MAP_FLAG_FILE_IO = 1 << 3;

// ---- VFIO_USER_DMA_UNMAP -------------------------------------------------------------------------------------

export const DMA_UNMAP_ARGSZ = 0; // u32: largest reply payload
export const DMA_UNMAP_FLAGS = 4; // u32
export const DMA_UNMAP_ADDRESS = 8; // u64
export const DMA_UNMAP_SIZE = 16; // u64
export const DMA_UNMAP_BYTES = 24;

/** <linux/vfio.h>: the reply carries a bitmap of dirty pages. */
export const DMA_UNMAP_FLAG_GET_DIRTY_BITMAP = 1 << 0;
/** <linux/vfio.h>: every region; address and size are 0. */
export const DMA_UNMAP_FLAG_ALL = 1 << 1;

// ---- VFIO_USER_DEVICE_GET_INFO -------------------------------------------------------------------------------

export const DEVICE_INFO_ARGSZ = 0; // u32
export const DEVICE_INFO_FLAGS = 4; // u32
export const DEVICE_INFO_NUM_REGIONS = 8; // u32
export const DEVICE_INFO_NUM_IRQS = 12; // u32
export const DEVICE_INFO_BYTES = 16;

export const DEVICE_FLAG_RESET = 1 << 0;
export const DEVICE_FLAG_PCI = 1 << 1;

// ---- VFIO_USER_DEVICE_GET_REGION_INFO ------------------------------------------------------------------------

export const REGION_INFO_ARGSZ = 0; // u32
export const REGION_INFO_FLAGS = 4; // u32
export const REGION_INFO_INDEX = 8; // u32
export const REGION_INFO_CAP_OFFSET = 12; // u32
export const REGION_INFO_SIZE = 16; // u64
export const REGION_INFO_OFFSET = 24; // u64
export const REGION_INFO_BYTES = 32;

export const REGION_FLAG_READ = 1 << 0;
export const REGION_FLAG_WRITE = 1 << 1;
export const REGION_FLAG_MMAP = 1 << 2;
export const REGION_FLAG_CAPS = 1 << 3;

/** Regions of a PCI device, <linux/vfio.h> VFIO_PCI_*_REGION_INDEX. */
export const REGION_INDEX_BAR0 = 0;
export const REGION_INDEX_BAR1 = 1;
export const REGION_INDEX_BAR2 = 2;
export const REGION_INDEX_BAR3 = 3;
export const REGION_INDEX_BAR4 = 4;
export const REGION_INDEX_BAR5 = 5;
export const REGION_INDEX_ROM = 6;
export const REGION_INDEX_CONFIG = 7;
export const REGION_INDEX_VGA = 8;
export const REGION_INDEX_COUNT = 9;

// ---- VFIO_USER_DEVICE_GET_IRQ_INFO ---------------------------------------------------------------------------

export const IRQ_INFO_ARGSZ = 0; // u32
export const IRQ_INFO_FLAGS = 4; // u32
export const IRQ_INFO_INDEX = 8; // u32
export const IRQ_INFO_COUNT = 12; // u32
export const IRQ_INFO_BYTES = 16;

export const IRQ_FLAG_EVENTFD = 1 << 0;
export const IRQ_FLAG_MASKABLE = 1 << 1;
export const IRQ_FLAG_AUTOMASKED = 1 << 2;
export const IRQ_FLAG_NORESIZE = 1 << 3;

/** Interrupt types of a PCI device, <linux/vfio.h> VFIO_PCI_*_IRQ_INDEX. */
export const IRQ_INDEX_INTX = 0;
export const IRQ_INDEX_MSI = 1;
export const IRQ_INDEX_MSIX = 2;
export const IRQ_INDEX_ERR = 3;
export const IRQ_INDEX_REQ = 4;
export const IRQ_INDEX_COUNT = 5;

// ---- VFIO_USER_DEVICE_SET_IRQS -------------------------------------------------------------------------------

export const SET_IRQS_ARGSZ = 0; // u32: bytes of this structure with its data
export const SET_IRQS_FLAGS = 4; // u32
export const SET_IRQS_INDEX = 8; // u32
export const SET_IRQS_START = 12; // u32
export const SET_IRQS_COUNT = 16; // u32
export const SET_IRQS_DATA = 20; // one byte an interrupt, with SET_IRQS_DATA_BOOL
export const SET_IRQS_BYTES = 20;

export const SET_IRQS_DATA_NONE = 1 << 0;
export const SET_IRQS_DATA_BOOL = 1 << 1;
export const SET_IRQS_DATA_EVENTFD = 1 << 2;
export const SET_IRQS_DATA_MASK = SET_IRQS_DATA_NONE | SET_IRQS_DATA_BOOL | SET_IRQS_DATA_EVENTFD;
export const SET_IRQS_ACTION_MASK = 1 << 3;
export const SET_IRQS_ACTION_UNMASK = 1 << 4;
export const SET_IRQS_ACTION_TRIGGER = 1 << 5;
export const SET_IRQS_ACTIONS = SET_IRQS_ACTION_MASK | SET_IRQS_ACTION_UNMASK | SET_IRQS_ACTION_TRIGGER;

// ---- VFIO_USER_REGION_READ, VFIO_USER_REGION_WRITE -----------------------------------------------------------

export const REGION_ACCESS_OFFSET = 0; // u64: in the region
export const REGION_ACCESS_REGION = 8; // u32
export const REGION_ACCESS_COUNT = 12; // u32
export const REGION_ACCESS_DATA = 16;
export const REGION_ACCESS_BYTES = 16;

// ---- VFIO_USER_DMA_READ, VFIO_USER_DMA_WRITE -----------------------------------------------------------------

export const DMA_ACCESS_ADDRESS = 0; // u64
export const DMA_ACCESS_COUNT = 8; // u64
export const DMA_ACCESS_DATA = 16;
export const DMA_ACCESS_BYTES = 16;

// ---- VFIO_USER_REGION_WRITE_MULTI ----------------------------------------------------------------------------

export const WRITE_MULTI_COUNT = 0; // u64: writes
export const WRITE_MULTI_WRITES = 8;
/** Each write: a region access with eight bytes of data, of which the first `count` are meant. */
export const WRITE_MULTI_WRITE_BYTES = 24;
export const WRITE_MULTI_DATA_BYTES = 8;
/** Bytes of the reply: WRITE_MULTI_COUNT. */
export const WRITE_MULTI_REPLY_BYTES = 8;
