/*
 * vhost-user-nvme, extended dialect: the messages between the PCI function in
 * QEMU (front end) and the NVMe controller in the target (back end).
 *
 * The framing, the memory regions and the requests below 0x400 are those of
 * docs/interop/vhost-user.rst.  All numbers are little-endian.  Payloads are
 * written down as words of 64 bits; of two numbers in one, the lower half is
 * the first.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VHOST_USER_NVME_PROTOCOL_H
#define HW_VHOST_USER_NVME_PROTOCOL_H

#define VUN_HEADER_BYTES            12
#define VUN_WORDS_MAX               7

typedef struct QEMU_PACKED VunMessage {
    uint32_t request;
    uint32_t flags;
    uint32_t size;
    uint64_t words[VUN_WORDS_MAX];
} VunMessage;

#define VUN_FLAG_VERSION_MASK       0x3
#define VUN_FLAG_VERSION            0x1
#define VUN_FLAG_REPLY              0x4
#define VUN_FLAG_NEED_REPLY         0x8

#define VUN_F_PROTOCOL_FEATURES     (1ull << 30)
#define VUN_PROTOCOL_F_REPLY_ACK    (1ull << 3)
#define VUN_PROTOCOL_F_BACKEND_REQ  (1ull << 5)
#define VUN_PROTOCOL_F_MEM_SLOTS    (1ull << 15)
#define VUN_PROTOCOL_F_NVME         (1ull << 56)

/* The comments are the words of the request; a descriptor; what is answered. */
enum {
    VUN_GET_FEATURES          = 1,     /* -> features */
    VUN_SET_FEATURES          = 2,     /* features */
    VUN_SET_OWNER             = 3,
    VUN_GET_PROTOCOL_FEATURES = 15,    /* -> features */
    VUN_SET_PROTOCOL_FEATURES = 16,    /* features */
    VUN_SET_BACKEND_REQ_FD    = 21,    /* fd */
    VUN_GET_MAX_MEM_SLOTS     = 36,    /* -> number */
    VUN_ADD_MEM_REG           = 37,    /* 0, address, size, ours, offset; fd */
    VUN_REM_MEM_REG           = 38,    /* the same, without fd */

    /* Replies to these begin with a word of 0 or an errno. */
    VUN_GET_CONTROLLER        = 0x400, /* -> VUN_CONTROLLER_... */
    VUN_SET_CONTROLLER        = 0x401, /* I/O queue pairs, then the serial */
    VUN_GET_REGISTER          = 0x402, /* offset | size -> value */
    VUN_SET_REGISTER          = 0x403, /* offset | size, value */
    VUN_SET_FUNCTION          = 0x404, /* Command | MSI-X control << 16 */
    VUN_SET_DOORBELL_PAGE     = 0x408, /* size, offset; fd */
    VUN_SET_KICK              = 0x409, /* queue pair; fd */
    VUN_SET_NOTIFIER          = 0x40a, /* vector | action; fd */
    VUN_RESET                 = 0x40b,
    VUN_QUIESCE               = 0x40c, /* 1: stop, 0: go on */
    VUN_GET_STATE             = 0x40d, /* -> size; fd */
    VUN_SET_STATE             = 0x40e, /* size; fd -> reason */

    /* From the back end, on the socket of SET_BACKEND_REQ_FD. */
    VUN_BACKEND_STATUS           = 0x480, /* CSTS */
    VUN_BACKEND_SHADOW_DOORBELLS = 0x481, /* 1: on, 0: off */
};

/* The words of the reply to GET_CONTROLLER. */
enum {
    VUN_CONTROLLER_CAP = 1,
    VUN_CONTROLLER_VS,          /* VS | I/O queue pairs */
    VUN_CONTROLLER_VECTORS,     /* vectors | bytes of the page of doorbells */
    VUN_CONTROLLER_STATE,       /* bytes of the state */
    VUN_CONTROLLER_IDS,         /* PCI: vendor, device, subsystem's, 16 bits */
    VUN_CONTROLLER_CLASS,       /* class and revision | data bytes at most */
};

#define VUN_SERIAL_BYTES            20
#define VUN_DOORBELL_PAGE_BYTES     4096
#define VUN_NOTIFIER_INTX           0xffffffffu
#define VUN_NOTIFIER_SET            1
#define VUN_NOTIFIER_UNMASK         3

/* NVMe registers in BAR0 that the front end knows, and their fields. */
#define VUN_REG_CAP                 0x00
#define VUN_REG_VS                  0x08
#define VUN_REG_CC                  0x14
#define VUN_REG_CSTS                0x1c
#define VUN_REG_AQA                 0x24
#define VUN_REG_ACQ                 0x30
#define VUN_CC_EN                   0x1
#define VUN_CC_SHN                  0xc000
#define VUN_CSTS_CFS                0x2
#define VUN_CSTS_SHST_COMPLETE      0x8

#endif
