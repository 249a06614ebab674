/*
 * vhost-user-nvme: what is said to the target, and what it says
 *
 * The handshake, memory, registers and the controller's state.  QEMU outlives
 * the target: while there is none, register writes are kept in a journal, and
 * a target that comes back gets them together with the state that the last
 * one left.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "exec/address-spaces.h"
#include "exec/ramblock.h"
#include "hw/boards.h"
#include "system/hostmem.h"
#include "vhost-user-nvme.h"
#include "trace.h"

/* Guest memory lies below; what is above belongs to the target. */
#define VUN_GPA_LIMIT       (1ull << 52)
#define VUN_JOURNAL_MAX     256
#define VUN_PROTOCOL        (VUN_PROTOCOL_F_REPLY_ACK | \
                             VUN_PROTOCOL_F_BACKEND_REQ | \
                             VUN_PROTOCOL_F_MEM_SLOTS | VUN_PROTOCOL_F_NVME)

/* ---- Registers -------------------------------------------------------- */

/* CSTS as the guest sees it. */
uint32_t vun_csts(VhostUserNvme *s)
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

static void vun_send_write(VhostUserNvme *s, const VunWrite *write)
{
    s->cc_pending += write->offset == VUN_REG_CC;
    vun_send(s, VUN_SET_REGISTER, -1,
             VUN_WORDS(VUN_HALVES(write->offset, 4), write->value));
}

/* While live, the journal is what was sent and is not answered yet. */
void vun_set_register(VhostUserNvme *s, uint32_t offset, uint32_t value)
{
    VunWrite write = { offset, value };

    if (s->stage == VUN_LIVE && s->journal->len >= VUN_JOURNAL_MAX &&
        !vun_settle(s, VUN_READ_MS)) {
        vun_drop(s, "the target does not keep up with the guest");
    }
    if (s->stage != VUN_LIVE && offset == VUN_REG_CC &&
        !(value & VUN_CC_EN)) {
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
    g_array_append_val(s->journal, write);
    if (s->stage == VUN_LIVE) {
        vun_send_write(s, &write);
    }
}

static void vun_register_set(VhostUserNvme *s, const VunRequest *req)
{
    VunWrite write = g_array_index(s->journal, VunWrite, 0);

    g_array_remove_index(s->journal, 0);
    if (write.offset == VUN_REG_CC) {
        s->cc_pending--;
        s->enabled = write.value & VUN_CC_EN;
    }
    if (req->reply[0]) {
        trace_vhost_user_nvme_register_refused(vun_name(s), write.offset,
                                               req->reply[0]);
    }
}

/* The register as the target answers in time, or else as it was last. */
uint64_t vun_get_register(VhostUserNvme *s, uint32_t offset)
{
    if (s->stage == VUN_LIVE) {
        vun_send(s, VUN_GET_REGISTER, -1, VUN_WORDS(VUN_HALVES(offset, 4)));
        vun_settle(s, VUN_READ_MS);
    }
    return s->regs[offset / 4];
}

static void vun_register_got(VhostUserNvme *s, const VunRequest *req)
{
    if (!req->reply[0]) {
        s->regs[(uint32_t)le64_to_cpu(req->msg.words[0]) / 4] = req->reply[1];
    }
}

static void vun_send_reset(VhostUserNvme *s)
{
    s->resets_pending++;
    vun_send(s, VUN_RESET, -1, NULL);
}

void vun_reset_controller(VhostUserNvme *s)
{
    if (s->stage == VUN_LIVE) {
        vun_send_reset(s);
        vun_settle_or_drop(s, NULL);
    }
    if (s->stage != VUN_LIVE) {
        vun_drop_state(s);
    }
}

static void vun_reset_done(VhostUserNvme *s, const VunRequest *req)
{
    s->resets_pending--;
    s->enabled = false;
    s->state_dropped = false;
}

void vun_send_function(VhostUserNvme *s)
{
    if (s->stage >= VUN_SETUP) {
        vun_send(s, VUN_SET_FUNCTION, -1,
                 VUN_WORDS(s->command | (uint32_t)s->msix_control << 16));
    }
}

/* ---- Memory ----------------------------------------------------------- */

static void vun_send_region(VhostUserNvme *s, uint32_t request,
                            const VunRegion *region, int fd)
{
    trace_vhost_user_nvme_memory(vun_name(s), request, region->gpa,
                                 region->size);
    vun_send(s, request, fd,
             VUN_WORDS(0, region->gpa, region->size, region->user_address,
                       region->file_offset));
}

/* The target has those at the front, as many as it has place for. */
static void vun_send_regions(VhostUserNvme *s)
{
    unsigned i;

    for (i = 0; i < MIN(s->regions->len, s->max_slots); i++) {
        VunRegion *region = &g_array_index(s->regions, VunRegion, i);

        if (!region->sent) {
            vun_send_region(s, VUN_ADD_MEM_REG, region, region->fd);
            region->sent = true;
        }
    }
    if (i < s->regions->len) {
        warn_report_once("%s: the target takes %u regions of memory, the "
                         "guest has %u: it cannot do I/O in some of them",
                         vun_name(s), i, s->regions->len);
    }
}

static void vun_region_add(MemoryListener *listener,
                           MemoryRegionSection *section)
{
    VhostUserNvme *s = container_of(listener, VhostUserNvme, listener);
    MemoryRegion *mr = section->mr;
    hwaddr offset = section->offset_within_region;
    VunRegion region = {
        .mr = mr,
        .gpa = section->offset_within_address_space,
        .size = int128_get64(section->size),
    };

    if (!memory_region_is_ram(mr) || memory_region_is_ram_device(mr) ||
        memory_region_is_rom(mr) || section->readonly) {
        return;
    }
    region.fd = memory_region_get_fd(mr);
    if (region.fd < 0 || !qemu_ram_is_shared(mr->ram_block)) {
        Object *owner = memory_region_owner(mr);

        if (owner && object_dynamic_cast(owner, TYPE_MEMORY_BACKEND)) {
            warn_report_once("%s: memory '%s' cannot be shared with the "
                             "target, I/O in it will fail: use "
                             "memory-backend-memfd with share=on",
                             vun_name(s), memory_region_name(mr));
        }
        return;
    }
    if (!QEMU_IS_ALIGNED(region.gpa | region.size | offset, 4096) ||
        region.gpa + region.size > VUN_GPA_LIMIT) {
        return;
    }
    region.file_offset = offset + mr->ram_block->fd_offset;
    region.user_address = (uintptr_t)memory_region_get_ram_ptr(mr) + offset;
    memory_region_ref(mr);
    g_array_append_val(s->regions, region);
}

static void vun_region_del(MemoryListener *listener,
                           MemoryRegionSection *section)
{
    VhostUserNvme *s = container_of(listener, VhostUserNvme, listener);
    unsigned i;

    for (i = 0; i < s->regions->len; i++) {
        VunRegion *region = &g_array_index(s->regions, VunRegion, i);

        if (region->gpa == section->offset_within_address_space) {
            if (region->sent && s->stage >= VUN_SETUP) {
                vun_send_region(s, VUN_REM_MEM_REG, region, -1);
                s->removing = true;
            }
            memory_region_unref(region->mr);
            g_array_remove_index(s->regions, i);
            return;
        }
    }
}

/* Memory that goes may have another use at once: its removal is waited for. */
static void vun_memory_commit(MemoryListener *listener)
{
    VhostUserNvme *s = container_of(listener, VhostUserNvme, listener);

    if (s->stage >= VUN_SETUP) {
        vun_send_regions(s);
        if (s->removing) {
            vun_settle_or_drop(s, NULL);
        }
    }
    s->removing = false;
}

/* ---- Handshake, in the order of its steps ----------------------------- */

bool vun_session_begin(VhostUserNvme *s, Error **errp)
{
    if (!vun_connect(s, errp)) {
        return false;
    }
    s->stage = VUN_HANDSHAKE;
    s->resumed = false;
    s->csts = 0;
    vun_send(s, VUN_GET_FEATURES, -1, NULL);
    vun_send(s, VUN_GET_PROTOCOL_FEATURES, -1, NULL);
    return true;
}

static void vun_protocol_got(VhostUserNvme *s, const VunRequest *req)
{
    if (~req->reply[0] & VUN_PROTOCOL) {
        vun_drop(s, "what listens at the socket is no vhost-user-nvme target "
                 "(protocol features 0x%" PRIx64 ")", req->reply[0]);
        return;
    }
    vun_send(s, VUN_SET_PROTOCOL_FEATURES, -1, VUN_WORDS(VUN_PROTOCOL));
    vun_send(s, VUN_SET_FEATURES, -1, VUN_WORDS(VUN_F_PROTOCOL_FEATURES));
    vun_send(s, VUN_SET_OWNER, -1, NULL);
    vun_send(s, VUN_GET_MAX_MEM_SLOTS, -1, NULL);
    vun_send(s, VUN_SET_BACKEND_REQ_FD, s->backend_far, NULL);
    vun_send(s, VUN_GET_CONTROLLER, -1, NULL);
}

static void vun_slots_got(VhostUserNvme *s, const VunRequest *req)
{
    s->max_slots = req->reply[0];
}

/* What the target has at most decides how many queues there will be. */
static void vun_limits_got(VhostUserNvme *s, uint32_t pairs)
{
    char serial[24] = "";

    pairs = MIN(pairs, VUN_PAIRS_MAX - 1);
    if (!pairs || s->num_io_queues > pairs) {
        vun_drop(s, "the target has %u I/O queue pairs at most", pairs);
        return;
    }
    if (!s->num_io_queues) {
        s->num_io_queues = MIN(current_machine->smp.cpus, pairs);
    }
    if (s->serial) {
        strpadcpy(serial, VUN_SERIAL_BYTES, s->serial, ' ');
    }
    s->stage = VUN_LIMITED;
    vun_send(s, VUN_SET_CONTROLLER, -1,
             VUN_WORDS(s->num_io_queues, ldq_le_p(serial),
                       ldq_le_p(serial + 8), ldq_le_p(serial + 16)));
    vun_send(s, VUN_GET_CONTROLLER, -1, NULL);
}

static void vun_controller_got(VhostUserNvme *s, const VunRequest *req)
{
    uint32_t pairs = req->reply[VUN_CONTROLLER_VS] >> 32;
    uint64_t id[VUN_WORDS_MAX];

    if (s->stage == VUN_HANDSHAKE) {
        vun_limits_got(s, pairs);
        return;
    }
    /* What may be another after an update of the target is left out. */
    memcpy(id, req->reply, sizeof(id));
    id[VUN_CONTROLLER_STATE] = 0;
    id[VUN_CONTROLLER_CLASS] = (uint32_t)id[VUN_CONTROLLER_CLASS];
    if (pairs != s->num_io_queues || id[VUN_CONTROLLER_VECTORS] !=
        VUN_HALVES(pairs + 1, VUN_DOORBELL_PAGE_BYTES)) {
        vun_drop(s, "the target offers %u I/O queue pairs and %u vectors "
                 "where %u pairs were asked for", pairs,
                 (uint32_t)id[VUN_CONTROLLER_VECTORS], s->num_io_queues);
    } else if (!s->identified) {
        memcpy(s->id, id, sizeof(id));
        s->identified = true;
        s->stage = VUN_IDENTIFIED;
    } else if (memcmp(s->id, id, sizeof(id))) {
        vun_drop(s, "the target has another controller now (CAP 0x%" PRIx64
                 ", VS 0x%x)", id[VUN_CONTROLLER_CAP],
                 (uint32_t)id[VUN_CONTROLLER_VS]);
    } else if (s->state_fd >= 0 && !s->state_dropped) {
        vun_send(s, VUN_SET_STATE, s->state_fd, VUN_WORDS(s->state_size));
    } else {
        vun_setup(s);
    }
}

static void vun_state_set(VhostUserNvme *s, const VunRequest *req)
{
    static const char *const reasons[] = {
        "the request was wrong", "it is no state of this kind of target",
        "it has another version", "the target did not stop in an orderly way",
        "the configuration differs", "it is damaged",
    };
    uint32_t reason = req->reply[1];

    s->resumed = !req->reply[0];
    if (!s->resumed) {
        warn_report("%s: the target does not go on from the state of the one "
                    "before: %s", vun_name(s), reason < ARRAY_SIZE(reasons) ?
                    reasons[reason] : "for a reason of its own");
    }
    vun_setup(s);
}

/* Everything that the target needs of this VM, once it knows which state. */
void vun_setup(VhostUserNvme *s)
{
    unsigned i;

    s->stage = VUN_SETUP;
    for (i = 0; i < s->regions->len; i++) {
        g_array_index(s->regions, VunRegion, i).sent = false;
    }
    vun_send_regions(s);
    vun_send(s, VUN_SET_DOORBELL_PAGE, s->page_fd,
             VUN_WORDS(VUN_DOORBELL_PAGE_BYTES, 0));
    for (i = 0; i <= s->num_io_queues; i++) {
        VunPair *pair = &s->pairs[i];

        vun_send(s, VUN_SET_KICK, event_notifier_get_fd(&pair->kick),
                 VUN_WORDS(i));
        vun_send(s, VUN_SET_NOTIFIER, event_notifier_get_fd(&pair->notifier),
                 VUN_WORDS(VUN_HALVES(i, VUN_NOTIFIER_SET)));
    }
    vun_send(s, VUN_SET_NOTIFIER, event_notifier_get_fd(&s->intx_notifier),
             VUN_WORDS(VUN_HALVES(VUN_NOTIFIER_INTX, VUN_NOTIFIER_SET)));
    vun_send_function(s);
    vun_send(s, VUN_GET_STATE, -1, NULL);
}

/* A controller at power-on gets what the guest had told the one before. */
static void vun_send_admin_queue(VhostUserNvme *s)
{
    unsigned i;

    for (i = VUN_REG_ACQ / 4 + 1; i >= VUN_REG_AQA / 4; i--) {
        VunWrite write = { i * 4, s->regs[i] };

        if (write.value) {
            g_array_prepend_val(s->journal, write);
        }
    }
}

static void vun_go_live(VhostUserNvme *s)
{
    bool stopped = s->resumed;
    unsigned i;

    s->stage = VUN_LIVE;
    if (s->resumed && s->state_dropped) {
        /* Reset between SET_STATE and now. */
        vun_send_reset(s);
        s->resumed = false;
    } else {
        s->state_dropped = false;
    }
    if (!s->resumed) {
        if (s->enabled) {
            g_array_set_size(s->journal, 0);
            s->failed = true;
            warn_report("%s: the controller's state is lost, the guest's "
                        "driver has to reset it", vun_name(s));
        }
        s->enabled = false;
        vun_send_admin_queue(s);
    }
    if (!s->running) {
        vun_send(s, VUN_QUIESCE, -1, VUN_WORDS(true));
    }
    for (i = 0; i < s->journal->len; i++) {
        vun_send_write(s, &g_array_index(s->journal, VunWrite, i));
    }
    if (s->running && stopped) {
        vun_send(s, VUN_QUIESCE, -1, VUN_WORDS(false));
    }

    for (i = 0; i <= s->num_io_queues; i++) {
        event_notifier_set(&s->pairs[i].kick);
        if (s->resumed) {
            /* One interrupt too many harms no driver, one too few does. */
            event_notifier_set(&s->pairs[i].notifier);
        }
    }
    if (s->realized && !s->quiet) {
        info_report("%s: the target is back%s", vun_name(s),
                    s->resumed ? ", the controller goes on" : "");
    }
    trace_vhost_user_nvme_live(vun_name(s), s->resumed, s->failed);
}

static void vun_state_got(VhostUserNvme *s, const VunRequest *req)
{
    uint64_t size = req->reply[1];
    struct stat st;

    if (fstat(s->replies.fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        size > st.st_size) {
        vun_drop(s, "the target's state file is not what it says");
        return;
    }
    /* From here on the former one is history. */
    vun_close_fd(&s->state_fd);
    s->state_fd = s->replies.fd;
    s->replies.fd = -1;
    s->state_size = size;
    vun_go_live(s);
}

void vun_session_ended(VhostUserNvme *s)
{
    g_autoptr(GArray) unanswered = s->journal;
    unsigned i;

    s->csts_frozen = vun_csts(s);
    s->stage = VUN_AWAY;
    s->cc_pending = 0;
    s->resets_pending = 0;
    s->journal = g_array_new(false, false, sizeof(VunWrite));
    for (i = 0; i < unanswered->len; i++) {
        VunWrite *write = &g_array_index(unanswered, VunWrite, i);

        vun_set_register(s, write->offset, write->value);
    }
}

/* ---- Back channel, and the table of requests -------------------------- */

void vun_backend_message(VhostUserNvme *s, const VunMessage *msg)
{
    uint32_t request = le32_to_cpu(msg->request);
    uint32_t value = le64_to_cpu(msg->words[0]);

    if (request != VUN_BACKEND_STATUS &&
        request != VUN_BACKEND_SHADOW_DOORBELLS) {
        return; /* of a later version */
    }
    if (le32_to_cpu(msg->size) != sizeof(msg->words[0])) {
        vun_drop(s, "the target sent a back-end message of %u bytes",
                 le32_to_cpu(msg->size));
        return;
    }
    trace_vhost_user_nvme_backend(vun_name(s), request, value);
    if (request == VUN_BACKEND_STATUS) {
        s->csts = value;
        return;
    }
    /* What is about a controller that the guest just ends is out of date. */
    s->shadow_wanted = value && s->cc & VUN_CC_EN && !s->cc_pending &&
                       !s->resets_pending;
    if (s->shadow_wanted != s->shadow) {
        qemu_bh_schedule(s->shadow_bh);
    }
}

const VunKind *vun_kind(uint32_t request)
{
    static const VunKind kinds[] = {
#define KIND(name, ...) { VUN_##name, #name, __VA_ARGS__ }
        KIND(GET_FEATURES, 0, 8, VUN_QUERY),
        KIND(SET_FEATURES, 8, 8, VUN_REQUIRED),
        KIND(SET_OWNER, 0, 8, VUN_REQUIRED),
        KIND(GET_PROTOCOL_FEATURES, 0, 8, VUN_QUERY, vun_protocol_got),
        KIND(SET_PROTOCOL_FEATURES, 8, 0),
        KIND(SET_BACKEND_REQ_FD, 0, 8, VUN_REQUIRED),
        KIND(GET_MAX_MEM_SLOTS, 0, 8, VUN_QUERY, vun_slots_got),
        KIND(ADD_MEM_REG, 40, 8),
        KIND(REM_MEM_REG, 40, 8),
        KIND(GET_CONTROLLER, 0, 56, VUN_REQUIRED, vun_controller_got),
        KIND(SET_CONTROLLER, 32, 8, VUN_REQUIRED),
        KIND(GET_REGISTER, 8, 16, 0, vun_register_got),
        KIND(SET_REGISTER, 16, 8, 0, vun_register_set),
        KIND(SET_FUNCTION, 8, 8, VUN_REQUIRED),
        KIND(SET_DOORBELL_PAGE, 16, 8, VUN_REQUIRED),
        KIND(SET_KICK, 8, 8, VUN_REQUIRED),
        KIND(SET_NOTIFIER, 8, 8, VUN_REQUIRED),
        KIND(RESET, 0, 8, VUN_REQUIRED, vun_reset_done),
        KIND(QUIESCE, 8, 8),
        KIND(GET_STATE, 0, 16, VUN_REQUIRED, vun_state_got),
        KIND(SET_STATE, 8, 16, 0, vun_state_set),
#undef KIND
    };
    const VunKind *kind = kinds;

    while (kind->request != request) {
        kind++;
    }
    return kind;
}

void vun_session_init(VhostUserNvme *s)
{
    s->state_fd = -1;
    s->regions = g_array_new(false, false, sizeof(VunRegion));
    s->journal = g_array_new(false, false, sizeof(VunWrite));
    s->listener = (MemoryListener) {
        .name = TYPE_VHOST_USER_NVME,
        .region_add = vun_region_add,
        .region_del = vun_region_del,
        .commit = vun_memory_commit,
    };
}

void vun_session_cleanup(VhostUserNvme *s)
{
    memory_listener_unregister(&s->listener);
    g_clear_pointer(&s->regions, g_array_unref);
    g_clear_pointer(&s->journal, g_array_unref);
    vun_close_fd(&s->state_fd);
    s->identified = false;
}
