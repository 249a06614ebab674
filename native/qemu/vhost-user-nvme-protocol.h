/*
 * vhost-user-nvme, extended dialect: numbers of the socket protocol between
 * the PCI function in QEMU (front end) and the NVMe controller in the target
 * (back end).
 *
 * The framing, the memory regions and the requests below 0x400 are those of
 * docs/interop/vhost-user.rst.  All numbers are little-endian.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_BLOCK_VHOST_USER_NVME_PROTOCOL_H
#define HW_BLOCK_VHOST_USER_NVME_PROTOCOL_H

/* Header: u32 request, u32 flags, u32 bytes of the payload. */
#define VUN_HEADER_BYTES            12
#define VUN_FLAG_VERSION_MASK       0x3
#define VUN_FLAG_VERSION            0x1
#define VUN_FLAG_REPLY              0x4
#define VUN_FLAG_NEED_REPLY         0x8

/* Features. */
#define VUN_F_PROTOCOL_FEATURES     30
#define VUN_PROTOCOL_F_REPLY_ACK    3
#define VUN_PROTOCOL_F_BACKEND_REQ  5
#define VUN_PROTOCOL_F_MEM_SLOTS    15
#define VUN_PROTOCOL_F_NVME         56

/* Requests. */
enum {
    VUN_GET_FEATURES          = 1,
    VUN_SET_FEATURES          = 2,
    VUN_SET_OWNER             = 3,
    VUN_GET_PROTOCOL_FEATURES = 15,
    VUN_SET_PROTOCOL_FEATURES = 16,
    VUN_SET_BACKEND_REQ_FD    = 21,
    VUN_GET_MAX_MEM_SLOTS     = 36,
    VUN_ADD_MEM_REG           = 37,
    VUN_REM_MEM_REG           = 38,

    VUN_GET_CONTROLLER        = 0x400,
    VUN_SET_CONTROLLER        = 0x401,
    VUN_GET_REGISTER          = 0x402,
    VUN_SET_REGISTER          = 0x403,
    VUN_SET_FUNCTION          = 0x404,
    VUN_SET_DOORBELL_PAGE     = 0x408,
    VUN_SET_KICK              = 0x409,
    VUN_SET_NOTIFIER          = 0x40a,
    VUN_RESET                 = 0x40b,
    VUN_QUIESCE               = 0x40c,
    VUN_GET_STATE             = 0x40d,
    VUN_SET_STATE             = 0x40e,

    /* From the back end, on the socket of SET_BACKEND_REQ_FD. */
    VUN_BACKEND_STATUS           = 0x480, /* u32 CSTS, u32 0 */
    VUN_BACKEND_SHADOW_DOORBELLS = 0x481, /* u32 on, u32 0 */
};

/* Replies to private requests begin with u64: 0 or an errno. */
#define VUN_REPLY_BYTES             8
#define VUN_BACKEND_BYTES           8

/* ADD_MEM_REG, REM_MEM_REG: u64 0, then one region. */
#define VUN_MEM_REG_GPA             8
#define VUN_MEM_REG_SIZE            16
#define VUN_MEM_REG_USER_ADDRESS    24
#define VUN_MEM_REG_OFFSET          32
#define VUN_MEM_REG_BYTES           40

/* Reply to GET_CONTROLLER. */
#define VUN_CONTROLLER_CAP          8
#define VUN_CONTROLLER_VS           16
#define VUN_CONTROLLER_QUEUE_PAIRS  20
#define VUN_CONTROLLER_VECTORS      24
#define VUN_CONTROLLER_DOORBELLS    28
#define VUN_CONTROLLER_VENDOR_ID    40
#define VUN_CONTROLLER_DEVICE_ID    42
#define VUN_CONTROLLER_SUBVENDOR_ID 44
#define VUN_CONTROLLER_SUBSYSTEM_ID 46
#define VUN_CONTROLLER_CLASS        48
#define VUN_CONTROLLER_BYTES        56

/* SET_CONTROLLER. */
#define VUN_LIMITS_QUEUE_PAIRS      0
#define VUN_LIMITS_SERIAL           8
#define VUN_LIMITS_SERIAL_BYTES     20
#define VUN_LIMITS_BYTES            32

/* GET_REGISTER (8 bytes), SET_REGISTER (16 bytes). */
#define VUN_REGISTER_OFFSET         0
#define VUN_REGISTER_SIZE           4
#define VUN_REGISTER_VALUE          8
#define VUN_GET_REGISTER_BYTES      8
#define VUN_SET_REGISTER_BYTES      16
#define VUN_GET_REGISTER_REPLY      16

#define VUN_FUNCTION_COMMAND        0
#define VUN_FUNCTION_MSIX_CONTROL   2
#define VUN_FUNCTION_BYTES          8

#define VUN_DOORBELL_PAGE_BYTES     4096
#define VUN_SET_DOORBELL_PAGE_BYTES 16
#define VUN_KICK_BYTES              8

#define VUN_NOTIFIER_VECTOR         0
#define VUN_NOTIFIER_ACTION         4
#define VUN_NOTIFIER_BYTES          8
#define VUN_NOTIFIER_INTX           0xffffffffu
#define VUN_NOTIFIER_SET            1
#define VUN_NOTIFIER_UNMASK         3

#define VUN_GET_STATE_REPLY         16
#define VUN_SET_STATE_REPLY         16
#define VUN_SET_STATE_REASON        8

/* The longest payload that the front end takes. */
#define VUN_REPLY_BYTES_MAX         64

/* NVMe registers in BAR0 that the front end knows, and their fields. */
#define VUN_REG_CAP                 0x00
#define VUN_REG_VS                  0x08
#define VUN_REG_INTMS               0x0c
#define VUN_REG_INTMC               0x10
#define VUN_REG_CC                  0x14
#define VUN_REG_CSTS                0x1c
#define VUN_REG_AQA                 0x24
#define VUN_REG_ASQ                 0x28
#define VUN_REG_ACQ                 0x30
#define VUN_CC_EN                   0x1
#define VUN_CC_SHN                  0xc000
#define VUN_CSTS_CFS                0x2
#define VUN_CSTS_SHST_COMPLETE      0x8

#endif
