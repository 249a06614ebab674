// Portable: compiled by asc into the core and by tsc into the target. Constants only.
//
// Features (Base 5.15 and 5.27): identifiers, the dwords of Get and Set Features, and the fields of each value.

// ---- Command dwords ------------------------------------------------------------------------------------------

/** CDW10 of both commands: Feature Identifier (FID). */
export const FEATURES_FID_SHIFT = 0;
export const FEATURES_FID_WIDTH = 8;
/** Get Features, CDW10: Select (SEL). */
export const GET_FEATURES_SEL_SHIFT = 8;
export const GET_FEATURES_SEL_WIDTH = 3;
export const GET_FEATURES_CDW10_RESERVED_MASK = 0xfffff800;
export const SEL_CURRENT = 0;
export const SEL_DEFAULT = 1;
export const SEL_SAVED = 2;
export const SEL_SUPPORTED = 3;
/** Set Features, CDW10: Save (SV). */
export const SET_FEATURES_SAVE = 0x80000000;
export const SET_FEATURES_CDW10_RESERVED_MASK = 0x7fffff00;
/** CDW14 of both: UUID Index. */
export const FEATURES_UUID_INDEX_SHIFT = 0;
export const FEATURES_UUID_INDEX_WIDTH = 7;

/** DW0 of Get Features with SEL = 3: what the feature supports. */
export const FEATURE_SAVEABLE = 1 << 0;
export const FEATURE_NAMESPACE_SPECIFIC = 1 << 1;
export const FEATURE_CHANGEABLE = 1 << 2;

// ---- Identifiers (Base 5.27.1) -------------------------------------------------------------------------------

export const FID_ARBITRATION = 0x01;
export const FID_POWER_MANAGEMENT = 0x02;
export const FID_TEMPERATURE_THRESHOLD = 0x04;
export const FID_ERROR_RECOVERY = 0x05;
export const FID_VOLATILE_WRITE_CACHE = 0x06;
export const FID_NUMBER_OF_QUEUES = 0x07;
export const FID_INTERRUPT_COALESCING = 0x08;
export const FID_INTERRUPT_VECTOR_CONFIGURATION = 0x09;
export const FID_WRITE_ATOMICITY = 0x0a;
export const FID_ASYNC_EVENT_CONFIGURATION = 0x0b;
export const FID_TIMESTAMP = 0x0e;
export const FID_KEEP_ALIVE_TIMER = 0x0f;
export const FID_HOST_BEHAVIOR = 0x16;
export const FID_SOFTWARE_PROGRESS_MARKER = 0x80;

// ---- Values --------------------------------------------------------------------------------------------------

/** Arbitration (01h): burst as a power of two, 7 = no limit; the three weights mean nothing under round robin. */
export const ARBITRATION_BURST_SHIFT = 0;
export const ARBITRATION_BURST_WIDTH = 3;
export const ARBITRATION_BURST_UNLIMITED = 7;
export const ARBITRATION_RESERVED_MASK = 0x000000f8;
export const ARBITRATION_WEIGHTS_SHIFT = 8;
export const ARBITRATION_WEIGHTS_WIDTH = 24;

/** Power Management (02h): Power State (PS) and Workload Hint (WH). */
export const POWER_STATE_SHIFT = 0;
export const POWER_STATE_WIDTH = 5;
export const POWER_WORKLOAD_HINT_SHIFT = 5;
export const POWER_WORKLOAD_HINT_WIDTH = 3;
export const POWER_RESERVED_MASK = 0xffffff00;

/** Temperature Threshold (04h): kelvins, which sensor, over or under. */
export const TEMPERATURE_THRESHOLD_SHIFT = 0;
export const TEMPERATURE_THRESHOLD_WIDTH = 16;
export const TEMPERATURE_SENSOR_SHIFT = 16;
export const TEMPERATURE_SENSOR_WIDTH = 4;
export const TEMPERATURE_SENSOR_COMPOSITE = 0;
export const TEMPERATURE_SENSOR_ALL = 15;
export const TEMPERATURE_TYPE_SHIFT = 20;
export const TEMPERATURE_TYPE_WIDTH = 2;
export const TEMPERATURE_TYPE_OVER = 0;
export const TEMPERATURE_TYPE_UNDER = 1;
export const TEMPERATURE_RESERVED_MASK = 0xffc00000;

/** Error Recovery (05h): Time Limited Error Recovery in 100 ms; Deallocated or Unwritten Logical Block Error Enable. */
export const ERROR_RECOVERY_TLER_SHIFT = 0;
export const ERROR_RECOVERY_TLER_WIDTH = 16;
export const ERROR_RECOVERY_DULBE = 1 << 16;
export const ERROR_RECOVERY_RESERVED_MASK = 0xfffe0000;

/** Volatile Write Cache (06h): Volatile Write Cache Enable (WCE). */
export const WRITE_CACHE_ENABLE = 1 << 0;
export const WRITE_CACHE_RESERVED_MASK = 0xfffffffe;

/** Number of Queues (07h): requested on the way in, allocated on the way out; zero-based, FFFFh is refused. */
export const QUEUES_SQ_Z_SHIFT = 0;
export const QUEUES_SQ_Z_WIDTH = 16;
export const QUEUES_CQ_Z_SHIFT = 16;
export const QUEUES_CQ_Z_WIDTH = 16;
export const QUEUES_Z_INVALID = 0xffff;

/** Interrupt Coalescing (08h): threshold in completions, zero-based; time in 100 microseconds, 0 = no delay. */
export const COALESCING_THRESHOLD_Z_SHIFT = 0;
export const COALESCING_THRESHOLD_Z_WIDTH = 8;
export const COALESCING_TIME_SHIFT = 8;
export const COALESCING_TIME_WIDTH = 8;
export const COALESCING_RESERVED_MASK = 0xffff0000;

/** Interrupt Vector Configuration (09h): vector, and Coalescing Disable (CD). */
export const VECTOR_IV_SHIFT = 0;
export const VECTOR_IV_WIDTH = 16;
export const VECTOR_COALESCING_DISABLE = 1 << 16;
export const VECTOR_RESERVED_MASK = 0xfffe0000;

/** Write Atomicity Normal (0Ah): Disable Normal (DN). */
export const WRITE_ATOMICITY_DISABLE_NORMAL = 1 << 0;
export const WRITE_ATOMICITY_RESERVED_MASK = 0xfffffffe;

/** Asynchronous Event Configuration (0Bh): SMART critical warnings (7:0) and the notices of OAES. */
export const AEC_SMART_SHIFT = 0;
export const AEC_SMART_WIDTH = 8;
export const AEC_NAMESPACE_ATTRIBUTE = 1 << 8;

/** Timestamp (0Eh): 8 bytes of data; milliseconds since 1970 in 48 bits, then Synch and Timestamp Origin. */
export const TIMESTAMP_BYTES = 8;
export const TIMESTAMP_MILLISECONDS_WIDTH = 48;
export const TIMESTAMP_ATTRIBUTES = 6; // u8
/** The clock may have stood still for a while. */
export const TIMESTAMP_SYNCH = 1 << 0;
export const TIMESTAMP_ORIGIN_SHIFT = 1;
/** Counts from 0 at the last Controller Level Reset; counts from what Set Features said. */
export const TIMESTAMP_ORIGIN_RESET = 0;
export const TIMESTAMP_ORIGIN_SET = 1;

/** Host Behavior Support (16h): 512 bytes of data. */
export const HOST_BEHAVIOR_BYTES = 512;
/** Advanced Command Retry Enable (ACRE): 0 or 1. */
export const HOST_BEHAVIOR_ACRE = 0; // u8

/** Software Progress Marker (80h): Pre-boot Software Load Count (PBSLC). */
export const PROGRESS_RESERVED_MASK = 0xffffff00;
