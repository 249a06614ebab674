/*
 * vhost-user-nvme: an NVMe controller that lives in another process
 *
 * QEMU is the PCI function: configuration space, BAR0, MSI-X, reset.  The
 * target at the other end of a UNIX socket is the controller: it maps the
 * guest's memory, reads the queues in place and signals eventfds.  No command
 * and no data pass through here.
 *
 * QEMU outlives the target.  While there is none, the guest waits: doorbells
 * are kept in a shared page, register writes in a journal, and a target that
 * comes back gets them together with the state that the last one left.
 *
 * The target is not trusted to be correct: whatever it sends that is not as
 * it has to be ends the connection, and nothing else.  What it does not
 * answer holds up a vCPU for VUN_READ_MS (a register read) or VUN_WAIT_MS
 * (resets, removal of memory, writes to configuration space) at most.
 *
 * Everything here runs with the BQL held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <poll.h>
#include <sys/socket.h>
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/event_notifier.h"
#include "qemu/main-loop.h"
#include "qemu/memfd.h"
#include "qemu/module.h"
#include "qemu/sockets.h"
#include "qemu/timer.h"
#include "chardev/char-fe.h"
#include "chardev/char-socket.h"
#include "exec/address-spaces.h"
#include "exec/memory.h"
#include "exec/ramblock.h"
#include "hw/boards.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pcie.h"
#include "hw/qdev-properties.h"
#include "hw/qdev-properties-system.h"
#include "io/channel-socket.h"
#include "migration/blocker.h"
#include "system/hostmem.h"
#include "system/kvm.h"
#include "system/runstate.h"
#include "system/system.h"
#include "trace.h"
#include "vhost-user-nvme-protocol.h"

#define TYPE_VHOST_USER_NVME "vhost-user-nvme"
OBJECT_DECLARE_SIMPLE_TYPE(VhostUserNvme, VHOST_USER_NVME)

/* BAR0: registers, doorbells, MSI-X table and pending bits, a page each. */
#define VUN_BAR_BYTES       0x4000
#define VUN_BAR_DOORBELLS   0x1000
#define VUN_BAR_MSIX_TABLE  0x2000
#define VUN_BAR_MSIX_PBA    0x3000
/* So many vectors have room in the table's page. */
#define VUN_VECTORS_MAX     256

#define VUN_PAGE_BYTES      4096
/* Guest memory lies below; what is above belongs to the target. */
#define VUN_GPA_LIMIT       (1ull << 52)

/* How long QEMU waits for an answer while nothing else can go on. */
#define VUN_READ_MS         1000
#define VUN_WAIT_MS         5000
/* How often the same end of a connection is reported. */
#define VUN_REPORT_MS       5000
/* Silence of the target, while requests are unanswered, that ends it. */
#define VUN_SILENCE_MS      15000
/* An INTx that no access to BAR0 acknowledges. */
#define VUN_INTX_NS         1000000

#define VUN_OUTSTANDING_MAX 512
#define VUN_JOURNAL_MAX     256
/* Messages of the back channel that are taken in one go. */
#define VUN_BACKEND_BURST   4096

#define VUN_FEATURES        (1ull << VUN_F_PROTOCOL_FEATURES)
#define VUN_PROTOCOL        ((1ull << VUN_PROTOCOL_F_REPLY_ACK) | \
                             (1ull << VUN_PROTOCOL_F_BACKEND_REQ) | \
                             (1ull << VUN_PROTOCOL_F_MEM_SLOTS) | \
                             (1ull << VUN_PROTOCOL_F_NVME))

#define VUN_MSIX_CONTROL    (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL)

/* How far the connection has got.  Later stages can do what earlier can. */
typedef enum VunStage {
    VUN_AWAY,
    VUN_HANDSHAKE,
    VUN_IDENTIFIED,     /* only when the device is made: its PCI side next */
    VUN_SETUP,          /* memory and function are kept up to date */
    VUN_LIVE,           /* registers are forwarded */
} VunStage;

typedef struct VunRequest VunRequest;

/* @result: 0 or an errno; @data: the payload, behind an errno only 8 bytes. */
typedef void VunReplyFn(VhostUserNvme *s, const VunRequest *req,
                        uint64_t result, const uint8_t *data, int fd);

/* Sent, and not answered yet. */
struct VunRequest {
    uint32_t request;
    uint32_t reply_bytes;
    uint64_t seq;
    VunReplyFn *reply;
    /* Of GET_REGISTER and SET_REGISTER. */
    uint32_t offset;
    uint32_t size;
    uint64_t value;
    QSIMPLEQ_ENTRY(VunRequest) next;
};

/* Not sent entirely yet, because the socket is full. */
typedef struct VunMessage {
    uint8_t bytes[VUN_HEADER_BYTES + VUN_MEM_REG_BYTES];
    unsigned len;
    unsigned sent;
    int fd;
    QSIMPLEQ_ENTRY(VunMessage) next;
} VunMessage;

typedef struct VunRegion {
    MemoryRegion *mr;
    uint64_t gpa;
    uint64_t size;
    uint64_t offset_in_mr;
    uint64_t user_address;
    uint64_t file_offset;
    int fd;
    bool sent;
} VunRegion;

typedef struct VunWrite {
    uint32_t offset;
    uint32_t size;
    uint64_t value;
} VunWrite;

typedef struct VunVector {
    EventNotifier notifier;
    VhostUserNvme *s;
    unsigned index;
    int virq;
    bool used;
    bool irqfd;
} VunVector;

/* What must not change as long as the device exists. */
typedef struct VunIdentity {
    uint64_t cap;
    uint32_t vs;
    uint32_t queue_pairs;
    uint32_t vectors;
    uint32_t class_revision;
    uint16_t vendor_id;
    uint16_t device_id;
    uint16_t subvendor_id;
    uint16_t subsystem_id;
} VunIdentity;

struct VhostUserNvme {
    PCIDevice parent_obj;

    /* Properties. */
    CharBackend chr;
    uint32_t num_io_queues;
    char *serial;
    int32_t bootindex;

    MemoryRegion bar;
    MemoryRegion registers;
    MemoryRegion doorbells;
    VunIdentity id;
    bool identified;
    bool handlers_set;
    bool msix_initialized;
    bool notifiers_set;
    bool listening;
    Error *migration_blocker;
    VMChangeStateEntry *vm_state;

    /* Connection. */
    VunStage stage;
    int fd;
    int backend_fd;
    uint64_t seq;
    uint64_t answered;
    unsigned outstanding_count;
    QSIMPLEQ_HEAD(, VunRequest) outstanding;
    QSIMPLEQ_HEAD(, VunMessage) unsent;
    QEMUTimer *silence;
    char *last_error;
    int64_t reported;       /* when */
    bool quiet;             /* this one was not */
    uint64_t max_slots;
    uint8_t rx[VUN_HEADER_BYTES + VUN_REPLY_BYTES_MAX];
    unsigned rx_len;
    int rx_fd;
    unsigned rx_fds;
    uint8_t backend_rx[VUN_HEADER_BYTES + VUN_REPLY_BYTES_MAX];
    unsigned backend_rx_len;

    /* Registers. */
    uint32_t cc;            /* as the guest wrote it */
    uint32_t csts;          /* as the target last said */
    uint32_t csts_frozen;   /* as the guest saw it when the target went */
    bool enabled;           /* the target has acknowledged CC.EN = 1 */
    bool failed;            /* the target has lost the controller's state */
    unsigned cc_pending;
    unsigned resets_pending;
    uint32_t regs[VUN_PAGE_BYTES / 4]; /* others, as last written or read */
    uint64_t read_value;
    GArray *journal;        /* of VunWrite */

    /* State file of the target. */
    int state_fd;
    uint64_t state_size;
    bool state_dropped;     /* a reset while the target was away */
    bool resumed;           /* this target goes on from the state file */

    bool running;
    bool quiesced;

    /* PCI function, as the target knows it. */
    uint16_t command;
    uint16_t msix_control;

    /* Memory. */
    MemoryListener listener;
    GArray *regions;        /* of VunRegion */
    GArray *next_regions;
    bool warned_unshared;
    bool warned_slots;

    /* Doorbells. */
    uint32_t *page;
    int page_fd;
    EventNotifier *kicks;   /* one a queue pair, the admin queue's first */
    bool shadow;            /* I/O doorbells are ioeventfds */
    bool shadow_wanted;
    QEMUBH *shadow_bh;

    /* Interrupts. */
    VunVector *vectors;
    EventNotifier intx_notifier;
    bool intx_initialized;
    bool intx;
    QEMUTimer *intx_timer;
};

static void vun_setup(VhostUserNvme *s);
static void vun_shadow_off(VhostUserNvme *s);

static const char *vun_name(VhostUserNvme *s)
{
    return DEVICE(s)->id ?: TYPE_VHOST_USER_NVME;
}

static const char *vun_request_name(uint32_t request)
{
    static const struct {
        uint32_t request;
        const char *name;
    } names[] = {
#define NAME(name) { VUN_##name, #name }
        NAME(GET_FEATURES), NAME(SET_FEATURES), NAME(SET_OWNER),
        NAME(GET_PROTOCOL_FEATURES), NAME(SET_PROTOCOL_FEATURES),
        NAME(SET_BACKEND_REQ_FD), NAME(GET_MAX_MEM_SLOTS),
        NAME(ADD_MEM_REG), NAME(REM_MEM_REG), NAME(GET_CONTROLLER),
        NAME(SET_CONTROLLER), NAME(GET_REGISTER), NAME(SET_REGISTER),
        NAME(SET_FUNCTION), NAME(SET_DOORBELL_PAGE), NAME(SET_KICK),
        NAME(SET_NOTIFIER), NAME(RESET), NAME(QUIESCE), NAME(GET_STATE),
        NAME(SET_STATE),
#undef NAME
    };
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].request == request) {
            return names[i].name;
        }
    }
    return "unknown";
}

static const char *vun_strerror(uint64_t result)
{
    return result < 4096 ? strerror(result) : "unknown error";
}

/* ---- Connection ------------------------------------------------------- */

static void vun_close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static uint32_t vun_shown_csts(VhostUserNvme *s)
{
    if (s->stage != VUN_LIVE) {
        return s->csts_frozen;
    }
    if (s->resets_pending) {
        return 0;
    }
    if (s->failed) {
        return s->csts | VUN_CSTS_CFS |
               (s->cc & VUN_CC_SHN ? VUN_CSTS_SHST_COMPLETE : 0);
    }
    return s->csts;
}

/* The controller of before is gone, by the guest's own wish. */
static void vun_drop_state(VhostUserNvme *s)
{
    g_array_set_size(s->journal, 0);
    s->state_dropped = true;
    s->enabled = false;
    s->csts_frozen = 0;
}

static void vun_journal_write(VhostUserNvme *s, const VunWrite *write)
{
    if (write->offset == VUN_REG_CC && !(write->value & VUN_CC_EN)) {
        /*
         * A disabled controller keeps little that cannot be had otherwise,
         * and the guest need not wait for it.
         */
        vun_drop_state(s);
    }
    if (s->journal->len >= VUN_JOURNAL_MAX) {
        /* No driver does that; what it wrote is not lost unnoticed. */
        vun_drop_state(s);
        s->csts_frozen = VUN_CSTS_CFS;
        s->enabled = true;
    }
    g_array_append_val(s->journal, *write);
}

/*
 * The end of a connection.  What the guest wrote and the target did not
 * answer becomes the beginning of the journal.
 */
static void vun_detach(VhostUserNvme *s)
{
    uint32_t csts = vun_shown_csts(s);
    VunRequest *req;
    VunMessage *msg;

    if (s->fd < 0) {
        return;
    }
    trace_vhost_user_nvme_detach(vun_name(s), s->stage);

    qemu_set_fd_handler(s->fd, NULL, NULL, NULL);
    shutdown(s->fd, SHUT_RDWR);
    vun_close_fd(&s->fd);
    if (s->backend_fd >= 0) {
        qemu_set_fd_handler(s->backend_fd, NULL, NULL, NULL);
        vun_close_fd(&s->backend_fd);
    }
    vun_close_fd(&s->rx_fd);
    s->rx_fds = 0;
    s->rx_len = 0;
    s->backend_rx_len = 0;
    if (s->silence) {
        timer_del(s->silence);
    }

    s->stage = VUN_AWAY;
    s->csts_frozen = csts;
    s->cc_pending = 0;
    s->resets_pending = 0;
    s->quiesced = false;

    while ((msg = QSIMPLEQ_FIRST(&s->unsent))) {
        QSIMPLEQ_REMOVE_HEAD(&s->unsent, next);
        vun_close_fd(&msg->fd);
        g_free(msg);
    }
    while ((req = QSIMPLEQ_FIRST(&s->outstanding))) {
        QSIMPLEQ_REMOVE_HEAD(&s->outstanding, next);
        if (req->request == VUN_SET_REGISTER) {
            VunWrite write = { req->offset, req->size, req->value };

            vun_journal_write(s, &write);
        } else if (req->request == VUN_RESET) {
            vun_drop_state(s);
        }
        g_free(req);
    }
    s->outstanding_count = 0;
}

/* Ends the connection and says why, but not the same all the time. */
static void G_GNUC_PRINTF(2, 3) vun_drop(VhostUserNvme *s, const char *fmt, ...)
{
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);

    s->quiet = !g_strcmp0(text, s->last_error) &&
               now - s->reported < VUN_REPORT_MS;
    if (s->handlers_set && !s->quiet) {
        s->reported = now;
        error_report("%s: %s; the guest waits until there is a target again",
                     vun_name(s), text);
    }
    g_free(s->last_error);
    s->last_error = text;
    vun_detach(s);
}

/* Returns the bytes sent, 0 if the socket is full, or -1. */
static ssize_t vun_sendmsg(VhostUserNvme *s, const uint8_t *bytes, size_t len,
                           int fd)
{
    char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec iov = { .iov_base = (void *)bytes, .iov_len = len };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t n;

    if (fd >= 0) {
        struct cmsghdr *cmsg;

        msg.msg_control = control;
        msg.msg_controllen = sizeof(control);
        cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
    }
    do {
        n = sendmsg(s->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : n;
}

static void vun_fd_readable(void *opaque);
static void vun_fd_writable(void *opaque);

static void vun_watch(VhostUserNvme *s)
{
    qemu_set_fd_handler(s->fd, vun_fd_readable,
                        QSIMPLEQ_EMPTY(&s->unsent) ? NULL : vun_fd_writable,
                        s);
}

static void vun_flush(VhostUserNvme *s)
{
    VunMessage *msg;

    while (s->fd >= 0 && (msg = QSIMPLEQ_FIRST(&s->unsent))) {
        ssize_t n = vun_sendmsg(s, msg->bytes + msg->sent,
                                msg->len - msg->sent,
                                msg->sent ? -1 : msg->fd);

        if (n < 0) {
            /* Why is what the other direction says. */
            return;
        }
        msg->sent += n;
        if (msg->sent < msg->len) {
            return;
        }
        QSIMPLEQ_REMOVE_HEAD(&s->unsent, next);
        vun_close_fd(&msg->fd);
        g_free(msg);
    }
}

/* Errors of requests that a working session cannot do without. */
static void vun_required(VhostUserNvme *s, const VunRequest *req,
                         uint64_t result, const uint8_t *data, int fd)
{
    if (result) {
        vun_drop(s, "the target refused %s: %s",
                 vun_request_name(req->request), vun_strerror(result));
    }
}

/* Errors of those that leave the rest intact. */
static void vun_optional(VhostUserNvme *s, const VunRequest *req,
                         uint64_t result, const uint8_t *data, int fd)
{
    if (result) {
        warn_report("%s: the target refused %s: %s", vun_name(s),
                    vun_request_name(req->request), vun_strerror(result));
    }
}

/*
 * Sends a request, without ever waiting.  @fd stays the caller's, -1 for
 * none.  Requests with @reply_bytes of 0 are not answered.  Returns NULL if
 * there is no connection.
 */
static VunRequest *vun_send_fd(VhostUserNvme *s, uint32_t request,
                               const uint8_t *payload, unsigned bytes, int fd,
                               uint32_t reply_bytes, VunReplyFn *reply)
{
    bool query = request == VUN_GET_FEATURES ||
                 request == VUN_GET_PROTOCOL_FEATURES ||
                 request == VUN_GET_MAX_MEM_SLOTS;
    VunMessage msg = { .len = VUN_HEADER_BYTES + bytes };
    VunRequest *req;
    ssize_t n = 0;

    if (s->fd < 0) {
        return NULL;
    }
    trace_vhost_user_nvme_send(vun_name(s), vun_request_name(request), bytes);

    stl_le_p(msg.bytes, request);
    stl_le_p(msg.bytes + 4, VUN_FLAG_VERSION |
             (reply_bytes && !query ? VUN_FLAG_NEED_REPLY : 0));
    stl_le_p(msg.bytes + 8, bytes);
    if (bytes) {
        assert(msg.len <= sizeof(msg.bytes));
        memcpy(msg.bytes + VUN_HEADER_BYTES, payload, bytes);
    }

    if (QSIMPLEQ_EMPTY(&s->unsent)) {
        n = vun_sendmsg(s, msg.bytes, msg.len, fd);
    }
    if (n >= 0 && n < msg.len) {
        VunMessage *rest = g_memdup2(&msg, sizeof(msg));

        rest->sent = n;
        rest->fd = n == 0 && fd >= 0 ? qemu_dup(fd) : -1;
        QSIMPLEQ_INSERT_TAIL(&s->unsent, rest, next);
        vun_watch(s);
    }

    req = g_new0(VunRequest, 1);
    req->request = request;
    req->reply_bytes = reply_bytes;
    req->reply = reply;
    if (!reply_bytes) {
        g_free(req);
        return NULL;
    }
    req->seq = ++s->seq;
    QSIMPLEQ_INSERT_TAIL(&s->outstanding, req, next);
    if (!s->outstanding_count++) {
        timer_mod(s->silence,
                  qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + VUN_SILENCE_MS);
    }
    return req;
}

static VunRequest *vun_send(VhostUserNvme *s, uint32_t request,
                            const uint8_t *payload, unsigned bytes,
                            VunReplyFn *reply)
{
    return vun_send_fd(s, request, payload, bytes, -1, VUN_REPLY_BYTES, reply);
}

/* ---- Back channel ----------------------------------------------------- */

static void vun_backend_message(VhostUserNvme *s, uint32_t request,
                                const uint8_t *data, uint32_t size)
{
    uint32_t value;

    if (request != VUN_BACKEND_STATUS &&
        request != VUN_BACKEND_SHADOW_DOORBELLS) {
        return; /* of a later version */
    }
    if (size != VUN_BACKEND_BYTES) {
        vun_drop(s, "the target sent a back-end message of %u bytes", size);
        return;
    }
    value = ldl_le_p(data);
    trace_vhost_user_nvme_backend(vun_name(s), request, value);
    if (request == VUN_BACKEND_STATUS) {
        s->csts = value;
        return;
    }
    /* What is about a controller that the guest just ends is out of date. */
    s->shadow_wanted = value && s->cc & VUN_CC_EN && !s->cc_pending &&
                       !s->resets_pending && s->stage >= VUN_HANDSHAKE;
    if (s->shadow_wanted != s->shadow) {
        qemu_bh_schedule(s->shadow_bh);
    }
}

static void vun_backend_drain(VhostUserNvme *s)
{
    unsigned burst = 0;

    while (s->backend_fd >= 0 && burst < VUN_BACKEND_BURST) {
        uint32_t size = 0;
        unsigned want = VUN_HEADER_BYTES;
        ssize_t n;

        if (s->backend_rx_len >= VUN_HEADER_BYTES) {
            size = ldl_le_p(s->backend_rx + 8);
            if (size > VUN_REPLY_BYTES_MAX) {
                vun_drop(s, "the target sent a back-end message of %u bytes",
                         size);
                return;
            }
            want += size;
        }
        if (s->backend_rx_len == want) {
            s->backend_rx_len = 0;
            burst++;
            vun_backend_message(s, ldl_le_p(s->backend_rx),
                                s->backend_rx + VUN_HEADER_BYTES, size);
            continue;
        }
        /* Without a place for descriptors, the kernel closes them. */
        n = recv(s->backend_fd, s->backend_rx + s->backend_rx_len,
                 want - s->backend_rx_len, MSG_DONTWAIT);
        if (n > 0) {
            s->backend_rx_len += n;
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        } else {
            qemu_set_fd_handler(s->backend_fd, NULL, NULL, NULL);
            vun_close_fd(&s->backend_fd);
        }
    }
}

static void vun_backend_readable(void *opaque)
{
    vun_backend_drain(opaque);
}

/* ---- Replies ---------------------------------------------------------- */

/* Takes the oldest request that has no answer, and gives it this one. */
static void vun_reply(VhostUserNvme *s)
{
    uint32_t request = ldl_le_p(s->rx);
    uint32_t size = ldl_le_p(s->rx + 8);
    const uint8_t *data = s->rx + VUN_HEADER_BYTES;
    VunRequest *req = QSIMPLEQ_FIRST(&s->outstanding);
    bool query = request < VUN_GET_CONTROLLER && req &&
                 (request == VUN_GET_FEATURES ||
                  request == VUN_GET_PROTOCOL_FEATURES ||
                  request == VUN_GET_MAX_MEM_SLOTS);
    unsigned fds = s->rx_fds;
    int fd = s->rx_fd;
    uint64_t result;

    s->rx_len = 0;
    s->rx_fds = 0;
    s->rx_fd = -1;

    /* CSTS as of this reply, not as of before. */
    vun_backend_drain(s);
    if (s->fd < 0) {
        vun_close_fd(&fd);
        return;
    }

    if (!req || req->request != request || size < VUN_REPLY_BYTES) {
        vun_drop(s, "the target answered %s with %u bytes of %s (%u)",
                 req ? vun_request_name(req->request) : "nothing", size,
                 vun_request_name(request), request);
        vun_close_fd(&fd);
        return;
    }
    result = query ? 0 : ldq_le_p(data);
    if (size != req->reply_bytes &&
        !(result && (size == VUN_REPLY_BYTES))) {
        vun_drop(s, "the target answered %s with %u bytes, not %u",
                 vun_request_name(request), size, req->reply_bytes);
        vun_close_fd(&fd);
        return;
    }
    if (fds != (request == VUN_GET_STATE && !result ? 1 : 0)) {
        vun_drop(s, "the target answered %s with %u descriptors",
                 vun_request_name(request), fds);
        vun_close_fd(&fd);
        return;
    }
    if (size == VUN_REPLY_BYTES) {
        memset(s->rx + VUN_HEADER_BYTES + size, 0, 8);
    }

    trace_vhost_user_nvme_reply(vun_name(s), vun_request_name(request),
                                result);
    QSIMPLEQ_REMOVE_HEAD(&s->outstanding, next);
    s->outstanding_count--;
    s->answered = req->seq;
    if (s->outstanding_count) {
        timer_mod(s->silence,
                  qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + VUN_SILENCE_MS);
    } else {
        timer_del(s->silence);
    }
    req->reply(s, req, result, data, fd);
    g_free(req);
}

/* Keeps the first descriptor of a message and closes the others. */
static void vun_take_fds(VhostUserNvme *s, struct msghdr *msg)
{
    struct cmsghdr *cmsg;

    for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
        size_t count, i;

        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
            if (s->rx_fds++) {
                close(fd);
            } else {
                s->rx_fd = fd;
            }
        }
    }
}

/* Takes what has arrived. */
static void vun_receive(VhostUserNvme *s)
{
    while (s->fd >= 0) {
        char control[CMSG_SPACE(8 * sizeof(int))];
        unsigned want = VUN_HEADER_BYTES;
        struct iovec iov;
        struct msghdr msg = {
            .msg_iov = &iov, .msg_iovlen = 1,
            .msg_control = control, .msg_controllen = sizeof(control),
        };
        ssize_t n;

        if (s->rx_len >= VUN_HEADER_BYTES) {
            uint32_t flags = ldl_le_p(s->rx + 4);
            uint32_t size = ldl_le_p(s->rx + 8);

            if ((flags & (VUN_FLAG_VERSION_MASK | VUN_FLAG_REPLY)) !=
                (VUN_FLAG_VERSION | VUN_FLAG_REPLY) ||
                size > VUN_REPLY_BYTES_MAX) {
                vun_drop(s, "the target sent what is no reply (request %u, "
                         "flags 0x%x, %u bytes)", ldl_le_p(s->rx), flags,
                         size);
                return;
            }
            want += size;
        }
        if (s->rx_len == want) {
            vun_reply(s);
            continue;
        }

        iov.iov_base = s->rx + s->rx_len;
        iov.iov_len = want - s->rx_len;
        n = recvmsg(s->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n > 0) {
            s->rx_len += n;
            vun_take_fds(s, &msg);
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        } else {
            vun_drop(s, "the target closed the connection");
        }
    }
}

static void vun_fd_readable(void *opaque)
{
    vun_receive(opaque);
}

static void vun_fd_writable(void *opaque)
{
    VhostUserNvme *s = opaque;

    vun_flush(s);
    vun_watch(s);
}

static void vun_silent(void *opaque)
{
    VhostUserNvme *s = opaque;
    VunRequest *req = QSIMPLEQ_FIRST(&s->outstanding);

    if (req) {
        vun_drop(s, "the target did not answer %s for %d s",
                 vun_request_name(req->request), VUN_SILENCE_MS / 1000);
    }
}

/* Handles messages for a while.  Returns false when @deadline has passed. */
static bool vun_pump(VhostUserNvme *s, int64_t deadline)
{
    int64_t left = deadline - qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
    struct pollfd fds[2] = {
        { .fd = s->fd, .events = POLLIN },
        { .fd = s->backend_fd, .events = POLLIN },
    };

    if (left <= 0) {
        return false;
    }
    if (!QSIMPLEQ_EMPTY(&s->unsent)) {
        fds[0].events |= POLLOUT;
    }
    poll(fds, ARRAY_SIZE(fds), left);
    if (fds[0].revents & POLLOUT) {
        vun_flush(s);
        vun_watch(s);
    }
    vun_backend_drain(s);
    vun_receive(s);
    return true;
}

/* Waits for the answer to a request; false: none came in time. */
static bool vun_wait(VhostUserNvme *s, uint64_t seq, int ms)
{
    int64_t deadline = qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + ms;

    while (s->answered < seq) {
        if (s->fd < 0 || !vun_pump(s, deadline)) {
            return false;
        }
    }
    return true;
}

/* Waits for an answer without which QEMU cannot go on. */
static void vun_wait_or_drop(VhostUserNvme *s, const VunRequest *req)
{
    uint32_t request;

    if (!req) {
        return;
    }
    request = req->request;
    if (!vun_wait(s, req->seq, VUN_WAIT_MS) && s->fd >= 0) {
        vun_drop(s, "the target did not answer %s in %d s",
                 vun_request_name(request), VUN_WAIT_MS / 1000);
    }
}

/* ---- Session ---------------------------------------------------------- */

static void vun_send_region(VhostUserNvme *s, VunRegion *region)
{
    uint8_t payload[VUN_MEM_REG_BYTES] = { 0 };

    stq_le_p(payload + VUN_MEM_REG_GPA, region->gpa);
    stq_le_p(payload + VUN_MEM_REG_SIZE, region->size);
    stq_le_p(payload + VUN_MEM_REG_USER_ADDRESS, region->user_address);
    stq_le_p(payload + VUN_MEM_REG_OFFSET, region->file_offset);
    trace_vhost_user_nvme_memory(vun_name(s), "add", region->gpa,
                                 region->size);
    region->sent = vun_send_fd(s, VUN_ADD_MEM_REG, payload, sizeof(payload),
                               region->fd, VUN_REPLY_BYTES, vun_optional);
}

/* Sends as many regions as the target has place for, from @first on. */
static void vun_send_regions(VhostUserNvme *s, unsigned sent)
{
    unsigned i;

    for (i = 0; i < s->regions->len; i++) {
        VunRegion *region = &g_array_index(s->regions, VunRegion, i);

        if (region->sent) {
            continue;
        }
        if (sent >= s->max_slots) {
            if (!s->warned_slots) {
                warn_report("%s: the target takes %" PRIu64 " regions of "
                            "memory, the guest has %u: it cannot do I/O in "
                            "some of them", vun_name(s), s->max_slots,
                            s->regions->len);
                s->warned_slots = true;
            }
            return;
        }
        vun_send_region(s, region);
        sent++;
    }
}

static VunRequest *vun_send_function(VhostUserNvme *s)
{
    uint8_t payload[VUN_FUNCTION_BYTES] = { 0 };

    stw_le_p(payload + VUN_FUNCTION_COMMAND, s->command);
    stw_le_p(payload + VUN_FUNCTION_MSIX_CONTROL, s->msix_control);
    return vun_send(s, VUN_SET_FUNCTION, payload, sizeof(payload),
                    vun_required);
}

static void vun_register_written(VhostUserNvme *s, const VunRequest *req,
                                 uint64_t result, const uint8_t *data, int fd)
{
    if (req->offset == VUN_REG_CC) {
        s->cc_pending--;
        s->enabled = req->value & VUN_CC_EN;
    }
    if (result) {
        trace_vhost_user_nvme_register_refused(vun_name(s), req->offset,
                                               result);
    }
}

static void vun_send_register(VhostUserNvme *s, const VunWrite *write)
{
    uint8_t payload[VUN_SET_REGISTER_BYTES];
    VunRequest *req;

    stl_le_p(payload + VUN_REGISTER_OFFSET, write->offset);
    stl_le_p(payload + VUN_REGISTER_SIZE, write->size);
    stq_le_p(payload + VUN_REGISTER_VALUE, write->value);
    req = vun_send(s, VUN_SET_REGISTER, payload, sizeof(payload),
                   vun_register_written);
    if (req) {
        req->offset = write->offset;
        req->size = write->size;
        req->value = write->value;
        s->cc_pending += write->offset == VUN_REG_CC;
    }
}

static void vun_reset_done(VhostUserNvme *s, const VunRequest *req,
                           uint64_t result, const uint8_t *data, int fd)
{
    s->resets_pending--;
    s->enabled = false;
    vun_required(s, req, result, data, fd);
}

static VunRequest *vun_send_reset(VhostUserNvme *s)
{
    VunRequest *req = vun_send(s, VUN_RESET, NULL, 0, vun_reset_done);

    s->resets_pending += !!req;
    return req;
}

static VunRequest *vun_send_quiesce(VhostUserNvme *s, bool stop)
{
    uint8_t payload[8];

    s->quiesced = stop;
    stq_le_p(payload, stop);
    return vun_send(s, VUN_QUIESCE, payload, sizeof(payload), vun_optional);
}

static void vun_zero_page(VhostUserNvme *s)
{
    unsigned i;

    for (i = 0; i < VUN_DOORBELL_PAGE_BYTES / 4; i++) {
        qatomic_set(&s->page[i], 0);
    }
}

/* A controller at power-on gets what the guest had told the one before. */
static void vun_send_admin_queue(VhostUserNvme *s)
{
    VunWrite aqa = { VUN_REG_AQA, 4, s->regs[VUN_REG_AQA / 4] };
    VunWrite asq = { VUN_REG_ASQ, 8, s->regs[VUN_REG_ASQ / 4] |
                     (uint64_t)s->regs[VUN_REG_ASQ / 4 + 1] << 32 };
    VunWrite acq = { VUN_REG_ACQ, 8, s->regs[VUN_REG_ACQ / 4] |
                     (uint64_t)s->regs[VUN_REG_ACQ / 4 + 1] << 32 };

    if (aqa.value | asq.value | acq.value) {
        vun_send_register(s, &aqa);
        vun_send_register(s, &asq);
        vun_send_register(s, &acq);
    }
}

static void vun_go_live(VhostUserNvme *s)
{
    bool first = !s->handlers_set;
    unsigned i;

    if (s->resumed && s->state_dropped) {
        /* Reset between SET_STATE and now. */
        vun_send_reset(s);
        s->resumed = false;
    }
    s->state_dropped = false;
    s->stage = VUN_LIVE;

    s->failed |= !s->resumed && s->enabled;
    if (!s->resumed) {
        if (s->enabled) {
            g_array_set_size(s->journal, 0);
            warn_report("%s: the controller's state is lost, the guest's "
                        "driver has to reset it", vun_name(s));
        }
        s->enabled = false;
        vun_send_admin_queue(s);
    }
    if (!s->running) {
        vun_send_quiesce(s, true);
    }
    for (i = 0; i < s->journal->len; i++) {
        vun_send_register(s, &g_array_index(s->journal, VunWrite, i));
    }
    g_array_set_size(s->journal, 0);
    if (s->running && s->resumed) {
        vun_send_quiesce(s, false);
    }

    for (i = 0; i <= s->id.queue_pairs; i++) {
        event_notifier_set(&s->kicks[i]);
    }
    if (s->resumed) {
        /* One interrupt too many harms no driver, one too few does. */
        for (i = 0; i < s->id.vectors; i++) {
            event_notifier_set(&s->vectors[i].notifier);
        }
    }
    if (!first && !s->quiet) {
        info_report("%s: the target is back%s", vun_name(s),
                    s->resumed ? ", the controller goes on" : "");
    }
    trace_vhost_user_nvme_live(vun_name(s), s->resumed, s->failed);
}

static void vun_state_got(VhostUserNvme *s, const VunRequest *req,
                          uint64_t result, const uint8_t *data, int fd)
{
    struct stat st;

    if (result) {
        vun_required(s, req, result, data, fd);
        return;
    }
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        ldq_le_p(data + 8) > (uint64_t)st.st_size) {
        vun_drop(s, "the target's state file is not what it says");
        close(fd);
        return;
    }
    /* From here on the former one is history. */
    vun_close_fd(&s->state_fd);
    s->state_fd = fd;
    s->state_size = ldq_le_p(data + 8);
    vun_go_live(s);
}

static void vun_state_set(VhostUserNvme *s, const VunRequest *req,
                          uint64_t result, const uint8_t *data, int fd)
{
    static const char *const reasons[] = {
        "resumed", "it is no state of this kind of target",
        "it has another version", "the target did not stop in an orderly way",
        "the configuration differs", "it is damaged",
    };
    uint32_t reason = ldl_le_p(data + VUN_SET_STATE_REASON);

    s->resumed = !result;
    if (result) {
        warn_report("%s: the target does not go on from the state of the one "
                    "before: %s", vun_name(s),
                    reason && reason < ARRAY_SIZE(reasons) ?
                    reasons[reason] : vun_strerror(result));
    }
    vun_setup(s);
}

/* Everything that the target needs of this VM, once it knows which state. */
static void vun_setup(VhostUserNvme *s)
{
    uint8_t payload[VUN_SET_DOORBELL_PAGE_BYTES] = { 0 };
    unsigned i;

    s->stage = VUN_SETUP;
    for (i = 0; i < s->regions->len; i++) {
        g_array_index(s->regions, VunRegion, i).sent = false;
    }
    vun_send_regions(s, 0);

    stq_le_p(payload, VUN_DOORBELL_PAGE_BYTES);
    vun_send_fd(s, VUN_SET_DOORBELL_PAGE, payload, sizeof(payload), s->page_fd,
                VUN_REPLY_BYTES, vun_required);
    for (i = 0; i <= s->id.queue_pairs; i++) {
        stq_le_p(payload, i);
        vun_send_fd(s, VUN_SET_KICK, payload, VUN_KICK_BYTES,
                    event_notifier_get_fd(&s->kicks[i]), VUN_REPLY_BYTES,
                    vun_required);
    }
    stl_le_p(payload + VUN_NOTIFIER_ACTION, VUN_NOTIFIER_SET);
    for (i = 0; i < s->id.vectors; i++) {
        stl_le_p(payload + VUN_NOTIFIER_VECTOR, i);
        vun_send_fd(s, VUN_SET_NOTIFIER, payload, VUN_NOTIFIER_BYTES,
                    event_notifier_get_fd(&s->vectors[i].notifier),
                    VUN_REPLY_BYTES, vun_required);
    }
    stl_le_p(payload + VUN_NOTIFIER_VECTOR, VUN_NOTIFIER_INTX);
    vun_send_fd(s, VUN_SET_NOTIFIER, payload, VUN_NOTIFIER_BYTES,
                event_notifier_get_fd(&s->intx_notifier), VUN_REPLY_BYTES,
                vun_required);
    vun_send_function(s);
    vun_send_fd(s, VUN_GET_STATE, NULL, 0, -1, VUN_GET_STATE_REPLY,
                vun_state_got);
}

static void vun_controller_got(VhostUserNvme *s, const VunRequest *req,
                               uint64_t result, const uint8_t *data, int fd)
{
    VunIdentity id = {
        .cap = ldq_le_p(data + VUN_CONTROLLER_CAP),
        .vs = ldl_le_p(data + VUN_CONTROLLER_VS),
        .queue_pairs = ldl_le_p(data + VUN_CONTROLLER_QUEUE_PAIRS),
        .vectors = ldl_le_p(data + VUN_CONTROLLER_VECTORS),
        .class_revision = ldl_le_p(data + VUN_CONTROLLER_CLASS),
        .vendor_id = lduw_le_p(data + VUN_CONTROLLER_VENDOR_ID),
        .device_id = lduw_le_p(data + VUN_CONTROLLER_DEVICE_ID),
        .subvendor_id = lduw_le_p(data + VUN_CONTROLLER_SUBVENDOR_ID),
        .subsystem_id = lduw_le_p(data + VUN_CONTROLLER_SUBSYSTEM_ID),
    };

    if (result) {
        vun_required(s, req, result, data, fd);
        return;
    }
    if (id.queue_pairs != s->num_io_queues || !id.vectors ||
        id.vectors > VUN_VECTORS_MAX ||
        ldl_le_p(data + VUN_CONTROLLER_DOORBELLS) != VUN_DOORBELL_PAGE_BYTES) {
        vun_drop(s, "the target offers %u I/O queue pairs and %u vectors "
                 "where %u pairs were asked for", id.queue_pairs, id.vectors,
                 s->num_io_queues);
        return;
    }
    if (!s->identified) {
        s->id = id;
        s->identified = true;
        s->stage = VUN_IDENTIFIED;
        return;
    }
    if (memcmp(&id, &s->id, sizeof(id))) {
        vun_drop(s, "the target has another controller now (CAP 0x%" PRIx64
                 ", VS 0x%x, %04x:%04x)", id.cap, id.vs, id.vendor_id,
                 id.device_id);
        return;
    }
    if (s->state_fd >= 0 && !s->state_dropped) {
        uint8_t payload[8];

        stq_le_p(payload, s->state_size);
        vun_send_fd(s, VUN_SET_STATE, payload, sizeof(payload), s->state_fd,
                    VUN_SET_STATE_REPLY, vun_state_set);
    } else {
        vun_setup(s);
    }
}

static void vun_send_limits(VhostUserNvme *s)
{
    uint8_t payload[VUN_LIMITS_BYTES] = { 0 };

    stl_le_p(payload + VUN_LIMITS_QUEUE_PAIRS, s->num_io_queues);
    if (s->serial) {
        memset(payload + VUN_LIMITS_SERIAL, ' ', VUN_LIMITS_SERIAL_BYTES);
        memcpy(payload + VUN_LIMITS_SERIAL, s->serial, strlen(s->serial));
    }
    vun_send(s, VUN_SET_CONTROLLER, payload, sizeof(payload), vun_required);
    vun_send_fd(s, VUN_GET_CONTROLLER, NULL, 0, -1, VUN_CONTROLLER_BYTES,
                vun_controller_got);
}

/* What the target has at most decides how many queues there will be. */
static void vun_limits_got(VhostUserNvme *s, const VunRequest *req,
                           uint64_t result, const uint8_t *data, int fd)
{
    uint32_t pairs = MIN(ldl_le_p(data + VUN_CONTROLLER_QUEUE_PAIRS),
                         VUN_VECTORS_MAX - 1);

    if (result) {
        vun_required(s, req, result, data, fd);
        return;
    }
    if (!pairs || s->num_io_queues > pairs) {
        vun_drop(s, "the target has %u I/O queue pairs at most", pairs);
        return;
    }
    if (!s->num_io_queues) {
        s->num_io_queues = MIN(current_machine->smp.cpus, pairs);
    }
    vun_send_limits(s);
}

static void vun_slots_got(VhostUserNvme *s, const VunRequest *req,
                          uint64_t result, const uint8_t *data, int fd)
{
    s->max_slots = ldq_le_p(data);
}

static void vun_protocol_got(VhostUserNvme *s, const VunRequest *req,
                             uint64_t result, const uint8_t *data, int fd)
{
    uint8_t payload[8];
    int pair[2];

    if ((ldq_le_p(data) & VUN_PROTOCOL) != VUN_PROTOCOL) {
        vun_drop(s, "what listens at the socket is no vhost-user-nvme target "
                 "(protocol features 0x%" PRIx64 ")", ldq_le_p(data));
        return;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        vun_drop(s, "no socket for the back channel: %s", strerror(errno));
        return;
    }
    s->backend_fd = pair[0];
    qemu_set_fd_handler(s->backend_fd, vun_backend_readable, NULL, s);

    stq_le_p(payload, VUN_PROTOCOL);
    vun_send_fd(s, VUN_SET_PROTOCOL_FEATURES, payload, sizeof(payload), -1, 0,
                NULL);
    stq_le_p(payload, VUN_FEATURES);
    vun_send(s, VUN_SET_FEATURES, payload, sizeof(payload), vun_required);
    vun_send(s, VUN_SET_OWNER, NULL, 0, vun_required);
    vun_send(s, VUN_GET_MAX_MEM_SLOTS, NULL, 0, vun_slots_got);
    vun_send_fd(s, VUN_SET_BACKEND_REQ_FD, NULL, 0, pair[1], VUN_REPLY_BYTES,
                vun_required);
    close(pair[1]);
    if (s->identified) {
        vun_send_limits(s);
    } else {
        vun_send_fd(s, VUN_GET_CONTROLLER, NULL, 0, -1, VUN_CONTROLLER_BYTES,
                    vun_limits_got);
    }
}

static void vun_features_got(VhostUserNvme *s, const VunRequest *req,
                             uint64_t result, const uint8_t *data, int fd)
{
    if (!(ldq_le_p(data) & VUN_FEATURES)) {
        vun_drop(s, "what listens at the socket knows no protocol features: "
                 "it is no vhost-user-nvme target");
    }
}

/*
 * Begins a session on the character device's connection.  The device only
 * connects and closes: messages go over a descriptor of its socket, for it
 * could neither wait for a limited time nor tell which message brought which
 * descriptor.
 */
static bool vun_attach(VhostUserNvme *s, Error **errp)
{
    Chardev *chr = qemu_chr_fe_get_driver(&s->chr);
    SocketChardev *sock = (SocketChardev *)
        object_dynamic_cast(OBJECT(chr), TYPE_CHARDEV_SOCKET);

    if (!sock || !sock->sioc || sock->ioc != QIO_CHANNEL(sock->sioc) ||
        !qio_channel_has_feature(sock->ioc, QIO_CHANNEL_FEATURE_FD_PASS)) {
        error_setg(errp, "chardev '%s' is not a connected UNIX socket",
                   chr->label);
        return false;
    }
    s->fd = fcntl(sock->sioc->fd, F_DUPFD_CLOEXEC, 0);
    if (s->fd < 0) {
        error_setg_errno(errp, errno, "cannot use the connection of chardev "
                         "'%s'", chr->label);
        return false;
    }
    trace_vhost_user_nvme_attach(vun_name(s), chr->label);

    s->stage = VUN_HANDSHAKE;
    s->resumed = false;
    s->csts = 0;
    vun_watch(s);
    vun_send(s, VUN_GET_FEATURES, NULL, 0, vun_features_got);
    vun_send(s, VUN_GET_PROTOCOL_FEATURES, NULL, 0, vun_protocol_got);
    return true;
}

/* Only when the device is made: nothing runs yet that could suffer. */
static bool vun_wait_stage(VhostUserNvme *s, VunStage stage, Error **errp)
{
    int64_t deadline = qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + VUN_WAIT_MS;

    while (s->stage < stage) {
        if (s->fd < 0) {
            error_setg(errp, "%s", s->last_error);
            return false;
        }
        if (!vun_pump(s, deadline)) {
            error_setg(errp, "the target did not answer in %d s",
                       VUN_WAIT_MS / 1000);
            return false;
        }
    }
    return true;
}

static void vun_chr_event(void *opaque, QEMUChrEvent event)
{
    VhostUserNvme *s = opaque;
    Error *err = NULL;

    switch (event) {
    case CHR_EVENT_OPENED:
        if (s->fd < 0 && s->handlers_set && !vun_attach(s, &err)) {
            error_report_err(err);
        }
        break;
    case CHR_EVENT_CLOSED:
        /* Replies that came before the end count. */
        vun_receive(s);
        vun_detach(s);
        break;
    default:
        break;
    }
}

/* ---- Memory ----------------------------------------------------------- */

static bool vun_same_region(const VunRegion *a, const VunRegion *b)
{
    return a->mr == b->mr && a->gpa == b->gpa && a->size == b->size &&
           a->offset_in_mr == b->offset_in_mr;
}

static VunRegion *vun_find_region(GArray *regions, const VunRegion *wanted)
{
    unsigned i;

    for (i = 0; i < regions->len; i++) {
        VunRegion *region = &g_array_index(regions, VunRegion, i);

        if (vun_same_region(region, wanted)) {
            return region;
        }
    }
    return NULL;
}

static void vun_clear_regions(GArray *regions)
{
    unsigned i;

    for (i = 0; i < regions->len; i++) {
        memory_region_unref(g_array_index(regions, VunRegion, i).mr);
    }
    g_array_set_size(regions, 0);
}

static void vun_listener_begin(MemoryListener *listener)
{
    VhostUserNvme *s = container_of(listener, VhostUserNvme, listener);

    vun_clear_regions(s->next_regions);
}

static void vun_listener_region(MemoryListener *listener,
                                MemoryRegionSection *section)
{
    VhostUserNvme *s = container_of(listener, VhostUserNvme, listener);
    MemoryRegion *mr = section->mr;
    VunRegion region = {
        .mr = mr,
        .gpa = section->offset_within_address_space,
        .size = int128_get64(section->size),
        .offset_in_mr = section->offset_within_region,
    };

    if (!memory_region_is_ram(mr) || memory_region_is_ram_device(mr) ||
        memory_region_is_rom(mr) || section->readonly) {
        return;
    }
    region.fd = memory_region_get_fd(mr);
    if (region.fd < 0 || !qemu_ram_is_shared(mr->ram_block)) {
        Object *owner = memory_region_owner(mr);

        if (owner && object_dynamic_cast(owner, TYPE_MEMORY_BACKEND) &&
            !s->warned_unshared) {
            s->warned_unshared = true;
            warn_report("%s: memory '%s' cannot be shared with the target, "
                        "I/O in it will fail: use memory-backend-memfd with "
                        "share=on", vun_name(s), memory_region_name(mr));
        }
        return;
    }
    if ((region.gpa | region.size | region.offset_in_mr) &
        (VUN_PAGE_BYTES - 1) || !region.size ||
        region.gpa >= VUN_GPA_LIMIT ||
        region.size > VUN_GPA_LIMIT - region.gpa) {
        return;
    }
    region.file_offset = region.offset_in_mr + mr->ram_block->fd_offset;
    region.user_address = (uintptr_t)memory_region_get_ram_ptr(mr) +
                          region.offset_in_mr;
    memory_region_ref(mr);
    g_array_append_val(s->next_regions, region);
}

/*
 * Removals come first, and each is waited for: what takes its place may be
 * something else.
 */
static void vun_listener_commit(MemoryListener *listener)
{
    VhostUserNvme *s = container_of(listener, VhostUserNvme, listener);
    VunRequest *last = NULL;
    GArray *former = s->regions;
    unsigned i, sent = 0;

    for (i = 0; i < former->len; i++) {
        VunRegion *region = &g_array_index(former, VunRegion, i);
        VunRegion *kept = vun_find_region(s->next_regions, region);
        uint8_t payload[VUN_MEM_REG_BYTES] = { 0 };
        VunRequest *req;

        if (kept) {
            kept->sent = region->sent;
            sent += kept->sent;
        } else if (region->sent && s->stage >= VUN_SETUP) {
            stq_le_p(payload + VUN_MEM_REG_GPA, region->gpa);
            stq_le_p(payload + VUN_MEM_REG_SIZE, region->size);
            stq_le_p(payload + VUN_MEM_REG_USER_ADDRESS, region->user_address);
            stq_le_p(payload + VUN_MEM_REG_OFFSET, region->file_offset);
            trace_vhost_user_nvme_memory(vun_name(s), "remove", region->gpa,
                                         region->size);
            req = vun_send(s, VUN_REM_MEM_REG, payload, sizeof(payload),
                           vun_optional);
            last = req ?: last;
        }
    }
    s->regions = s->next_regions;
    s->next_regions = former;
    vun_wait_or_drop(s, last);
    if (s->stage >= VUN_SETUP) {
        vun_send_regions(s, sent);
    }
    vun_clear_regions(former);
}

/* ---- Interrupts ------------------------------------------------------- */

static void vun_vector_signalled(EventNotifier *notifier)
{
    VunVector *v = container_of(notifier, VunVector, notifier);

    if (event_notifier_test_and_clear(notifier)) {
        msix_notify(PCI_DEVICE(v->s), v->index);
    }
}

/* Makes the kernel's way from the eventfd to the vCPU; false: it has none. */
static bool vun_irqfd_on(VunVector *v, MSIMessage msg)
{
    PCIDevice *pci_dev = PCI_DEVICE(v->s);

    if (!kvm_msi_via_irqfd_enabled()) {
        return false;
    }
    if (v->virq < 0) {
        KVMRouteChange c = kvm_irqchip_begin_route_changes(kvm_state);

        v->virq = kvm_irqchip_add_msi_route(&c, v->index, pci_dev);
        if (v->virq < 0) {
            return false;
        }
        kvm_irqchip_commit_route_changes(&c);
    } else if (kvm_irqchip_update_msi_route(kvm_state, v->virq, msg,
                                            pci_dev) < 0) {
        return false;
    } else {
        kvm_irqchip_commit_routes(kvm_state);
    }
    if (!v->irqfd) {
        v->irqfd = kvm_irqchip_add_irqfd_notifier_gsi(kvm_state, &v->notifier,
                                                      NULL, v->virq) >= 0;
    }
    return v->irqfd;
}

static void vun_irqfd_off(VunVector *v)
{
    if (v->irqfd) {
        kvm_irqchip_remove_irqfd_notifier_gsi(kvm_state, &v->notifier,
                                              v->virq);
        v->irqfd = false;
    }
}

/* The vector is unmasked, or has another message. */
static int vun_vector_use(PCIDevice *pci_dev, unsigned vector, MSIMessage msg)
{
    VunVector *v = &VHOST_USER_NVME(pci_dev)->vectors[vector];

    trace_vhost_user_nvme_vector(vun_name(v->s), vector, true);
    v->used = true;
    if (!vun_irqfd_on(v, msg)) {
        vun_irqfd_off(v);
        event_notifier_set_handler(&v->notifier, vun_vector_signalled);
    }
    return 0;
}

/* The vector is masked: what is signalled stays in the eventfd. */
static void vun_vector_release(PCIDevice *pci_dev, unsigned vector)
{
    VunVector *v = &VHOST_USER_NVME(pci_dev)->vectors[vector];

    if (!v->used) {
        return;
    }
    trace_vhost_user_nvme_vector(vun_name(v->s), vector, false);
    v->used = false;
    if (v->irqfd) {
        vun_irqfd_off(v);
    } else {
        event_notifier_set_handler(&v->notifier, NULL);
    }
}

/* The guest looks at the pending bits. */
static void vun_vector_poll(PCIDevice *pci_dev, unsigned from, unsigned to)
{
    VhostUserNvme *s = VHOST_USER_NVME(pci_dev);
    unsigned i;

    for (i = from; i < MIN(to, s->id.vectors); i++) {
        if (msix_is_masked(pci_dev, i) &&
            event_notifier_test_and_clear(&s->vectors[i].notifier)) {
            msix_set_pending(pci_dev, i);
        }
    }
}

static void vun_release_vectors(VhostUserNvme *s)
{
    unsigned i;

    for (i = 0; i < s->id.vectors; i++) {
        vun_vector_release(PCI_DEVICE(s), i);
    }
}

static void vun_intx_off(VhostUserNvme *s)
{
    if (s->intx) {
        s->intx = false;
        timer_del(s->intx_timer);
        pci_irq_deassert(PCI_DEVICE(s));
    }
}

/* The guest has come to see: if the pin is still asserted, it says again. */
static void vun_intx_acknowledge(VhostUserNvme *s)
{
    uint8_t payload[VUN_NOTIFIER_BYTES];

    if (!s->intx) {
        return;
    }
    vun_intx_off(s);
    if (s->stage >= VUN_SETUP) {
        stl_le_p(payload + VUN_NOTIFIER_VECTOR, VUN_NOTIFIER_INTX);
        stl_le_p(payload + VUN_NOTIFIER_ACTION, VUN_NOTIFIER_UNMASK);
        vun_send(s, VUN_SET_NOTIFIER, payload, sizeof(payload), vun_required);
    }
}

static void vun_intx_expired(void *opaque)
{
    vun_intx_acknowledge(opaque);
}

static void vun_intx_signalled(EventNotifier *notifier)
{
    VhostUserNvme *s = container_of(notifier, VhostUserNvme, intx_notifier);

    if (!event_notifier_test_and_clear(notifier) ||
        msix_enabled(PCI_DEVICE(s))) {
        return;
    }
    trace_vhost_user_nvme_intx(vun_name(s));
    s->intx = true;
    pci_irq_assert(PCI_DEVICE(s));
    if (s->shadow) {
        /* This guest may handle it without any access to BAR0. */
        timer_mod(s->intx_timer,
                  qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + VUN_INTX_NS);
    }
}

/* ---- Doorbells -------------------------------------------------------- */

/* From Doorbell Buffer Config on, the value is in guest memory already. */
static void vun_shadow_set(VhostUserNvme *s, bool on)
{
    unsigned qid;
    hwaddr offset;

    trace_vhost_user_nvme_shadow(vun_name(s), on);
    s->shadow = on;
    memory_region_transaction_begin();
    for (qid = 1; qid <= s->id.queue_pairs; qid++) {
        for (offset = qid * 8; offset < qid * 8 + 8; offset += 4) {
            if (on) {
                memory_region_add_eventfd(&s->doorbells, offset, 4, false, 0,
                                          &s->kicks[qid]);
            } else {
                memory_region_del_eventfd(&s->doorbells, offset, 4, false, 0,
                                          &s->kicks[qid]);
            }
        }
    }
    memory_region_transaction_commit();
}

/* Not where the message arrives: that may be within another transaction. */
static void vun_shadow_bh(void *opaque)
{
    VhostUserNvme *s = opaque;

    if (s->shadow != s->shadow_wanted) {
        vun_shadow_set(s, s->shadow_wanted);
    }
}

static void vun_shadow_off(VhostUserNvme *s)
{
    s->shadow_wanted = false;
    if (s->shadow) {
        vun_shadow_set(s, false);
    }
}

static uint64_t vun_doorbell_read(void *opaque, hwaddr addr, unsigned size)
{
    vun_intx_acknowledge(opaque);
    return 0;
}

static void vun_doorbell_write(void *opaque, hwaddr addr, uint64_t value,
                               unsigned size)
{
    VhostUserNvme *s = opaque;
    unsigned qid = addr / 8;

    if (qid <= s->id.queue_pairs) {
        qatomic_store_release(&s->page[addr / 4], cpu_to_le32(value));
        event_notifier_set(&s->kicks[qid]);
    }
    vun_intx_acknowledge(s);
}

static const MemoryRegionOps vun_doorbell_ops = {
    .read = vun_doorbell_read,
    .write = vun_doorbell_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 4, .max_access_size = 8 },
    .impl = { .min_access_size = 4, .max_access_size = 4 },
};

/* ---- Registers -------------------------------------------------------- */

static void vun_register_got(VhostUserNvme *s, const VunRequest *req,
                             uint64_t result, const uint8_t *data, int fd)
{
    if (!result) {
        s->read_value = ldq_le_p(data + 8);
        s->regs[req->offset / 4] = s->read_value;
        if (req->size == 8) {
            s->regs[req->offset / 4 + 1] = s->read_value >> 32;
        }
    }
}

/* Registers whose value QEMU has. */
static bool vun_register_known(VhostUserNvme *s, hwaddr addr, uint64_t *value)
{
    switch (addr) {
    case VUN_REG_CAP:
        *value = (uint32_t)s->id.cap;
        return true;
    case VUN_REG_CAP + 4:
        *value = s->id.cap >> 32;
        return true;
    case VUN_REG_VS:
        *value = s->id.vs;
        return true;
    case VUN_REG_CC:
        *value = s->cc;
        return true;
    case VUN_REG_CSTS:
        *value = vun_shown_csts(s);
        return true;
    default:
        return false;
    }
}

static uint64_t vun_register_fetch(VhostUserNvme *s, hwaddr addr,
                                   unsigned size)
{
    uint8_t payload[VUN_GET_REGISTER_BYTES];
    VunRequest *req;

    if (s->stage == VUN_LIVE) {
        stl_le_p(payload + VUN_REGISTER_OFFSET, addr);
        stl_le_p(payload + VUN_REGISTER_SIZE, size);
        req = vun_send_fd(s, VUN_GET_REGISTER, payload, sizeof(payload), -1,
                          VUN_GET_REGISTER_REPLY, vun_register_got);
        if (req) {
            req->offset = addr;
            req->size = size;
            if (!vun_wait(s, req->seq, VUN_READ_MS)) {
                trace_vhost_user_nvme_read_late(vun_name(s), addr);
            }
        }
    }
    /* As answered, or else as it was last. */
    return s->regs[addr / 4] |
           (size == 8 ? (uint64_t)s->regs[addr / 4 + 1] << 32 : 0);
}

static uint64_t vun_register_read(void *opaque, hwaddr addr, unsigned size)
{
    VhostUserNvme *s = opaque;
    uint64_t value, high = 0;

    vun_intx_acknowledge(s);
    if (!vun_register_known(s, addr, &value)) {
        value = vun_register_fetch(s, addr, size);
    } else if (size == 8) {
        if (!vun_register_known(s, addr + 4, &high)) {
            high = vun_register_fetch(s, addr + 4, 4);
        }
        value |= high << 32;
    }
    trace_vhost_user_nvme_register_read(vun_name(s), addr, size, value);
    return value;
}

static void vun_forward(VhostUserNvme *s, const VunWrite *write)
{
    if (s->stage != VUN_LIVE) {
        vun_journal_write(s, write);
        return;
    }
    vun_send_register(s, write);
    if (s->outstanding_count > VUN_OUTSTANDING_MAX &&
        !vun_wait(s, s->seq - VUN_OUTSTANDING_MAX, VUN_READ_MS) &&
        s->fd >= 0) {
        vun_drop(s, "the target does not keep up with the guest");
    }
}

static void vun_write_cc(VhostUserNvme *s, const VunWrite *write)
{
    uint32_t former = s->cc;

    s->cc = write->value;
    if (former & ~s->cc & VUN_CC_EN) {
        vun_shadow_off(s);
        s->failed = false;
    }
    if (~former & s->cc & VUN_CC_EN) {
        vun_zero_page(s);
    }
    if (!s->failed) {
        vun_forward(s, write);
    }
}

static void vun_register_write(void *opaque, hwaddr addr, uint64_t value,
                               unsigned size)
{
    VhostUserNvme *s = opaque;
    VunWrite write = { addr, size, value };

    trace_vhost_user_nvme_register_write(vun_name(s), addr, size, value);
    vun_intx_acknowledge(s);
    if (size == 8 && addr == VUN_REG_INTMC) {
        /* Two registers; whoever writes both means the second. */
        write = (VunWrite) { VUN_REG_CC, 4, value >> 32 };
    }
    if (write.offset >= VUN_REG_AQA && write.offset < VUN_REG_ACQ + 8) {
        s->regs[addr / 4] = value;
        if (size == 8) {
            s->regs[addr / 4 + 1] = value >> 32;
        }
    }
    if (write.offset == VUN_REG_CC) {
        vun_write_cc(s, &write);
    } else {
        vun_forward(s, &write);
    }
}

static const MemoryRegionOps vun_register_ops = {
    .read = vun_register_read,
    .write = vun_register_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 4, .max_access_size = 8 },
    .impl = { .min_access_size = 4, .max_access_size = 8 },
};

/* ---- PCI function ----------------------------------------------------- */

/* Of the device, of its bus, or of the function by itself. */
static void vun_reset(DeviceState *dev)
{
    VhostUserNvme *s = VHOST_USER_NVME(dev);
    unsigned i;

    if (!s->handlers_set) {
        return; /* never got as far as that */
    }
    trace_vhost_user_nvme_reset(vun_name(s), s->stage);
    vun_shadow_off(s);
    vun_intx_off(s);
    s->cc = 0;
    s->csts_frozen = 0;
    s->failed = false;
    memset(s->regs, 0, sizeof(s->regs));
    if (s->stage == VUN_LIVE) {
        vun_wait_or_drop(s, vun_send_reset(s));
    } else {
        vun_drop_state(s);
    }

    /* Not before the target has stopped to look. */
    vun_zero_page(s);
    for (i = 0; i < s->id.vectors; i++) {
        event_notifier_test_and_clear(&s->vectors[i].notifier);
    }
    event_notifier_test_and_clear(&s->intx_notifier);
    s->command = 0;
    s->msix_control = 0;
    if (s->stage >= VUN_SETUP) {
        vun_send_function(s);
    }
}

static void vun_config_write(PCIDevice *pci_dev, uint32_t addr, uint32_t value,
                             int len)
{
    VhostUserNvme *s = VHOST_USER_NVME(pci_dev);
    uint16_t msix_control;

    pci_default_write_config(pci_dev, addr, value, len);
    pcie_cap_flr_write_config(pci_dev, addr, value, len);

    msix_control = pci_get_word(pci_dev->config + pci_dev->msix_cap +
                                PCI_MSIX_FLAGS) & VUN_MSIX_CONTROL;
    if (!(msix_control & PCI_MSIX_FLAGS_ENABLE)) {
        vun_release_vectors(s);
    } else {
        vun_intx_off(s);
    }
    if (s->command == pci_get_word(pci_dev->config + PCI_COMMAND) &&
        s->msix_control == msix_control) {
        return;
    }
    s->command = pci_get_word(pci_dev->config + PCI_COMMAND);
    s->msix_control = msix_control;
    if (s->stage >= VUN_SETUP) {
        /*
         * The next doorbell overtakes what is in the socket, and its command
         * would be answered by the interrupt that was on before.
         */
        vun_wait_or_drop(s, vun_send_function(s));
    }
}

static void vun_vm_state(void *opaque, bool running, RunState state)
{
    VhostUserNvme *s = opaque;

    if (s->running == running) {
        return;
    }
    s->running = running;
    if (s->stage != VUN_LIVE) {
        return;
    }
    if (!running) {
        /* Nothing changes the guest's memory while the VM is stopped. */
        vun_wait_or_drop(s, vun_send_quiesce(s, true));
    } else if (s->quiesced) {
        vun_send_quiesce(s, false);
    }
}

static bool vun_init_pci(VhostUserNvme *s, Error **errp)
{
    PCIDevice *pci_dev = PCI_DEVICE(s);
    uint8_t *config = pci_dev->config;
    unsigned i;

    pci_config_set_vendor_id(config, s->id.vendor_id);
    pci_config_set_device_id(config, s->id.device_id);
    pci_set_word(config + PCI_SUBSYSTEM_VENDOR_ID, s->id.subvendor_id);
    pci_set_word(config + PCI_SUBSYSTEM_ID, s->id.subsystem_id);
    pci_set_long(config + PCI_CLASS_REVISION, s->id.class_revision);
    pci_config_set_interrupt_pin(config, 1);

    memory_region_init(&s->bar, OBJECT(s), "vhost-user-nvme-bar",
                       VUN_BAR_BYTES);
    memory_region_init_io(&s->registers, OBJECT(s), &vun_register_ops, s,
                          "vhost-user-nvme-registers", VUN_BAR_DOORBELLS);
    memory_region_init_io(&s->doorbells, OBJECT(s), &vun_doorbell_ops, s,
                          "vhost-user-nvme-doorbells",
                          VUN_DOORBELL_PAGE_BYTES);
    memory_region_add_subregion(&s->bar, 0, &s->registers);
    memory_region_add_subregion(&s->bar, VUN_BAR_DOORBELLS, &s->doorbells);

    if (pcie_endpoint_cap_init(pci_dev, 0) < 0) {
        error_setg(errp, "no room for the PCI Express capability");
        return false;
    }
    pcie_cap_flr_init(pci_dev);
    if (pci_pm_init(pci_dev, 0, errp) < 0) {
        return false;
    }
    if (msix_init(pci_dev, s->id.vectors, &s->bar, 0, VUN_BAR_MSIX_TABLE,
                  &s->bar, 0, VUN_BAR_MSIX_PBA, 0, errp) < 0) {
        return false;
    }
    s->msix_initialized = true;
    for (i = 0; i < s->id.vectors; i++) {
        msix_vector_use(pci_dev, i);
    }
    pci_register_bar(pci_dev, 0, PCI_BASE_ADDRESS_SPACE_MEMORY |
                     PCI_BASE_ADDRESS_MEM_TYPE_64, &s->bar);
    return true;
}

static bool vun_init_eventfds(VhostUserNvme *s, Error **errp)
{
    unsigned i;

    /* Allocated at once, so that what is there can be told from the size. */
    s->kicks = g_new0(EventNotifier, s->id.queue_pairs + 1);
    s->vectors = g_new0(VunVector, s->id.vectors);
    for (i = 0; i < s->id.vectors; i++) {
        s->vectors[i].s = s;
        s->vectors[i].index = i;
        s->vectors[i].virq = -1;
    }
    for (i = 0; i <= s->id.queue_pairs; i++) {
        if (event_notifier_init(&s->kicks[i], 0) < 0) {
            goto fail;
        }
    }
    for (i = 0; i < s->id.vectors; i++) {
        if (event_notifier_init(&s->vectors[i].notifier, 0) < 0) {
            goto fail;
        }
    }
    if (event_notifier_init(&s->intx_notifier, 0) < 0) {
        goto fail;
    }
    s->intx_initialized = true;
    event_notifier_set_handler(&s->intx_notifier, vun_intx_signalled);
    s->page = qemu_memfd_alloc("vhost-user-nvme-doorbells",
                               VUN_DOORBELL_PAGE_BYTES,
                               F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW,
                               &s->page_fd, errp);
    return s->page;

fail:
    error_setg(errp, "no eventfds for %u queue pairs", s->id.queue_pairs);
    return false;
}

/* Frees whatever there is of the device. */
static void vun_cleanup(VhostUserNvme *s)
{
    PCIDevice *pci_dev = PCI_DEVICE(s);
    unsigned i;

    if (s->vm_state) {
        qemu_del_vm_change_state_handler(s->vm_state);
        s->vm_state = NULL;
    }
    if (s->handlers_set) {
        qemu_chr_fe_set_handlers(&s->chr, NULL, NULL, NULL, NULL, NULL, NULL,
                                 false);
        s->handlers_set = false;
    }
    if (s->shadow_bh) {
        vun_shadow_off(s);
    }
    vun_detach(s);
    if (qemu_chr_fe_backend_open(&s->chr)) {
        /* The next device has to begin with a connection of its own. */
        qemu_chr_fe_disconnect(&s->chr);
    }
    if (s->listening) {
        memory_listener_unregister(&s->listener);
        s->listening = false;
    }
    if (s->notifiers_set) {
        msix_unset_vector_notifiers(pci_dev);
        s->notifiers_set = false;
    }
    if (s->intx_timer) {
        vun_intx_off(s);
    }
    for (i = 0; s->vectors && i < s->id.vectors; i++) {
        VunVector *v = &s->vectors[i];

        vun_vector_release(pci_dev, i);
        if (v->virq >= 0) {
            kvm_irqchip_release_virq(kvm_state, v->virq);
        }
        if (v->notifier.initialized) {
            event_notifier_cleanup(&v->notifier);
        }
    }
    for (i = 0; s->kicks && i <= s->id.queue_pairs; i++) {
        if (s->kicks[i].initialized) {
            event_notifier_cleanup(&s->kicks[i]);
        }
    }
    g_clear_pointer(&s->vectors, g_free);
    g_clear_pointer(&s->kicks, g_free);
    if (s->intx_initialized) {
        event_notifier_set_handler(&s->intx_notifier, NULL);
        event_notifier_cleanup(&s->intx_notifier);
        s->intx_initialized = false;
    }
    if (s->page) {
        qemu_memfd_free(s->page, VUN_DOORBELL_PAGE_BYTES, s->page_fd);
        s->page = NULL;
    }
    if (s->msix_initialized) {
        msix_uninit(pci_dev, &s->bar, &s->bar);
        s->msix_initialized = false;
    }
    if (memory_region_size(&s->bar)) {
        /* They hold references to the device. */
        memory_region_del_subregion(&s->bar, &s->registers);
        memory_region_del_subregion(&s->bar, &s->doorbells);
    }
    if (pci_dev->exp.exp_cap) {
        pcie_cap_exit(pci_dev);
    }
    vun_clear_regions(s->regions);
    vun_clear_regions(s->next_regions);
    g_array_unref(s->regions);
    g_array_unref(s->next_regions);
    g_array_unref(s->journal);
    vun_close_fd(&s->state_fd);
    g_clear_pointer(&s->intx_timer, timer_free);
    g_clear_pointer(&s->silence, timer_free);
    g_clear_pointer(&s->shadow_bh, qemu_bh_delete);
    g_clear_pointer(&s->last_error, g_free);
    migrate_del_blocker(&s->migration_blocker);
    s->identified = false;
}

static bool vun_check(VhostUserNvme *s, Error **errp)
{
    PCIDevice *pci_dev = PCI_DEVICE(s);
    const char *c;

    if (!qemu_chr_fe_backend_connected(&s->chr)) {
        error_setg(errp, "'chardev' is missing: give the id of a chardev "
                   "socket,path=... at which a target listens");
        return false;
    }
    if (s->num_io_queues >= VUN_VECTORS_MAX) {
        error_setg(errp, "'num-io-queues' is 1 to %d", VUN_VECTORS_MAX - 1);
        return false;
    }
    if (s->serial && (!*s->serial ||
                      strlen(s->serial) > VUN_LIMITS_SERIAL_BYTES)) {
        error_setg(errp, "'serial' is 1 to %d characters",
                   VUN_LIMITS_SERIAL_BYTES);
        return false;
    }
    for (c = s->serial; c && *c; c++) {
        if (*c < 0x20 || *c > 0x7e) {
            error_setg(errp, "'serial' is printable ASCII");
            return false;
        }
    }
    if (pci_device_iommu_address_space(pci_dev) != &address_space_memory) {
        error_setg(errp, "vhost-user-nvme cannot be behind an IOMMU");
        return false;
    }
    if (DEVICE(s)->hotplugged && !qemu_chr_fe_backend_open(&s->chr)) {
        /* With reconnect it might wait for ever, and the guest with it. */
        SocketChardev *sock = (SocketChardev *)object_dynamic_cast(
            OBJECT(qemu_chr_fe_get_driver(&s->chr)), TYPE_CHARDEV_SOCKET);

        if (sock && sock->reconnect_time_ms) {
            error_setg(errp, "the chardev is not connected yet: start the "
                       "target, then try again");
            return false;
        }
    }
    return true;
}

static bool vun_realize_parts(VhostUserNvme *s, Error **errp)
{
    DeviceState *dev = DEVICE(s);

    error_setg(&s->migration_blocker, "vhost-user-nvme does not support "
               "migration: the controller's state is in the target");
    if (migrate_add_blocker(&s->migration_blocker, errp) < 0) {
        return false;
    }
    if (qemu_chr_fe_wait_connected(&s->chr, errp) < 0 ||
        !vun_attach(s, errp) || !vun_wait_stage(s, VUN_IDENTIFIED, errp)) {
        return false;
    }
    if (!vun_init_eventfds(s, errp) || !vun_init_pci(s, errp)) {
        return false;
    }

    s->listener = (MemoryListener) {
        .name = TYPE_VHOST_USER_NVME,
        .begin = vun_listener_begin,
        .commit = vun_listener_commit,
        .region_add = vun_listener_region,
        .region_nop = vun_listener_region,
    };
    memory_listener_register(&s->listener, &address_space_memory);
    s->listening = true;
    if (!s->regions->len) {
        error_setg(errp, "no guest memory can be shared with the target: add "
                   "-object memory-backend-memfd,id=mem,size=...,share=on and "
                   "-machine memory-backend=mem");
        return false;
    }

    if (msix_set_vector_notifiers(PCI_DEVICE(s), vun_vector_use,
                                  vun_vector_release, vun_vector_poll) < 0) {
        error_setg(errp, "MSI-X cannot be set up");
        return false;
    }
    s->notifiers_set = true;

    s->running = runstate_is_running() || !dev->hotplugged;
    vun_setup(s);
    if (!vun_wait_stage(s, VUN_LIVE, errp)) {
        return false;
    }
    s->vm_state = qdev_add_vm_change_state_handler(dev, vun_vm_state, s);
    s->handlers_set = true;
    qemu_chr_fe_set_handlers(&s->chr, NULL, NULL, vun_chr_event, NULL, s, NULL,
                             true);
    return true;
}

static void vun_realize(PCIDevice *pci_dev, Error **errp)
{
    VhostUserNvme *s = VHOST_USER_NVME(pci_dev);

    if (!vun_check(s, errp)) {
        return;
    }
    QSIMPLEQ_INIT(&s->outstanding);
    QSIMPLEQ_INIT(&s->unsent);
    s->regions = g_array_new(false, true, sizeof(VunRegion));
    s->next_regions = g_array_new(false, true, sizeof(VunRegion));
    s->journal = g_array_new(false, true, sizeof(VunWrite));
    s->silence = timer_new_ms(QEMU_CLOCK_REALTIME, vun_silent, s);
    s->intx_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, vun_intx_expired, s);
    s->shadow_bh = qemu_bh_new_guarded(vun_shadow_bh, s,
                                       &DEVICE(s)->mem_reentrancy_guard);
    if (!vun_realize_parts(s, errp)) {
        vun_cleanup(s);
    }
}

static void vun_exit(PCIDevice *pci_dev)
{
    VhostUserNvme *s = VHOST_USER_NVME(pci_dev);

    if (s->stage == VUN_LIVE) {
        /* The guest may have another use for its memory at once. */
        vun_wait_or_drop(s, vun_send_reset(s));
    }
    vun_cleanup(s);
}

static const Property vun_properties[] = {
    DEFINE_PROP_CHR("chardev", VhostUserNvme, chr),
    DEFINE_PROP_UINT32("num-io-queues", VhostUserNvme, num_io_queues, 0),
    DEFINE_PROP_STRING("serial", VhostUserNvme, serial),
};

static void vun_instance_init(Object *obj)
{
    VhostUserNvme *s = VHOST_USER_NVME(obj);

    s->fd = -1;
    s->backend_fd = -1;
    s->rx_fd = -1;
    s->state_fd = -1;
    s->page_fd = -1;
    /* Firmware looks for the first namespace of a controller. */
    device_add_bootindex_property(obj, &s->bootindex, "bootindex",
                                  "/namespace@1,0", DEVICE(obj));
}

static void vun_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);

    pc->realize = vun_realize;
    pc->exit = vun_exit;
    pc->config_write = vun_config_write;
    pc->class_id = PCI_CLASS_STORAGE_EXPRESS;
    dc->desc = "NVMe controller in a vhost-user-nvme target";
    device_class_set_legacy_reset(dc, vun_reset);
    device_class_set_props(dc, vun_properties);
    set_bit(DEVICE_CATEGORY_STORAGE, dc->categories);
}

static const TypeInfo vun_info = {
    .name = TYPE_VHOST_USER_NVME,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(VhostUserNvme),
    .instance_init = vun_instance_init,
    .class_init = vun_class_init,
    .interfaces = (InterfaceInfo[]) {
        { INTERFACE_PCIE_DEVICE },
        { }
    },
};

static void vun_register_types(void)
{
    type_register_static(&vun_info);
}

type_init(vun_register_types)
