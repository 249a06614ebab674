// Portable: compiled by asc into the core and by tsc into the target. Constants only.
//
// Get Log Page (Base 5.16): identifiers, dwords of the command, byte offsets of each page; and Asynchronous Event
// Request (Base 5.2), whose events name the page that tells more.

// ---- Command dwords (Base 5.16) ------------------------------------------------------------------------------

/** CDW10: Log Page Identifier (LID). */
export const LOG_LID_SHIFT = 0;
export const LOG_LID_WIDTH = 8;
/** CDW10: Log Specific Parameter (LSP). */
export const LOG_LSP_SHIFT = 8;
export const LOG_LSP_WIDTH = 7;
/** CDW10: Retain Asynchronous Event (RAE). */
export const LOG_RAE = 1 << 15;
/** CDW10: Number of Dwords Lower (NUMDL); with NUMDU in CDW11 a zero-based count of 32 bits. */
export const LOG_NUMDL_Z_SHIFT = 16;
export const LOG_NUMDL_Z_WIDTH = 16;
/** CDW11: Number of Dwords Upper (NUMDU) and Log Specific Identifier (LSI). */
export const LOG_NUMDU_SHIFT = 0;
export const LOG_NUMDU_WIDTH = 16;
export const LOG_LSI_SHIFT = 16;
export const LOG_LSI_WIDTH = 16;
/** CDW12 and CDW13: Log Page Offset (LPOL, LPOU), in bytes or, with OT, as an index. */
export const LOG_OFFSET_ALIGN_MASK = 3;
/** CDW14: UUID Index, Offset Type (OT), Command Set Identifier (CSI). */
export const LOG_UUID_INDEX_SHIFT = 0;
export const LOG_UUID_INDEX_WIDTH = 7;
export const LOG_OFFSET_TYPE_INDEX = 1 << 23;
export const LOG_CSI_SHIFT = 24;
export const LOG_CSI_WIDTH = 8;
export const LOG_CDW14_RESERVED_MASK = 0x007fff80;

// ---- Identifiers (Base 5.16.1) -------------------------------------------------------------------------------

export const LID_SUPPORTED_PAGES = 0x00;
export const LID_ERROR = 0x01;
export const LID_SMART = 0x02;
export const LID_FIRMWARE_SLOT = 0x03;
export const LID_CHANGED_NAMESPACES = 0x04;
export const LID_EFFECTS = 0x05;
export const LID_FEATURES = 0x12;
export const LID_MI_EFFECTS = 0x13;

// ---- Supported Log Pages (00h): 256 dwords -------------------------------------------------------------------

export const LOG_SUPPORTED_BYTES = 1024;
/** LID Supported (LSUPP) and Index Offset Supported (IOS). */
export const LOG_SUPPORTED_LSUPP = 1 << 0;
export const LOG_SUPPORTED_IOS = 1 << 1;

// ---- Error Information (01h): newest first -------------------------------------------------------------------

export const LOG_ERROR_ENTRY_BYTES = 64;
export const LOG_ERROR_COUNT = 0; // u64: 1 for the first error ever, 0 = invalid entry
export const LOG_ERROR_SQID = 8; // u16; FFFFh = no queue
export const LOG_ERROR_CID = 10; // u16; FFFFh = no command
export const LOG_ERROR_STATUS = 12; // u16: status field in bits 15:1, as in a CQE
export const LOG_ERROR_PARAMETER = 14; // u16: byte and bit of the offending parameter; FFFFh = none
export const LOG_ERROR_LBA = 16; // u64
export const LOG_ERROR_NSID = 24; // u32
export const LOG_ERROR_TRTYPE = 29; // u8: transport; 0 = not reported
export const LOG_ERROR_COMMAND_SPECIFIC = 32; // u64
export const LOG_ERROR_PARAMETER_NONE = 0xffff;
export const LOG_ERROR_SQID_NONE = 0xffff;

// ---- SMART / Health Information (02h) ------------------------------------------------------------------------

export const LOG_SMART_BYTES = 512;
export const LOG_SMART_CRITICAL_WARNING = 0; // u8
export const LOG_SMART_COMPOSITE_TEMPERATURE = 1; // u16, kelvins
export const LOG_SMART_AVAILABLE_SPARE = 3; // u8, percent
export const LOG_SMART_SPARE_THRESHOLD = 4; // u8, percent
export const LOG_SMART_PERCENTAGE_USED = 5; // u8
export const LOG_SMART_DATA_UNITS_READ = 32; // u128: thousands of 512-byte units
export const LOG_SMART_DATA_UNITS_WRITTEN = 48; // u128
export const LOG_SMART_HOST_READS = 64; // u128: commands
export const LOG_SMART_HOST_WRITES = 80; // u128: commands
export const LOG_SMART_BUSY_TIME = 96; // u128: minutes
export const LOG_SMART_POWER_CYCLES = 112; // u128
export const LOG_SMART_POWER_ON_HOURS = 128; // u128
export const LOG_SMART_UNSAFE_SHUTDOWNS = 144; // u128
export const LOG_SMART_MEDIA_ERRORS = 160; // u128
export const LOG_SMART_ERROR_ENTRIES = 176; // u128: Number of Error Information Log Entries
/** 512-byte units in one Data Unit. */
export const SMART_DATA_UNIT_BLOCKS = 1000;
/** Critical Warning: bits of the low byte, and of the SMART byte of feature 0Bh. */
export const SMART_WARNING_SPARE = 1 << 0;
export const SMART_WARNING_TEMPERATURE = 1 << 1;
export const SMART_WARNING_RELIABILITY = 1 << 2;
export const SMART_WARNING_READ_ONLY = 1 << 3;

// ---- Firmware Slot Information (03h) -------------------------------------------------------------------------

export const LOG_FIRMWARE_BYTES = 512;
export const LOG_FIRMWARE_AFI = 0; // u8: Active Firmware Info: bits 2:0 the active slot
export const LOG_FIRMWARE_FRS1 = 8; // 8 bytes: revision in slot 1

// ---- Changed Namespace List (04h): up to 1,024 NSIDs, ascending, zeros behind them ----------------------------

export const LOG_CHANGED_BYTES = 4096;

// ---- Commands Supported and Effects (05h) --------------------------------------------------------------------

export const LOG_EFFECTS_BYTES = 4096;
export const LOG_EFFECTS_ADMIN = 0; // 256 dwords
export const LOG_EFFECTS_IO = 1024; // 256 dwords
/** Command Supported (CSUPP). */
export const EFFECT_SUPPORTED = 1 << 0;
/** Logical Block Content Change (LBCC). */
export const EFFECT_CONTENT_CHANGE = 1 << 1;
/** Command Scope (CSP), bits 31:20, valid where not 0: namespace, controller. */
export const EFFECT_SCOPE_NAMESPACE = 1 << 20;
export const EFFECT_SCOPE_CONTROLLER = 1 << 21;

// ---- Feature Identifiers Supported and Effects (12h), NVMe-MI Commands Supported and Effects (13h) -----------

export const LOG_FEATURES_BYTES = 1024;
/** FID Supported (FSUPP). */
export const FEATURE_EFFECT_SUPPORTED = 1 << 0;
/** User Data Content Change (UDCC). */
export const FEATURE_EFFECT_CONTENT_CHANGE = 1 << 1;
/** FID Scope (FSP), bits 31:20, as in LID 05h. */
export const FEATURE_EFFECT_SCOPE_NAMESPACE = 1 << 20;
export const FEATURE_EFFECT_SCOPE_CONTROLLER = 1 << 21;
export const LOG_MI_EFFECTS_BYTES = 4096;

// ---- Asynchronous events (Base 5.2) --------------------------------------------------------------------------

/** DW0 of the completion: type, information, log page to read. */
export const AEN_TYPE_SHIFT = 0;
export const AEN_TYPE_WIDTH = 3;
export const AEN_INFO_SHIFT = 8;
export const AEN_INFO_WIDTH = 8;
export const AEN_LID_SHIFT = 16;
export const AEN_LID_WIDTH = 8;

export const AEN_TYPE_ERROR = 0;
export const AEN_TYPE_SMART = 1;
export const AEN_TYPE_NOTICE = 2;
/** Number of types that this controller can post; each is masked by itself until its log page is read. */
export const AEN_TYPE_COUNT = 3;

/** Error: write to an invalid doorbell register; invalid doorbell write value. */
export const AEN_ERROR_INVALID_DOORBELL_REGISTER = 0x00;
export const AEN_ERROR_INVALID_DOORBELL_VALUE = 0x01;
export const AEN_ERROR_DIAGNOSTIC_FAILURE = 0x02;
export const AEN_ERROR_PERSISTENT_INTERNAL = 0x03;
export const AEN_ERROR_TRANSIENT_INTERNAL = 0x04;
/** SMART / Health: reliability, temperature threshold, spare below threshold. */
export const AEN_SMART_RELIABILITY = 0x00;
export const AEN_SMART_TEMPERATURE = 0x01;
export const AEN_SMART_SPARE = 0x02;
/** Notice: namespace attribute changed. */
export const AEN_NOTICE_NAMESPACE_ATTRIBUTE = 0x00;
