// Portable: compiled by asc into the core and by tsc into the target. Constants only.
//
// PCI configuration space as the PCI Local Bus Specification 3.0 and the PCI Express Base Specification lay
// it out, and the class code that the NVM Express PCIe transport asks for. Section numbers are of PCI Local
// Bus 3.0 (PCI), PCI Bus Power Management 1.2 (PM) and PCI Express Base 5.0 (PCIe).

/** Bytes of the PCI-compatible space, and of all of it (PCIe 7.2). */
export const CONFIG_LEGACY_BYTES = 256;
export const CONFIG_BYTES = 4096;

// ---- Type 0 header (PCI 6.1, PCIe 7.5.1) ---------------------------------------------------------------------

export const CONFIG_VENDOR_ID = 0x00; // u16
export const CONFIG_DEVICE_ID = 0x02; // u16
export const CONFIG_COMMAND = 0x04; // u16
export const CONFIG_STATUS = 0x06; // u16
export const CONFIG_REVISION = 0x08; // u8
export const CONFIG_CLASS_INTERFACE = 0x09; // u8
export const CONFIG_CLASS_SUB = 0x0a; // u8
export const CONFIG_CLASS_BASE = 0x0b; // u8
export const CONFIG_CACHE_LINE = 0x0c; // u8
export const CONFIG_LATENCY_TIMER = 0x0d; // u8
export const CONFIG_HEADER_TYPE = 0x0e; // u8
export const CONFIG_BIST = 0x0f; // u8
export const CONFIG_BAR0 = 0x10; // u32
export const CONFIG_BAR1 = 0x14; // u32: upper half of a 64-bit BAR0
export const CONFIG_BAR_COUNT = 6;
export const CONFIG_SUBSYSTEM_VENDOR_ID = 0x2c; // u16
export const CONFIG_SUBSYSTEM_ID = 0x2e; // u16
export const CONFIG_ROM = 0x30; // u32
export const CONFIG_CAPABILITIES = 0x34; // u8: offset of the first capability
export const CONFIG_INTERRUPT_LINE = 0x3c; // u8
export const CONFIG_INTERRUPT_PIN = 0x3d; // u8: 1 = INTA

/** Command register (PCI 6.2.2, PCIe 7.5.1.1.3). */
export const COMMAND_IO_SPACE = 1 << 0;
export const COMMAND_MEMORY_SPACE = 1 << 1;
export const COMMAND_BUS_MASTER = 1 << 2;
export const COMMAND_PARITY_RESPONSE = 1 << 6;
export const COMMAND_SERR = 1 << 8;
export const COMMAND_INTX_DISABLE = 1 << 10;

/** Status register (PCI 6.2.3, PCIe 7.5.1.1.4). */
export const STATUS_INTERRUPT = 1 << 3;
export const STATUS_CAPABILITIES = 1 << 4;
/** Data parity error, target aborts, SERR, parity error: written with 1 to clear. */
export const STATUS_WRITE_1_TO_CLEAR = 0xf900;

/** Base address register, low bits (PCI 6.2.5.1). */
export const BAR_TYPE_64 = 0x4;
export const BAR_MEMORY_ADDRESS_SHIFT = 4;

export const INTERRUPT_PIN_INTA = 1;

/** Mass storage, non-volatile memory, NVM Express I/O controller (NVMe PCIe transport, 3.8.1). */
export const CLASS_BASE_STORAGE = 0x01;
export const CLASS_SUB_NVM = 0x08;
export const CLASS_INTERFACE_NVME = 0x02;

// ---- Capabilities (PCI 6.7): id u8, offset of the next u8, then their own ------------------------------------

export const CAPABILITY_ID = 0;
export const CAPABILITY_NEXT = 1;
export const CAPABILITY_ID_PM = 0x01;
export const CAPABILITY_ID_MSI = 0x05;
export const CAPABILITY_ID_PCIE = 0x10;
export const CAPABILITY_ID_MSIX = 0x11;

// ---- Power management capability (PM 3.2) --------------------------------------------------------------------

export const PM_CAPABILITIES = 2; // u16
export const PM_CONTROL = 4; // u16: PMCSR
export const PM_BYTES = 8;

/** PMC version 3: PM 1.2. */
export const PM_VERSION_1_2 = 3;
export const PM_CONTROL_STATE_MASK = 0x3;
export const PM_STATE_D0 = 0;
export const PM_STATE_D3HOT = 3;
/** D3hot to D0 keeps the function's state. */
export const PM_CONTROL_NO_SOFT_RESET = 1 << 3;

// ---- MSI-X capability (PCI 6.8.2) ----------------------------------------------------------------------------

export const MSIX_CONTROL = 2; // u16
export const MSIX_TABLE = 4; // u32: offset in a BAR, BIR in the low three bits
export const MSIX_PBA = 8; // u32: likewise
export const MSIX_BYTES = 12;

/** Table size is zero-based. */
export const MSIX_CONTROL_SIZE_MASK = 0x7ff;
export const MSIX_CONTROL_FUNCTION_MASK = 1 << 14;
export const MSIX_CONTROL_ENABLE = 1 << 15;
export const MSIX_BIR_MASK = 0x7;
export const MSIX_VECTORS_MAX = 2048;

/** A table entry: address u64, data u32, vector control u32. */
export const MSIX_ENTRY_BYTES = 16;
export const MSIX_ENTRY_CONTROL = 12;
export const MSIX_ENTRY_CONTROL_MASK = 1 << 0;

// ---- PCI Express capability, version 2, of an endpoint (PCIe 7.5.3) ------------------------------------------

export const PCIE_CAPABILITIES = 0x02; // u16
export const PCIE_DEVICE_CAPABILITIES = 0x04; // u32
export const PCIE_DEVICE_CONTROL = 0x08; // u16
export const PCIE_DEVICE_STATUS = 0x0a; // u16
export const PCIE_LINK_CAPABILITIES = 0x0c; // u32
export const PCIE_LINK_CONTROL = 0x10; // u16
export const PCIE_LINK_STATUS = 0x12; // u16
export const PCIE_DEVICE_CAPABILITIES_2 = 0x24; // u32
export const PCIE_DEVICE_CONTROL_2 = 0x28; // u16
export const PCIE_LINK_CAPABILITIES_2 = 0x2c; // u32
export const PCIE_LINK_CONTROL_2 = 0x30; // u16
export const PCIE_BYTES = 0x3c;

export const PCIE_VERSION_2 = 2;
export const PCIE_TYPE_ENDPOINT = 0;
export const PCIE_TYPE_SHIFT = 4;

export const PCIE_DEVICE_CAPABILITIES_ROLE_BASED_ERRORS = 1 << 15;
export const PCIE_DEVICE_CAPABILITIES_FLR = 1 << 28;

/** Correctable, non-fatal, fatal and unsupported request reporting. */
export const PCIE_DEVICE_CONTROL_ERROR_REPORTING = 0x000f;
export const PCIE_DEVICE_CONTROL_RELAXED_ORDERING = 1 << 4;
export const PCIE_DEVICE_CONTROL_PAYLOAD_MASK = 0x00e0;
export const PCIE_DEVICE_CONTROL_NO_SNOOP = 1 << 11;
export const PCIE_DEVICE_CONTROL_READ_REQUEST_MASK = 0x7000;
/** 512 bytes, the default. */
export const PCIE_DEVICE_CONTROL_READ_REQUEST_512 = 0x2000;
/** Write 1: function level reset; reads as 0. */
export const PCIE_DEVICE_CONTROL_INITIATE_FLR = 1 << 15;

export const PCIE_DEVICE_STATUS_WRITE_1_TO_CLEAR = 0x000f;

export const PCIE_LINK_SPEED_8GT = 3;
export const PCIE_LINK_WIDTH_SHIFT = 4;
/** ASPM, read completion boundary, common clock, extended synch, autonomous width disable. */
export const PCIE_LINK_CONTROL_WRITABLE = 0x02cb;
export const PCIE_LINK_STATUS_SLOT_CLOCK = 1 << 12;
export const PCIE_DEVICE_2_COMPLETION_TIMEOUT_DISABLE = 1 << 4;
/** Supported link speeds vector: 2.5, 5 and 8 GT/s. */
export const PCIE_LINK_CAPABILITIES_2_SPEEDS = 0x0e;
export const PCIE_LINK_CONTROL_2_SPEED_MASK = 0x000f;
