// Portable: compiled by asc into the core and by tsc into the target. Constants only.
//
// Identify (Base 5.17): CNS values and the byte offsets of each data structure that it returns, in the order of
// the specification, with the values this controller reports in them named where they are more than a number.

/** Every Identify data structure is one 4 KiB page. */
export const IDENTIFY_BYTES = 4096;

// ---- Command dwords (Base 5.17) ------------------------------------------------------------------------------

/** CDW10: Controller or Namespace Structure (CNS) and Controller Identifier (CNTID). */
export const IDENTIFY_CNS_SHIFT = 0;
export const IDENTIFY_CNS_WIDTH = 8;
export const IDENTIFY_CDW10_RESERVED_MASK = 0x0000ff00;
export const IDENTIFY_CNTID_SHIFT = 16;
export const IDENTIFY_CNTID_WIDTH = 16;
/** CDW11: CNS Specific Identifier (bits 15:0) and Command Set Identifier (CSI). */
export const IDENTIFY_CSI_SHIFT = 24;
export const IDENTIFY_CSI_WIDTH = 8;
export const IDENTIFY_CDW11_RESERVED_MASK = 0x00ff0000;
/** CDW14: UUID Index. */
export const IDENTIFY_UUID_INDEX_SHIFT = 0;
export const IDENTIFY_UUID_INDEX_WIDTH = 7;

/** Command Set Identifiers. */
export const CSI_NVM = 0;

/** Identify Namespace. */
export const CNS_NAMESPACE = 0x00;
/** Identify Controller. */
export const CNS_CONTROLLER = 0x01;
/** Active Namespace ID list. */
export const CNS_ACTIVE_NAMESPACES = 0x02;
/** Namespace Identification Descriptor list. */
export const CNS_NAMESPACE_DESCRIPTORS = 0x03;
/** I/O Command Set specific Identify Namespace. */
export const CNS_CSI_NAMESPACE = 0x05;
/** I/O Command Set specific Identify Controller. */
export const CNS_CSI_CONTROLLER = 0x06;
/** I/O Command Set Independent Identify Namespace. */
export const CNS_INDEPENDENT_NAMESPACE = 0x08;
/** Allocated Namespace ID list. */
export const CNS_ALLOCATED_NAMESPACES = 0x10;
/** Identify Namespace for an allocated NSID. */
export const CNS_ALLOCATED_NAMESPACE = 0x11;
/** Controllers that a namespace is attached to. */
export const CNS_NAMESPACE_CONTROLLERS = 0x12;
/** Controllers of the NVM subsystem. */
export const CNS_CONTROLLERS = 0x13;
/** I/O Command Set data structure: which combinations of command sets may be enabled. */
export const CNS_COMMAND_SETS = 0x1c;

// ---- Identify Controller (CNS 01h, Base 5.17.2.1) -------------------------------------------------------------

export const IDCTRL_VID = 0; // u16: PCI Vendor ID
export const IDCTRL_SSVID = 2; // u16: PCI Subsystem Vendor ID
export const IDCTRL_SN = 4; // 20 bytes: Serial Number
export const IDCTRL_SN_BYTES = 20;
export const IDCTRL_MN = 24; // 40 bytes: Model Number
export const IDCTRL_MN_BYTES = 40;
export const IDCTRL_FR = 64; // 8 bytes: Firmware Revision
export const IDCTRL_FR_BYTES = 8;
export const IDCTRL_RAB = 72; // u8: Recommended Arbitration Burst
export const IDCTRL_IEEE = 73; // 3 bytes: IEEE OUI Identifier
export const IDCTRL_CMIC = 76; // u8: Controller Multi-Path I/O and Namespace Sharing Capabilities
export const IDCTRL_MDTS = 77; // u8: Maximum Data Transfer Size
export const IDCTRL_CNTLID = 78; // u16: Controller ID
export const IDCTRL_VER = 80; // u32: Version
export const IDCTRL_RTD3R = 84; // u32: RTD3 Resume Latency
export const IDCTRL_RTD3E = 88; // u32: RTD3 Entry Latency
export const IDCTRL_OAES = 92; // u32: Optional Asynchronous Events Supported
export const IDCTRL_CTRATT = 96; // u32: Controller Attributes
export const IDCTRL_RRLS = 100; // u16: Read Recovery Levels Supported
export const IDCTRL_CNTRLTYPE = 111; // u8: Controller Type
export const IDCTRL_FGUID = 112; // 16 bytes: FRU Globally Unique Identifier
export const IDCTRL_CRDT1 = 128; // u16: Command Retry Delay Time 1
export const IDCTRL_CRDT2 = 130; // u16
export const IDCTRL_CRDT3 = 132; // u16
export const IDCTRL_NVMSR = 253; // u8: NVM Subsystem Report
export const IDCTRL_VWCI = 254; // u8: VPD Write Cycle Information
export const IDCTRL_MEC = 255; // u8: Management Endpoint Capabilities
export const IDCTRL_OACS = 256; // u16: Optional Admin Command Support
export const IDCTRL_ACL = 258; // u8: Abort Command Limit, zero-based
export const IDCTRL_AERL = 259; // u8: Asynchronous Event Request Limit, zero-based
export const IDCTRL_FRMW = 260; // u8: Firmware Updates
export const IDCTRL_LPA = 261; // u8: Log Page Attributes
export const IDCTRL_ELPE = 262; // u8: Error Log Page Entries, zero-based
export const IDCTRL_NPSS = 263; // u8: Number of Power States Support, zero-based
export const IDCTRL_AVSCC = 264; // u8: Admin Vendor Specific Command Configuration
export const IDCTRL_APSTA = 265; // u8: Autonomous Power State Transition Attributes
export const IDCTRL_WCTEMP = 266; // u16: Warning Composite Temperature Threshold, kelvins
export const IDCTRL_CCTEMP = 268; // u16: Critical Composite Temperature Threshold, kelvins
export const IDCTRL_MTFA = 270; // u16: Maximum Time for Firmware Activation
export const IDCTRL_HMPRE = 272; // u32: Host Memory Buffer Preferred Size
export const IDCTRL_HMMIN = 276; // u32: Host Memory Buffer Minimum Size
export const IDCTRL_TNVMCAP = 280; // u128: Total NVM Capacity
export const IDCTRL_UNVMCAP = 296; // u128: Unallocated NVM Capacity
export const IDCTRL_RPMBS = 312; // u32: Replay Protected Memory Block Support
export const IDCTRL_EDSTT = 316; // u16: Extended Device Self-test Time
export const IDCTRL_DSTO = 318; // u8: Device Self-test Options
export const IDCTRL_FWUG = 319; // u8: Firmware Update Granularity
export const IDCTRL_KAS = 320; // u16: Keep Alive Support
export const IDCTRL_HCTMA = 322; // u16: Host Controlled Thermal Management Attributes
export const IDCTRL_MNTMT = 324; // u16: Minimum Thermal Management Temperature
export const IDCTRL_MXTMT = 326; // u16: Maximum Thermal Management Temperature
export const IDCTRL_SANICAP = 328; // u32: Sanitize Capabilities
export const IDCTRL_HMMINDS = 332; // u32
export const IDCTRL_HMMAXD = 336; // u16
export const IDCTRL_NSETIDMAX = 338; // u16: NVM Set Identifier Maximum
export const IDCTRL_ENDGIDMAX = 340; // u16: Endurance Group Identifier Maximum
export const IDCTRL_ANATT = 342; // u8: ANA Transition Time
export const IDCTRL_ANACAP = 343; // u8: Asymmetric Namespace Access Capabilities
export const IDCTRL_ANAGRPMAX = 344; // u32
export const IDCTRL_NANAGRPID = 348; // u32
export const IDCTRL_PELS = 352; // u32: Persistent Event Log Size
export const IDCTRL_DOMAINID = 356; // u16: Domain Identifier
export const IDCTRL_MEGCAP = 368; // u128: Maximum Endurance Group Capacity
export const IDCTRL_SQES = 512; // u8: Submission Queue Entry Size
export const IDCTRL_CQES = 513; // u8: Completion Queue Entry Size
export const IDCTRL_MAXCMD = 514; // u16: Maximum Outstanding Commands
export const IDCTRL_NN = 516; // u32: Number of Namespaces
export const IDCTRL_ONCS = 520; // u16: Optional NVM Command Support
export const IDCTRL_FUSES = 522; // u16: Fused Operation Support
export const IDCTRL_FNA = 524; // u8: Format NVM Attributes
export const IDCTRL_VWC = 525; // u8: Volatile Write Cache
export const IDCTRL_AWUN = 526; // u16: Atomic Write Unit Normal, zero-based
export const IDCTRL_AWUPF = 528; // u16: Atomic Write Unit Power Fail, zero-based
export const IDCTRL_ICSVSCC = 530; // u8: I/O Command Set Vendor Specific Command Configuration
export const IDCTRL_NWPC = 531; // u8: Namespace Write Protection Capabilities
export const IDCTRL_ACWU = 532; // u16: Atomic Compare & Write Unit
export const IDCTRL_OCFS = 534; // u16: Optional Copy Formats Supported
export const IDCTRL_SGLS = 536; // u32: SGL Support
export const IDCTRL_MNAN = 540; // u32: Maximum Number of Allowed Namespaces
export const IDCTRL_SUBNQN = 768; // 256 bytes: NVM Subsystem NVMe Qualified Name
export const IDCTRL_SUBNQN_BYTES = 256;
export const IDCTRL_PSD0 = 2048; // 32 bytes: Power State 0 Descriptor

/** CMIC bit 1: the subsystem may contain two or more controllers. */
export const CMIC_MULTI_CONTROLLER = 1 << 1;
/** CNTRLTYPE: I/O controller. */
export const CNTRLTYPE_IO = 1;
/** OAES bit 8: Namespace Attribute notices. */
export const OAES_NAMESPACE_ATTRIBUTE = 1 << 8;
/** OACS bit 8: Doorbell Buffer Config. */
export const OACS_DOORBELL_BUFFER_CONFIG = 1 << 8;
/** FRMW bit 0: slot 1 is read only; bits 3:1: number of slots. */
export const FRMW_SLOT1_READ_ONLY = 1 << 0;
export const FRMW_SLOTS_SHIFT = 1;
/** LPA bit 0: SMART / Health Information for each namespace. */
export const LPA_SMART_PER_NAMESPACE = 1 << 0;
/** LPA bit 1: Commands Supported and Effects log page. */
export const LPA_EFFECTS = 1 << 1;
/** LPA bit 2: extended data for Get Log Page (NUMDU, LPOL, LPOU). */
export const LPA_EXTENDED = 1 << 2;
/** LPA bit 5: Supported Log Pages, Feature Identifiers and NVMe-MI Commands Supported pages, and LIDs in LID 05h. */
export const LPA_SUPPORTED_PAGES = 1 << 5;
/** AVSCC bit 0, ICSVSCC bit 0: vendor specific commands use the standard format. */
export const VSCC_STANDARD_FORMAT = 1 << 0;
/** SQES and CQES: minimum (bits 3:0) and maximum (bits 7:4) entry size as powers of two. */
export const ENTRY_SIZE_MIN_SHIFT = 0;
export const ENTRY_SIZE_MAX_SHIFT = 4;
/** ONCS bit 0: Compare. */
export const ONCS_COMPARE = 1 << 0;
/** ONCS bit 1: Write Uncorrectable. */
export const ONCS_WRITE_UNCORRECTABLE = 1 << 1;
/** ONCS bit 2: Dataset Management. */
export const ONCS_DATASET_MANAGEMENT = 1 << 2;
/** ONCS bit 3: Write Zeroes. */
export const ONCS_WRITE_ZEROES = 1 << 3;
/** ONCS bit 4: Save (SV) in Set Features and Select (SEL) in Get Features may be other than 0. */
export const ONCS_SAVE_AND_SELECT = 1 << 4;
/** ONCS bit 6: Timestamp. */
export const ONCS_TIMESTAMP = 1 << 6;
/** ONCS bit 7: Verify. */
export const ONCS_VERIFY = 1 << 7;
/** ONCS bit 8: Copy. */
export const ONCS_COPY = 1 << 8;
/** OCFS bit 0: Copy Format 0. */
export const OCFS_FORMAT_0 = 1 << 0;
/** VWC bit 0: a volatile write cache is present. */
export const VWC_PRESENT = 1 << 0;
/** VWC bits 2:1: what Flush does with the broadcast NSID. */
export const VWC_FLUSH_BROADCAST_SHIFT = 1;
/** Flush with the broadcast NSID fails with Invalid Namespace or Format. */
export const VWC_FLUSH_BROADCAST_REFUSED = 2;
/** Flush with the broadcast NSID flushes all namespaces attached to the controller. */
export const VWC_FLUSH_BROADCAST_ALL = 3;

/** Power State Descriptor: offsets and the flag of the second power scale. */
export const PSD_BYTES = 32;
export const PSD_MP = 0; // u16: Maximum Power
export const PSD_FLAGS = 3; // u8: MXPS (bit 0), NOPS (bit 1)
export const PSD_ENLAT = 4; // u32: Entry Latency, microseconds
export const PSD_EXLAT = 8; // u32: Exit Latency, microseconds

// ---- Identify Namespace, NVM command set (CNS 00h, NVM 4.1.5.1) -----------------------------------------------

export const IDNS_NSZE = 0; // u64: Namespace Size, logical blocks
export const IDNS_NCAP = 8; // u64: Namespace Capacity
export const IDNS_NUSE = 16; // u64: Namespace Utilization
export const IDNS_NSFEAT = 24; // u8: Namespace Features
export const IDNS_NLBAF = 25; // u8: Number of LBA Formats, zero-based
export const IDNS_FLBAS = 26; // u8: Formatted LBA Size
export const IDNS_MC = 27; // u8: Metadata Capabilities
export const IDNS_DPC = 28; // u8: End-to-end Data Protection Capabilities
export const IDNS_DPS = 29; // u8: End-to-end Data Protection Type Settings
export const IDNS_NMIC = 30; // u8: Namespace Multi-path I/O and Namespace Sharing Capabilities
export const IDNS_RESCAP = 31; // u8: Reservation Capabilities
export const IDNS_FPI = 32; // u8: Format Progress Indicator
export const IDNS_DLFEAT = 33; // u8: Deallocate Logical Block Features
export const IDNS_NAWUN = 34; // u16
export const IDNS_NAWUPF = 36; // u16
export const IDNS_NACWU = 38; // u16
export const IDNS_NABSN = 40; // u16
export const IDNS_NABO = 42; // u16
export const IDNS_NABSPF = 44; // u16
export const IDNS_NOIOB = 46; // u16: Namespace Optimal I/O Boundary
export const IDNS_NVMCAP = 48; // u128: NVM Capacity, bytes
export const IDNS_NPWG = 64; // u16: Namespace Preferred Write Granularity, zero-based
export const IDNS_NPWA = 66; // u16: Namespace Preferred Write Alignment, zero-based
export const IDNS_NPDG = 68; // u16: Namespace Preferred Deallocate Granularity, zero-based
export const IDNS_NPDA = 70; // u16: Namespace Preferred Deallocate Alignment, zero-based
export const IDNS_NOWS = 72; // u16: Namespace Optimal Write Size, zero-based
export const IDNS_MSSRL = 74; // u16: Maximum Single Source Range Length, logical blocks
export const IDNS_MCL = 76; // u32: Maximum Copy Length, logical blocks
export const IDNS_MSRC = 80; // u8: Maximum Source Range Count, zero-based
export const IDNS_ANAGRPID = 92; // u32
export const IDNS_NSATTR = 99; // u8: Namespace Attributes
export const IDNS_NVMSETID = 100; // u16
export const IDNS_ENDGID = 102; // u16
export const IDNS_NGUID = 104; // 16 bytes
export const IDNS_EUI64 = 120; // 8 bytes
export const IDNS_LBAF0 = 128; // 4 bytes: LBA Format 0

/** NSFEAT bit 0: thin provisioning. */
export const NSFEAT_THIN = 1 << 0;
/** NSFEAT bit 4: NPWG, NPWA, NPDG, NPDA and NOWS are meant (OPTPERF). */
export const NSFEAT_OPTPERF = 1 << 4;
/** NMIC bit 0: the namespace may be attached to two or more controllers. */
export const NMIC_SHARED = 1 << 0;
/** DLFEAT bits 2:0 = 001b: deallocated blocks read as zeros. */
export const DLFEAT_READS_ZEROS = 1;
/** DLFEAT bit 3: Write Zeroes honours the Deallocate bit. */
export const DLFEAT_WRITE_ZEROES_DEALLOCATE = 1 << 3;
/** NSATTR bit 0: currently write protected. */
export const NSATTR_WRITE_PROTECTED = 1 << 0;
/** LBA Format: metadata size (bits 15:0), data size as a power of two (bits 23:16), relative performance (25:24). */
export const LBAF_LBADS_SHIFT = 16;
export const LBAF_LBADS_WIDTH = 8;

// ---- Namespace Identification Descriptor (CNS 03h, Base 5.17.2.3) ---------------------------------------------

export const NSDESC_NIDT = 0; // u8: type
export const NSDESC_NIDL = 1; // u8: length of the identifier
export const NSDESC_NID = 4; // the identifier
export const NSDESC_HEADER_BYTES = 4;
export const NIDT_EUI64 = 1;
export const NIDT_EUI64_BYTES = 8;
export const NIDT_NGUID = 2;
export const NIDT_NGUID_BYTES = 16;
export const NIDT_UUID = 3;
export const NIDT_UUID_BYTES = 16;
export const NIDT_CSI = 4;
export const NIDT_CSI_BYTES = 1;

// ---- I/O Command Set specific, NVM (CNS 05h and 06h, NVM 4.1.5.3 and 4.1.5.4) ---------------------------------

/** Identify Namespace: Logical Block Storage Tag Mask and onwards; all zero without protection information. */
export const IDNS_NVM_LBSTM = 0; // u64
export const IDCTRL_NVM_VSL = 0; // u8: Verify Size Limit
export const IDCTRL_NVM_WZSL = 1; // u8: Write Zeroes Size Limit, a power of two of 4 KiB pages; 0 = none
export const IDCTRL_NVM_WUSL = 2; // u8: Write Uncorrectable Size Limit
export const IDCTRL_NVM_DMRL = 3; // u8: Dataset Management Ranges Limit; 0 = none reported
export const IDCTRL_NVM_DMRSL = 4; // u32: Dataset Management Range Size Limit, logical blocks
export const IDCTRL_NVM_DMSL = 8; // u64: Dataset Management Size Limit, logical blocks

// ---- I/O Command Set Independent Identify Namespace (CNS 08h, Base 5.17.2.8) ----------------------------------

export const IDIND_NSFEAT = 0; // u8
export const IDIND_NMIC = 1; // u8
export const IDIND_RESCAP = 2; // u8
export const IDIND_FPI = 3; // u8
export const IDIND_ANAGRPID = 4; // u32
export const IDIND_NSATTR = 8; // u8
export const IDIND_NVMSETID = 10; // u16
export const IDIND_ENDGID = 12; // u16
export const IDIND_NSTAT = 14; // u8: Namespace Status

/** NSTAT bit 0: Namespace Ready (NRDY). */
export const NSTAT_READY = 1 << 0;

// ---- Identify I/O Command Set data structure (CNS 1Ch, Base 5.17.2.20) ----------------------------------------

/** 512 vectors of 8 bytes, one for each combination; bit 0 of a vector is the NVM command set. */
export const IOCS_VECTOR_BYTES = 8;
export const IOCS_VECTOR_NVM = 1 << 0;

// ---- Controller List (CNS 12h and 13h, Base 4.4.1) ------------------------------------------------------------

export const CONTROLLER_LIST_COUNT = 0; // u16: number of identifiers
export const CONTROLLER_LIST_FIRST = 2; // u16 each, ascending
