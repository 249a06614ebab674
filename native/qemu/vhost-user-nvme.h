/*
 * vhost-user-nvme: what its parts have in common
 *
 * connection.c carries requests and their answers, session.c knows what is to
 * be said when, vhost-user-nvme.c is the PCI function.  Everything runs with
 * the BQL held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VHOST_USER_NVME_H
#define HW_VHOST_USER_NVME_H

#include "qemu/event_notifier.h"
#include "qemu/timer.h"
#include "chardev/char-fe.h"
#include "chardev/char-socket.h"
#include "exec/memory.h"
#include "hw/pci/pci_device.h"
#include "io/channel-socket.h"
#include "system/runstate.h"
#include "protocol.h"

#define TYPE_VHOST_USER_NVME "vhost-user-nvme"
OBJECT_DECLARE_SIMPLE_TYPE(VhostUserNvme, VHOST_USER_NVME)

/* Pairs of queues, admin included: so many vectors fit the table's page. */
#define VUN_PAIRS_MAX       256

/* How long QEMU waits for an answer while nothing else can go on. */
#define VUN_READ_MS         1000
#define VUN_WAIT_MS         5000

/* How far the connection has got.  Later stages can do what earlier can. */
typedef enum VunStage {
    VUN_AWAY,
    VUN_HANDSHAKE,
    VUN_LIMITED,        /* the number of queues is agreed on */
    VUN_IDENTIFIED,     /* only when the device is made: its PCI side next */
    VUN_SETUP,          /* memory and function are kept up to date */
    VUN_LIVE,           /* registers are forwarded */
} VunStage;

typedef struct VunRequest VunRequest;

/* What there is to know of a request. */
typedef struct VunKind {
    uint32_t request;
    const char *name;
    uint32_t bytes;
    uint32_t reply_bytes;   /* 0: it is not answered */
    enum {
        VUN_QUERY = 1,      /* the answer is a value and cannot say no */
        VUN_REQUIRED = 2,   /* a refusal ends the connection */
    } flags;
    /* NULL: a refusal is reported, no more. */
    void (*reply)(VhostUserNvme *s, const VunRequest *req);
} VunKind;

/* Sent, or waiting until the socket has room, and not answered yet. */
struct VunRequest {
    const VunKind *kind;
    VunMessage msg;
    size_t sent;
    int fd;
    uint64_t reply[VUN_WORDS_MAX]; /* zeros behind what the target sent */
    QTAILQ_ENTRY(VunRequest) next;
};

/* A socket, and as much of a message as has arrived. */
typedef struct VunStream {
    QIOChannelSocket *sioc;
    VunMessage msg;
    size_t len;
    int fd;                 /* the first descriptor that came along */
    unsigned fds;           /* how many came; the others are closed */
} VunStream;

typedef struct VunRegion {
    MemoryRegion *mr;
    uint64_t gpa;
    uint64_t size;
    uint64_t user_address;
    uint64_t file_offset;
    int fd;
    bool sent;
} VunRegion;

typedef struct VunWrite {
    uint32_t offset;
    uint32_t value;
} VunWrite;

/* A pair of queues has a kick and a vector. */
typedef struct VunPair {
    VhostUserNvme *s;
    EventNotifier kick;
    EventNotifier notifier;
    bool used;              /* the vector is not masked */
    int virq;               /* of its irqfd, or -1 */
} VunPair;

struct VhostUserNvme {
    PCIDevice parent_obj;

    /* Properties. */
    CharBackend chr;
    uint32_t num_io_queues;
    char *serial;
    int32_t bootindex;

    MemoryRegion bar;
    uint64_t id[VUN_WORDS_MAX]; /* of GET_CONTROLLER; never changes */
    bool identified;
    bool realized;
    bool running;
    Error *migration_blocker;
    VMChangeStateEntry *vm_state;

    /* Connection. */
    VunStage stage;
    VunStream replies;
    VunStream backend;
    int backend_far;        /* the target's end */
    QTAILQ_HEAD(, VunRequest) requests;
    VunRequest *unsent;     /* the first of them */
    bool watched;           /* until the socket has room for it */
    unsigned requests_count;
    QEMUTimer *silence;
    char *last_error;
    int64_t reported;       /* when */
    bool quiet;             /* this one was not */

    /* Registers. */
    uint32_t cc;            /* as the guest wrote it */
    uint32_t csts;          /* as the target last said */
    uint32_t csts_frozen;   /* as the guest saw it when the target went */
    bool enabled;           /* the target has acknowledged CC.EN = 1 */
    bool failed;            /* the target has lost the controller's state */
    unsigned cc_pending;
    unsigned resets_pending;
    uint32_t regs[0x1000 / 4]; /* others, as last written or read */
    GArray *journal;        /* of VunWrite: what no target has answered */

    /* State file of the target. */
    int state_fd;
    uint64_t state_size;
    bool state_dropped;     /* a reset that the target does not know of */
    bool resumed;           /* this target goes on from the state file */

    /* PCI function, as the target knows it. */
    uint16_t command;
    uint16_t msix_control;

    /* Memory. */
    MemoryListener listener;
    GArray *regions;        /* of VunRegion */
    uint64_t max_slots;
    bool removing;

    /* Doorbells: pairs[0] is the admin queues'. */
    VunPair *pairs;
    uint32_t *page;
    int page_fd;
    bool shadow;            /* I/O doorbells are ioeventfds */
    bool shadow_wanted;
    QEMUBH *shadow_bh;

    EventNotifier intx_notifier;
    bool intx;
    QEMUTimer *intx_timer;
};

/* connection.c */
#define VUN_WORDS(...) ((const uint64_t[]) { __VA_ARGS__ })
#define VUN_HALVES(low, high) ((uint32_t)(low) | (uint64_t)(high) << 32)
const char *vun_name(VhostUserNvme *s);
void vun_close_fd(int *fd);
SocketChardev *vun_socket(VhostUserNvme *s);
void vun_connection_init(VhostUserNvme *s);
void vun_connection_cleanup(VhostUserNvme *s);
bool vun_connect(VhostUserNvme *s, Error **errp);
void vun_disconnect(VhostUserNvme *s);
void G_GNUC_PRINTF(2, 3) vun_drop(VhostUserNvme *s, const char *fmt, ...);
void vun_send(VhostUserNvme *s, uint32_t request, int fd,
              const uint64_t *words);
void vun_receive(void *opaque);
bool vun_settle(VhostUserNvme *s, int ms);
bool vun_settle_or_drop(VhostUserNvme *s, Error **errp);

/* session.c */
const VunKind *vun_kind(uint32_t request);
void vun_session_init(VhostUserNvme *s);
void vun_session_cleanup(VhostUserNvme *s);
bool vun_session_begin(VhostUserNvme *s, Error **errp);
void vun_session_ended(VhostUserNvme *s);
void vun_setup(VhostUserNvme *s);
void vun_backend_message(VhostUserNvme *s, const VunMessage *msg);
uint32_t vun_csts(VhostUserNvme *s);
uint64_t vun_get_register(VhostUserNvme *s, uint32_t offset);
void vun_set_register(VhostUserNvme *s, uint32_t offset, uint32_t value);
void vun_send_function(VhostUserNvme *s);
void vun_reset_controller(VhostUserNvme *s);

#endif
