// Portable: compiled by asc into the core and by tsc into the target. Constants only.
//
// The version of the agreement between a core and its caller. It changes when a record, an export or the
// memory map changes; an image of another version is refused by `core_resume`.

/** Returned by `abi_version()` and stored in the image header. */
export const ABI_VERSION = 4;

/** First eight bytes of every state image: "DOORBELL" in ASCII, as two little-endian words. */
export const IMAGE_MAGIC_LO = 0x524f4f44;
export const IMAGE_MAGIC_HI = 0x4c4c4542;
