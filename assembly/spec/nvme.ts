// Portable: compiled by asc into the core and by tsc into the target. Constants only.
//
// NVM Express Base Specification 2.0: controller properties (the registers of BAR0), doorbells, queue entries,
// opcodes, status codes, PRP entries. "Base" and "NVM" before a section number name the Base and the NVM Command
// Set specification. Fields of a register or dword are given as _SHIFT and _WIDTH; zero-based ones end in _Z.
// Identify structures, features and log pages have files of their own beside this one.

// ---- Controller properties: offsets (Base 3.1.3) -------------------------------------------------------------

/** Controller Capabilities (CAP), 8 bytes, Base 3.1.3.1. */
export const REG_CAP = 0x00;
export const REG_CAP_HIGH = 0x04;
/** Version (VS), Base 3.1.3.2. */
export const REG_VS = 0x08;
/** Interrupt Mask Set (INTMS), Base 3.1.3.3. */
export const REG_INTMS = 0x0c;
/** Interrupt Mask Clear (INTMC), Base 3.1.3.4. */
export const REG_INTMC = 0x10;
/** Controller Configuration (CC), Base 3.1.3.5. */
export const REG_CC = 0x14;
/** Controller Status (CSTS), Base 3.1.3.6. */
export const REG_CSTS = 0x1c;
/** NVM Subsystem Reset (NSSR), Base 3.1.3.7; reserved where CAP.NSSRS is 0. */
export const REG_NSSR = 0x20;
/** Admin Queue Attributes (AQA), Base 3.1.3.8. */
export const REG_AQA = 0x24;
/** Admin Submission Queue Base Address (ASQ), 8 bytes, Base 3.1.3.9. */
export const REG_ASQ = 0x28;
export const REG_ASQ_HIGH = 0x2c;
/** Admin Completion Queue Base Address (ACQ), 8 bytes, Base 3.1.3.10. */
export const REG_ACQ = 0x30;
export const REG_ACQ_HIGH = 0x34;
/** Controller Memory Buffer Location (CMBLOC), Base 3.1.3.11. */
export const REG_CMBLOC = 0x38;
/** Controller Memory Buffer Size (CMBSZ), Base 3.1.3.12. */
export const REG_CMBSZ = 0x3c;
/** Boot Partition Information (BPINFO), Base 3.1.3.13. */
export const REG_BPINFO = 0x40;
/** Boot Partition Read Select (BPRSEL), Base 3.1.3.14. */
export const REG_BPRSEL = 0x44;
/** Boot Partition Memory Buffer Location (BPMBL), 8 bytes, Base 3.1.3.15. */
export const REG_BPMBL = 0x48;
/** Controller Memory Buffer Memory Space Control (CMBMSC), 8 bytes, Base 3.1.3.16. */
export const REG_CMBMSC = 0x50;
/** Controller Memory Buffer Status (CMBSTS), Base 3.1.3.17. */
export const REG_CMBSTS = 0x58;
/** Controller Memory Buffer Elasticity Buffer Size (CMBEBS), Base 3.1.3.18. */
export const REG_CMBEBS = 0x5c;
/** Controller Memory Buffer Sustained Write Throughput (CMBSWTP), Base 3.1.3.19. */
export const REG_CMBSWTP = 0x60;
/** NVM Subsystem Shutdown (NSSD), Base 3.1.3.20; reserved where CAP.NSSS is 0. */
export const REG_NSSD = 0x64;
/** Controller Ready Timeouts (CRTO), Base 3.1.3.21. */
export const REG_CRTO = 0x68;
/** First byte after the properties that are defined here; what lies between it and PMRCAP is reserved. */
export const REG_DEFINED_END = 0x6c;
/** Persistent Memory Region Capabilities to Memory Space Control Upper (PMRCAP to PMRMSCU): all absent. */
export const REG_PMRCAP = 0xe00;
export const REG_PMR_END = 0xe1c;
/** Doorbells begin here (NVMe over PCIe Transport 3.1.2). */
export const REG_DOORBELLS = 0x1000;

// ---- CAP (Base 3.1.3.1): fields of the low dword, then of the high one ----------------------------------------

/** Maximum Queue Entries Supported (MQES), zero-based. */
export const CAP_LOW_MQES_Z_SHIFT = 0;
export const CAP_LOW_MQES_Z_WIDTH = 16;
/** Contiguous Queues Required (CQR). */
export const CAP_LOW_CQR_SHIFT = 16;
export const CAP_LOW_CQR_WIDTH = 1;
/** Arbitration Mechanism Supported (AMS). */
export const CAP_LOW_AMS_SHIFT = 17;
export const CAP_LOW_AMS_WIDTH = 2;
/** Timeout (TO), in units of 500 ms. */
export const CAP_LOW_TO_SHIFT = 24;
export const CAP_LOW_TO_WIDTH = 8;
/** Doorbell Stride (DSTRD): doorbells are 4 << DSTRD bytes apart. Bit 32 of CAP. */
export const CAP_HIGH_DSTRD_SHIFT = 0;
export const CAP_HIGH_DSTRD_WIDTH = 4;
/** NVM Subsystem Reset Supported (NSSRS). Bit 36 of CAP. */
export const CAP_HIGH_NSSRS_SHIFT = 4;
/** Command Sets Supported (CSS). Bits 37 to 44 of CAP; its bit 0 is the NVM command set. */
export const CAP_HIGH_CSS_SHIFT = 5;
export const CAP_HIGH_CSS_WIDTH = 8;
export const CAP_CSS_NVM = 1 << 0;
/** Boot Partition Support (BPS). Bit 45 of CAP. */
export const CAP_HIGH_BPS_SHIFT = 13;
/** Controller Power Scope (CPS). Bits 46 and 47 of CAP; 0 is "not reported". */
export const CAP_HIGH_CPS_SHIFT = 14;
/** Memory Page Size Minimum (MPSMIN): 4 KiB << MPSMIN. Bits 48 to 51 of CAP. */
export const CAP_HIGH_MPSMIN_SHIFT = 16;
export const CAP_HIGH_MPSMIN_WIDTH = 4;
/** Memory Page Size Maximum (MPSMAX). Bits 52 to 55 of CAP. */
export const CAP_HIGH_MPSMAX_SHIFT = 20;
export const CAP_HIGH_MPSMAX_WIDTH = 4;
/** Persistent Memory Region Supported (PMRS). Bit 56 of CAP. */
export const CAP_HIGH_PMRS_SHIFT = 24;
/** Controller Memory Buffer Supported (CMBS). Bit 57 of CAP. */
export const CAP_HIGH_CMBS_SHIFT = 25;
/** Controller Ready With Media Support (CRMS.CRWMS). Bit 59 of CAP. */
export const CAP_HIGH_CRWMS_SHIFT = 27;
/** Controller Ready Independent of Media Support (CRMS.CRIMS). Bit 60 of CAP. */
export const CAP_HIGH_CRIMS_SHIFT = 28;

/** Version 2.0.0 (MJR 2, MNR 0, TER 0). */
export const VS_2_0 = 0x00020000;

// ---- CC (Base 3.1.3.5) ---------------------------------------------------------------------------------------

/** Enable (EN). */
export const CC_EN_SHIFT = 0;
export const CC_EN = 1 << CC_EN_SHIFT;
/** I/O Command Set Selected (CSS). */
export const CC_CSS_SHIFT = 4;
export const CC_CSS_WIDTH = 3;
export const CC_CSS_NVM = 0;
/** Memory Page Size (MPS): 4 KiB << MPS. */
export const CC_MPS_SHIFT = 7;
export const CC_MPS_WIDTH = 4;
/** Arbitration Mechanism Selected (AMS). */
export const CC_AMS_SHIFT = 11;
export const CC_AMS_WIDTH = 3;
export const CC_AMS_ROUND_ROBIN = 0;
/** Shutdown Notification (SHN). */
export const CC_SHN_SHIFT = 14;
export const CC_SHN_WIDTH = 2;
export const CC_SHN_NONE = 0;
export const CC_SHN_NORMAL = 1;
export const CC_SHN_ABRUPT = 2;
/** I/O Submission Queue Entry Size (IOSQES), a power of two. */
export const CC_IOSQES_SHIFT = 16;
export const CC_IOSQES_WIDTH = 4;
/** I/O Completion Queue Entry Size (IOCQES), a power of two. */
export const CC_IOCQES_SHIFT = 20;
export const CC_IOCQES_WIDTH = 4;
/** Controller Ready Independent of Media Enable (CRIME). */
export const CC_CRIME_SHIFT = 24;

// ---- CSTS (Base 3.1.3.6) -------------------------------------------------------------------------------------

/** Ready (RDY). */
export const CSTS_RDY_SHIFT = 0;
export const CSTS_RDY = 1 << CSTS_RDY_SHIFT;
/** Controller Fatal Status (CFS). */
export const CSTS_CFS_SHIFT = 1;
export const CSTS_CFS = 1 << CSTS_CFS_SHIFT;
/** Shutdown Status (SHST). */
export const CSTS_SHST_SHIFT = 2;
export const CSTS_SHST_WIDTH = 2;
export const CSTS_SHST_NORMAL = 0;
export const CSTS_SHST_OCCURRING = 1;
export const CSTS_SHST_COMPLETE = 2;
/** NVM Subsystem Reset Occurred (NSSRO). */
export const CSTS_NSSRO_SHIFT = 4;
/** Processing Paused (PP). */
export const CSTS_PP_SHIFT = 5;

// ---- AQA, ASQ, ACQ, CRTO (Base 3.1.3.8 to 3.1.3.10 and 3.1.3.21) ----------------------------------------------

/** Admin Submission Queue Size (ASQS), zero-based; at least 2 entries, at most 4,096. */
export const AQA_ASQS_Z_SHIFT = 0;
export const AQA_ASQS_Z_WIDTH = 12;
/** Admin Completion Queue Size (ACQS), zero-based. */
export const AQA_ACQS_Z_SHIFT = 16;
export const AQA_ACQS_Z_WIDTH = 12;
export const AQA_MASK = 0x0fff0fff;
/** Queue bases are 4 KiB aligned; the low 12 bits of ASQ and ACQ are reserved. */
export const ASQ_LOW_MASK = 0xfffff000;
/** Controller Ready With Media Timeout (CRWMT), in units of 500 ms. */
export const CRTO_CRWMT_SHIFT = 0;
export const CRTO_CRWMT_WIDTH = 16;
/** Controller Ready Independent of Media Timeout (CRIMT), in units of 500 ms. */
export const CRTO_CRIMT_SHIFT = 16;
export const CRTO_CRIMT_WIDTH = 16;

// ---- Queues and entries (Base 3.3) ---------------------------------------------------------------------------

/** Bytes of an entry, and the powers of two that CC.IOSQES and CC.IOCQES ask for. */
export const SQE_SHIFT = 6;
export const SQE_BYTES = 1 << SQE_SHIFT;
export const CQE_SHIFT = 4;
export const CQE_BYTES = 1 << CQE_SHIFT;
/** Bytes between two doorbells (CAP.DSTRD = 0). */
export const DOORBELL_BYTES = 4;
/** Smallest queue: one entry is always empty. */
export const QUEUE_ENTRIES_MIN = 2;
/** Memory page (CC.MPS = 0). */
export const PAGE_SHIFT = 12;
export const PAGE_BYTES = 1 << PAGE_SHIFT;
/** A PRP list entry (Base 4.1.1). */
export const PRP_ENTRY_SHIFT = 3;
export const PRP_ENTRY_BYTES = 1 << PRP_ENTRY_SHIFT;
export const PRP_ENTRIES_PER_PAGE = PAGE_BYTES / PRP_ENTRY_BYTES;
/** PRP entries are dword aligned: the two lowest bits are 0. */
export const PRP_ALIGN_MASK = 3;
/** Broadcast namespace identifier. */
export const NSID_BROADCAST = 0xffffffff;
/** A Command Identifier that Linux and the Error Information log reserve: "no command". */
export const CID_NONE = 0xffff;

/** Submission queue entry: byte offsets (Base 3.3.3.1, Common Command Format). */
export const SQE_OPCODE = 0; // u8
export const SQE_FLAGS = 1; // u8: FUSE and PSDT
export const SQE_CID = 2; // u16
export const SQE_NSID = 4; // u32
export const SQE_CDW2 = 8; // u32
export const SQE_CDW3 = 12; // u32
export const SQE_MPTR = 16; // u64
export const SQE_PRP1 = 24; // u64
export const SQE_PRP2 = 32; // u64
export const SQE_CDW10 = 40;
export const SQE_CDW11 = 44;
export const SQE_CDW12 = 48;
export const SQE_CDW13 = 52;
export const SQE_CDW14 = 56;
export const SQE_CDW15 = 60;

/** Fused Operation (FUSE) in SQE_FLAGS. */
export const SQE_FLAGS_FUSE_SHIFT = 0;
export const SQE_FLAGS_FUSE_WIDTH = 2;
export const FUSE_NORMAL = 0;
/** Bits 5:2 of SQE_FLAGS are reserved. */
export const SQE_FLAGS_RESERVED_MASK = 0x3c;
/** PRP or SGL for Data Transfer (PSDT) in SQE_FLAGS. */
export const SQE_FLAGS_PSDT_SHIFT = 6;
export const SQE_FLAGS_PSDT_WIDTH = 2;
export const PSDT_PRP = 0;
export const PSDT_SGL_MPTR_CONTIGUOUS = 1;
export const PSDT_SGL_MPTR_SGL = 2;

/** Completion queue entry: byte offsets (Base 3.3.3.2). */
export const CQE_DW0 = 0; // u32: command specific
export const CQE_DW1 = 4; // u32: command specific
export const CQE_SQHD = 8; // u16
export const CQE_SQID = 10; // u16
export const CQE_CID = 12; // u16
/** u16: phase tag in bit 0, then the status as this code keeps it (SC, SCT, CRD, M, DNR) from bit 1. */
export const CQE_STATUS = 14;
export const CQE_STATUS_PHASE_SHIFT = 0;
export const CQE_STATUS_SHIFT = 1;

// ---- Admin opcodes (Base 5) ----------------------------------------------------------------------------------

/** Delete I/O Submission Queue, Base 5.7. */
export const ADMIN_DELETE_IO_SQ = 0x00;
/** Create I/O Submission Queue, Base 5.5. */
export const ADMIN_CREATE_IO_SQ = 0x01;
/** Get Log Page, Base 5.16. */
export const ADMIN_GET_LOG_PAGE = 0x02;
/** Delete I/O Completion Queue, Base 5.6. */
export const ADMIN_DELETE_IO_CQ = 0x04;
/** Create I/O Completion Queue, Base 5.4. */
export const ADMIN_CREATE_IO_CQ = 0x05;
/** Identify, Base 5.17. */
export const ADMIN_IDENTIFY = 0x06;
/** Abort, Base 5.1. */
export const ADMIN_ABORT = 0x08;
/** Set Features, Base 5.27. */
export const ADMIN_SET_FEATURES = 0x09;
/** Get Features, Base 5.15. */
export const ADMIN_GET_FEATURES = 0x0a;
/** Asynchronous Event Request, Base 5.2. */
export const ADMIN_ASYNC_EVENT_REQUEST = 0x0c;
/** Keep Alive, Base 5.18. */
export const ADMIN_KEEP_ALIVE = 0x18;
/** Doorbell Buffer Config, Base 5.11. */
export const ADMIN_DOORBELL_BUFFER_CONFIG = 0x7c;

// ---- NVM command set opcodes (NVM 3) -------------------------------------------------------------------------

export const NVM_FLUSH = 0x00;
export const NVM_WRITE = 0x01;
export const NVM_READ = 0x02;
export const NVM_WRITE_UNCORRECTABLE = 0x04;
export const NVM_COMPARE = 0x05;
export const NVM_WRITE_ZEROES = 0x08;
export const NVM_DATASET_MANAGEMENT = 0x09;
export const NVM_VERIFY = 0x0c;
export const NVM_COPY = 0x19;

// ---- Fields of admin commands --------------------------------------------------------------------------------

/** Create and Delete I/O Queue, CDW10 (Base 5.4 to 5.7). */
export const CREATE_QUEUE_QID_SHIFT = 0;
export const CREATE_QUEUE_QID_WIDTH = 16;
/** Queue Size (QSIZE), zero-based. */
export const CREATE_QUEUE_QSIZE_Z_SHIFT = 16;
export const CREATE_QUEUE_QSIZE_Z_WIDTH = 16;
/** CDW11 of both creations: Physically Contiguous (PC). */
export const CREATE_QUEUE_PC = 1 << 0;
/** Create I/O Completion Queue, CDW11: Interrupts Enabled (IEN) and Interrupt Vector (IV). */
export const CREATE_CQ_IEN = 1 << 1;
export const CREATE_CQ_IV_SHIFT = 16;
export const CREATE_CQ_RESERVED_MASK = 0xfffc;
/** Create I/O Submission Queue, CDW11: Queue Priority (QPRIO) and Completion Queue Identifier (CQID). */
export const CREATE_SQ_QPRIO_SHIFT = 1;
export const CREATE_SQ_QPRIO_WIDTH = 2;
export const CREATE_SQ_CQID_SHIFT = 16;
export const CREATE_SQ_RESERVED_MASK = 0xfff8;
/** What is not the NVM Set Identifier in CDW12 of Create I/O Submission Queue, not QID in CDW10 of the deletions. */
export const CREATE_SQ_CDW12_RESERVED_MASK = 0xffff0000;
export const DELETE_QUEUE_CDW10_RESERVED_MASK = 0xffff0000;
/** Abort, CDW10 (Base 5.1); DW0 bit 0 of its completion is 1 when the command was not aborted. */
export const ABORT_SQID_SHIFT = 0;
export const ABORT_CID_SHIFT = 16;
export const ABORT_NOT_ABORTED = 1;

// ---- Fields of NVM commands ----------------------------------------------------------------------------------

/** Read, Write, Write Zeroes, CDW12: Number of Logical Blocks (NLB), zero-based (NVM 3.2.4 to 3.2.8). */
export const RW_NLB_Z_SHIFT = 0;
export const RW_NLB_Z_WIDTH = 16;
/** CDW12: Storage Tag Check (STC). */
export const RW_STC = 1 << 24;
/** Write Zeroes, CDW12: Deallocate (DEAC). */
export const WRITE_ZEROES_DEAC = 1 << 25;
/** CDW12: Protection Information (PRINFO), bits 26 to 29. */
export const RW_PRINFO_SHIFT = 26;
export const RW_PRINFO_WIDTH = 4;
/** CDW12: Force Unit Access (FUA). */
export const RW_FUA = 1 << 30;
/** CDW12: Limited Retry (LR). */
export const RW_LR = 0x80000000;
/** Write, CDW12: Directive Type (DTYPE), bits 20 to 23. */
export const WRITE_DTYPE_SHIFT = 20;
export const WRITE_DTYPE_WIDTH = 4;
/** Bits that are reserved, or belong to what is not offered here, in CDW12 and CDW13 of each of the three. */
export const READ_CDW12_RESERVED_MASK = 0x02ff0000;
export const READ_CDW13_RESERVED_MASK = 0xffffff00;
export const WRITE_CDW12_RESERVED_MASK = 0x020f0000;
export const WRITE_CDW13_RESERVED_MASK = 0x0000ff00;
export const WRITE_ZEROES_CDW12_RESERVED_MASK = 0x00ff0000;
/** Compare and Verify move no hints: CDW13 is reserved, and so are bits of CDW12 (NVM 3.2.1 and 3.2.5). */
export const COMPARE_CDW12_RESERVED_MASK = 0x02ff0000;
export const VERIFY_CDW12_RESERVED_MASK = 0x02ff0000;
/** Write Uncorrectable: CDW12 has NLB alone (NVM 3.2.7). */
export const WRITE_UNCORRECTABLE_CDW12_RESERVED_MASK = 0xffff0000;
/** Copy, CDW12: Number of Ranges (NR), zero-based, Descriptor Format, Directive Type (NVM 3.2.2). */
export const COPY_NR_Z_SHIFT = 0;
export const COPY_NR_Z_WIDTH = 8;
export const COPY_FORMAT_SHIFT = 8;
export const COPY_FORMAT_WIDTH = 4;
export const COPY_FORMAT_0 = 0;
export const COPY_DTYPE_SHIFT = 20;
export const COPY_DTYPE_WIDTH = 4;
export const COPY_CDW12_RESERVED_MASK = 0x000f0000;
export const COPY_CDW13_RESERVED_MASK = 0x0000ffff;
/** A source range of format 0: starting LBA, number of logical blocks, tags that mean nothing here. */
export const COPY_RANGE_BYTES = 32;
export const COPY_RANGE_LBA = 8; // u64
export const COPY_RANGE_NLB_Z = 16; // u16, zero-based
/** Dataset Management, CDW10: Number of Ranges (NR), zero-based (NVM 3.2.3). */
export const DSM_NR_Z_SHIFT = 0;
export const DSM_NR_Z_WIDTH = 8;
export const DSM_RANGES_MAX = 256;
/** Dataset Management, CDW11: attributes. */
export const DSM_INTEGRAL_READ = 1 << 0;
export const DSM_INTEGRAL_WRITE = 1 << 1;
export const DSM_DEALLOCATE = 1 << 2;
export const DSM_CDW11_RESERVED_MASK = 0xfffffff8;
/** A range: context attributes, length in logical blocks, starting LBA. */
export const DSM_RANGE_BYTES = 16;
export const DSM_RANGE_ATTRIBUTES = 0; // u32
export const DSM_RANGE_BLOCKS = 4; // u32
export const DSM_RANGE_LBA = 8; // u64

// ---- Status (Base 3.3.3.2.1): Status Code Type << 8 | Status Code ---------------------------------------------

export const STATUS_SC_SHIFT = 0;
export const STATUS_SC_WIDTH = 8;
export const STATUS_SCT_SHIFT = 8;
export const STATUS_SCT_WIDTH = 3;
/** More (M): there is more in the Error Information log page. */
export const STATUS_MORE = 1 << 13;
/** Do Not Retry (DNR): the same command would fail again. */
export const STATUS_DNR = 1 << 14;

export const SCT_GENERIC = 0;
export const SCT_COMMAND_SPECIFIC = 1;
export const SCT_MEDIA = 2;
export const SCT_PATH = 3;

// Generic command status (Base, "Status Code – Generic Command Status Values").
export const STATUS_SUCCESS = 0x000;
export const STATUS_INVALID_OPCODE = 0x001;
export const STATUS_INVALID_FIELD = 0x002;
export const STATUS_COMMAND_ID_CONFLICT = 0x003;
export const STATUS_DATA_TRANSFER_ERROR = 0x004;
export const STATUS_POWER_LOSS_ABORT = 0x005;
export const STATUS_INTERNAL_ERROR = 0x006;
export const STATUS_ABORT_REQUESTED = 0x007;
export const STATUS_ABORT_SQ_DELETION = 0x008;
export const STATUS_FUSED_FAILED = 0x009;
export const STATUS_FUSED_MISSING = 0x00a;
export const STATUS_INVALID_NAMESPACE = 0x00b;
export const STATUS_COMMAND_SEQUENCE_ERROR = 0x00c;
export const STATUS_INVALID_SGL_SEGMENT = 0x00d;
export const STATUS_INVALID_SGL_COUNT = 0x00e;
export const STATUS_DATA_SGL_LENGTH_INVALID = 0x00f;
export const STATUS_METADATA_SGL_LENGTH_INVALID = 0x010;
export const STATUS_SGL_TYPE_INVALID = 0x011;
export const STATUS_INVALID_CMB_USE = 0x012;
export const STATUS_PRP_OFFSET_INVALID = 0x013;
export const STATUS_ATOMIC_WRITE_EXCEEDED = 0x014;
export const STATUS_OPERATION_DENIED = 0x015;
export const STATUS_HOST_ID_INCONSISTENT = 0x018;
export const STATUS_KEEP_ALIVE_EXPIRED = 0x019;
export const STATUS_KEEP_ALIVE_INVALID = 0x01a;
export const STATUS_NAMESPACE_WRITE_PROTECTED = 0x020;
export const STATUS_COMMAND_INTERRUPTED = 0x021;
export const STATUS_TRANSIENT_TRANSPORT_ERROR = 0x022;
// Generic command status of the NVM command set (NVM, "Status Code – Generic Command Status Values").
export const STATUS_LBA_OUT_OF_RANGE = 0x080;
export const STATUS_CAPACITY_EXCEEDED = 0x081;
export const STATUS_NAMESPACE_NOT_READY = 0x082;
export const STATUS_RESERVATION_CONFLICT = 0x083;
export const STATUS_FORMAT_IN_PROGRESS = 0x084;

// Command specific status (Base, "Status Code – Command Specific Status Values").
export const STATUS_CQ_INVALID = 0x100;
export const STATUS_INVALID_QUEUE_ID = 0x101;
export const STATUS_INVALID_QUEUE_SIZE = 0x102;
export const STATUS_ABORT_LIMIT_EXCEEDED = 0x103;
export const STATUS_AER_LIMIT_EXCEEDED = 0x105;
export const STATUS_INVALID_INTERRUPT_VECTOR = 0x108;
export const STATUS_INVALID_LOG_PAGE = 0x109;
export const STATUS_INVALID_FORMAT = 0x10a;
export const STATUS_INVALID_QUEUE_DELETION = 0x10c;
export const STATUS_FEATURE_NOT_SAVEABLE = 0x10d;
export const STATUS_FEATURE_NOT_CHANGEABLE = 0x10e;
export const STATUS_FEATURE_NOT_NAMESPACE_SPECIFIC = 0x10f;
// Command specific status of the NVM command set.
export const STATUS_CONFLICTING_ATTRIBUTES = 0x180;
export const STATUS_INVALID_PROTECTION_INFORMATION = 0x181;
export const STATUS_WRITE_TO_READ_ONLY_RANGE = 0x182;
export const STATUS_COMMAND_SIZE_LIMIT_EXCEEDED = 0x183;

// Media and data integrity errors (Base, "Status Code – Media and Data Integrity Error Values").
export const STATUS_WRITE_FAULT = 0x280;
export const STATUS_UNRECOVERED_READ_ERROR = 0x281;
export const STATUS_COMPARE_FAILURE = 0x285;
export const STATUS_DEALLOCATED_BLOCK = 0x287;
