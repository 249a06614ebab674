/*
 * vhost-user-nvme: an NVMe controller that lives in another process
 *
 * QEMU is the PCI function: configuration space, BAR0, MSI-X, reset.  The
 * target at the other end of a UNIX socket is the controller: it maps the
 * guest's memory, reads the queues in place and signals eventfds.  No command
 * and no data pass through here.
 *
 * The target is not trusted to be correct.  What it does not answer holds up
 * a vCPU for VUN_READ_MS (a register) or VUN_WAIT_MS (resets, removal of
 * memory, writes to configuration space) at most.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/memfd.h"
#include "qemu/module.h"
#include "exec/address-spaces.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "hw/pci/pcie.h"
#include "hw/qdev-properties.h"
#include "hw/qdev-properties-system.h"
#include "migration/blocker.h"
#include "system/kvm.h"
#include "system/system.h"
#include "vhost-user-nvme.h"
#include "trace.h"

/* BAR0: registers, doorbells, MSI-X table and pending bits, a page each. */
#define VUN_BAR_BYTES       0x4000
#define VUN_BAR_DOORBELLS   0x1000
#define VUN_BAR_MSIX_TABLE  0x2000
#define VUN_BAR_MSIX_PBA    0x3000

/* An INTx that no access to BAR0 acknowledges. */
#define VUN_INTX_NS         1000000

/* ---- Interrupts ------------------------------------------------------- */

static void vun_vector_signalled(EventNotifier *notifier)
{
    VunPair *pair = container_of(notifier, VunPair, notifier);

    if (event_notifier_test_and_clear(notifier)) {
        msix_notify(PCI_DEVICE(pair->s), pair - pair->s->pairs);
    }
}

/* Makes the kernel's way from the eventfd to the vCPU, if it has one. */
static void vun_irqfd_on(VunPair *pair, unsigned vector)
{
    KVMRouteChange change;

    if (!kvm_msi_via_irqfd_enabled()) {
        return;
    }
    change = kvm_irqchip_begin_route_changes(kvm_state);
    pair->virq = kvm_irqchip_add_msi_route(&change, vector,
                                           PCI_DEVICE(pair->s));
    if (pair->virq < 0) {
        return;
    }
    kvm_irqchip_commit_route_changes(&change);
    if (kvm_irqchip_add_irqfd_notifier_gsi(kvm_state, &pair->notifier, NULL,
                                           pair->virq) < 0) {
        kvm_irqchip_release_virq(kvm_state, pair->virq);
        pair->virq = -1;
    }
}

static int vun_vector_use(PCIDevice *pci_dev, unsigned vector, MSIMessage msg)
{
    VunPair *pair = &VHOST_USER_NVME(pci_dev)->pairs[vector];

    trace_vhost_user_nvme_vector(vun_name(pair->s), vector, true);
    pair->used = true;
    vun_irqfd_on(pair, vector);
    if (pair->virq < 0) {
        event_notifier_set_handler(&pair->notifier, vun_vector_signalled);
    }
    return 0;
}

/* The vector is masked: what is signalled stays in the eventfd. */
static void vun_vector_release(PCIDevice *pci_dev, unsigned vector)
{
    VunPair *pair = &VHOST_USER_NVME(pci_dev)->pairs[vector];

    if (!pair->used) {
        return;
    }
    trace_vhost_user_nvme_vector(vun_name(pair->s), vector, false);
    pair->used = false;
    if (pair->virq < 0) {
        event_notifier_set_handler(&pair->notifier, NULL);
        return;
    }
    kvm_irqchip_remove_irqfd_notifier_gsi(kvm_state, &pair->notifier,
                                          pair->virq);
    kvm_irqchip_release_virq(kvm_state, pair->virq);
    pair->virq = -1;
}

/* The guest looks at the pending bits. */
static void vun_vector_poll(PCIDevice *pci_dev, unsigned from, unsigned to)
{
    VhostUserNvme *s = VHOST_USER_NVME(pci_dev);
    unsigned i;

    for (i = from; i < MIN(to, s->num_io_queues + 1); i++) {
        if (msix_is_masked(pci_dev, i) &&
            event_notifier_test_and_clear(&s->pairs[i].notifier)) {
            msix_set_pending(pci_dev, i);
        }
    }
}

/* Lowers the pin.  The target says again if it is still asserted. */
static void vun_intx_off(void *opaque)
{
    VhostUserNvme *s = opaque;

    if (s->intx) {
        s->intx = false;
        timer_del(s->intx_timer);
        pci_irq_deassert(PCI_DEVICE(s));
        if (s->stage >= VUN_SETUP) {
            vun_send(s, VUN_SET_NOTIFIER, -1, VUN_WORDS(
                         VUN_HALVES(VUN_NOTIFIER_INTX, VUN_NOTIFIER_UNMASK)));
        }
    }
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

/* ---- BAR0 ------------------------------------------------------------- */

/* From Doorbell Buffer Config on, the value is in guest memory already. */
static void vun_shadow_set(VhostUserNvme *s, bool on)
{
    hwaddr addr;

    s->shadow_wanted = on;
    if (s->shadow == on) {
        return;
    }
    trace_vhost_user_nvme_shadow(vun_name(s), on);
    s->shadow = on;
    memory_region_transaction_begin();
    for (addr = 8; addr < (s->num_io_queues + 1) * 8; addr += 4) {
        (on ? memory_region_add_eventfd : memory_region_del_eventfd)(
            &s->bar, VUN_BAR_DOORBELLS + addr, 4, false, 0,
            &s->pairs[addr / 8].kick);
    }
    memory_region_transaction_commit();
}

/* Not where the message arrives: that may be within another transaction. */
static void vun_shadow_bh(void *opaque)
{
    VhostUserNvme *s = opaque;

    vun_shadow_set(s, s->shadow_wanted);
}

static uint64_t vun_bar_read(void *opaque, hwaddr addr, unsigned size)
{
    VhostUserNvme *s = opaque;
    uint64_t value = 0;

    vun_intx_off(s);
    if (addr == VUN_REG_CC) {
        value = s->cc;
    } else if (addr == VUN_REG_CSTS) {
        value = vun_csts(s);
    } else if (addr < VUN_REG_CAP + 8 || addr == VUN_REG_VS) {
        value = s->regs[addr / 4];
    } else if (addr < VUN_BAR_DOORBELLS) {
        value = vun_get_register(s, addr);
    }
    trace_vhost_user_nvme_bar_read(vun_name(s), addr, value);
    return value;
}

static void vun_write_cc(VhostUserNvme *s, uint32_t value)
{
    uint32_t former = s->cc;

    s->cc = value;
    if (former & ~value & VUN_CC_EN) {
        vun_shadow_set(s, false);
        s->failed = false;
    }
    if (~former & value & VUN_CC_EN) {
        memset(s->page, 0, VUN_DOORBELL_PAGE_BYTES);
    }
    if (!s->failed) {
        vun_set_register(s, VUN_REG_CC, value);
    }
}

static void vun_bar_write(void *opaque, hwaddr addr, uint64_t value,
                          unsigned size)
{
    VhostUserNvme *s = opaque;
    hwaddr doorbell = addr - VUN_BAR_DOORBELLS;

    trace_vhost_user_nvme_bar_write(vun_name(s), addr, value);
    if (addr == VUN_REG_CC) {
        vun_write_cc(s, value);
    } else if (addr < VUN_BAR_DOORBELLS) {
        if (addr >= VUN_REG_AQA && addr <= VUN_REG_ACQ + 4) {
            s->regs[addr / 4] = value;
        }
        vun_set_register(s, addr, value);
    } else if (doorbell / 8 <= s->num_io_queues) {
        qatomic_store_release(&s->page[doorbell / 4], cpu_to_le32(value));
        event_notifier_set(&s->pairs[doorbell / 8].kick);
    }
    /* Last, so that the target sees what the guest did about it. */
    vun_intx_off(s);
}

static const MemoryRegionOps vun_bar_ops = {
    .read = vun_bar_read,
    .write = vun_bar_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 4, .max_access_size = 8 },
    .impl = { .min_access_size = 4, .max_access_size = 4 },
};

/* ---- PCI function ----------------------------------------------------- */

static void vun_release_vectors(VhostUserNvme *s)
{
    unsigned i;

    for (i = 0; i <= s->num_io_queues; i++) {
        vun_vector_release(PCI_DEVICE(s), i);
    }
}

/* Of the device, of its bus, or of the function by itself. */
static void vun_reset(DeviceState *dev)
{
    VhostUserNvme *s = VHOST_USER_NVME(dev);
    unsigned i;

    if (!s->realized) {
        return; /* never got as far as that */
    }
    trace_vhost_user_nvme_reset(vun_name(s), s->stage);
    vun_shadow_set(s, false);
    vun_intx_off(s);
    vun_release_vectors(s);
    s->cc = 0;
    s->csts_frozen = 0;
    s->failed = false;
    memset(&s->regs[VUN_REG_AQA / 4], 0, sizeof(s->regs) - VUN_REG_AQA);
    vun_reset_controller(s);

    /* Not before the target has stopped to look. */
    memset(s->page, 0, VUN_DOORBELL_PAGE_BYTES);
    for (i = 0; i <= s->num_io_queues; i++) {
        event_notifier_test_and_clear(&s->pairs[i].notifier);
    }
    event_notifier_test_and_clear(&s->intx_notifier);
    s->command = 0;
    s->msix_control = 0;
    vun_send_function(s);
}

static void vun_config_write(PCIDevice *pci_dev, uint32_t addr, uint32_t value,
                             int len)
{
    VhostUserNvme *s = VHOST_USER_NVME(pci_dev);
    uint16_t command, msix_control;

    pci_default_write_config(pci_dev, addr, value, len);
    pcie_cap_flr_write_config(pci_dev, addr, value, len);

    command = pci_get_word(pci_dev->config + PCI_COMMAND);
    msix_control = pci_get_word(pci_dev->config + pci_dev->msix_cap +
                                PCI_MSIX_FLAGS) &
                   (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    if (msix_control & PCI_MSIX_FLAGS_ENABLE) {
        vun_intx_off(s);
    } else {
        vun_release_vectors(s);
    }
    if (s->command == command && s->msix_control == msix_control) {
        return;
    }
    s->command = command;
    s->msix_control = msix_control;
    vun_send_function(s);
    if (s->stage >= VUN_SETUP) {
        /*
         * The next doorbell overtakes what is in the socket, and its command
         * would be answered by the interrupt that was on before.
         */
        vun_settle_or_drop(s, NULL);
    }
}

static void vun_vm_state(void *opaque, bool running, RunState state)
{
    VhostUserNvme *s = opaque;

    if (s->running != running) {
        s->running = running;
        if (s->stage == VUN_LIVE) {
            vun_send(s, VUN_QUIESCE, -1, VUN_WORDS(!running));
        }
        if (s->stage == VUN_LIVE && !running) {
            /* Nothing changes the guest's memory while the VM is stopped. */
            vun_settle_or_drop(s, NULL);
        }
    }
}

static void vun_chr_event(void *opaque, QEMUChrEvent event)
{
    VhostUserNvme *s = opaque;
    Error *err = NULL;

    if (event == CHR_EVENT_CLOSED) {
        /* Replies that came before the end count. */
        vun_receive(s);
        vun_disconnect(s);
    } else if (event == CHR_EVENT_OPENED && s->realized &&
               s->stage == VUN_AWAY && !vun_session_begin(s, &err)) {
        error_report_err(err);
    }
}

/* ---- Realize and exit ------------------------------------------------- */

static bool vun_init_pci(VhostUserNvme *s, Error **errp)
{
    PCIDevice *pci_dev = PCI_DEVICE(s);
    uint8_t *config = pci_dev->config;
    unsigned i;

    s->regs[VUN_REG_CAP / 4] = s->id[VUN_CONTROLLER_CAP];
    s->regs[VUN_REG_CAP / 4 + 1] = s->id[VUN_CONTROLLER_CAP] >> 32;
    s->regs[VUN_REG_VS / 4] = s->id[VUN_CONTROLLER_VS];
    pci_set_long(config + PCI_VENDOR_ID, s->id[VUN_CONTROLLER_IDS]);
    pci_set_long(config + PCI_SUBSYSTEM_VENDOR_ID,
                 s->id[VUN_CONTROLLER_IDS] >> 32);
    pci_set_long(config + PCI_CLASS_REVISION, s->id[VUN_CONTROLLER_CLASS]);
    pci_config_set_interrupt_pin(config, 1);

    memory_region_init_io(&s->bar, OBJECT(s), &vun_bar_ops, s,
                          TYPE_VHOST_USER_NVME, VUN_BAR_BYTES);
    if (pcie_endpoint_cap_init(pci_dev, 0) < 0) {
        error_setg(errp, "no room for the PCI Express capability");
        return false;
    }
    pcie_cap_flr_init(pci_dev);
    if (pci_pm_init(pci_dev, 0, errp) < 0 ||
        msix_init(pci_dev, s->num_io_queues + 1, &s->bar, 0,
                  VUN_BAR_MSIX_TABLE, &s->bar, 0, VUN_BAR_MSIX_PBA, 0,
                  errp) < 0) {
        return false;
    }
    for (i = 0; i <= s->num_io_queues; i++) {
        msix_vector_use(pci_dev, i);
    }
    pci_register_bar(pci_dev, 0, PCI_BASE_ADDRESS_SPACE_MEMORY |
                     PCI_BASE_ADDRESS_MEM_TYPE_64, &s->bar);
    if (msix_set_vector_notifiers(pci_dev, vun_vector_use, vun_vector_release,
                                  vun_vector_poll) < 0) {
        error_setg(errp, "MSI-X cannot be set up");
        return false;
    }
    return true;
}

static bool vun_init_eventfds(VhostUserNvme *s, Error **errp)
{
    bool ok = event_notifier_init(&s->intx_notifier, 0) >= 0;
    unsigned i;

    s->pairs = g_new0(VunPair, s->num_io_queues + 1);
    for (i = 0; i <= s->num_io_queues; i++) {
        s->pairs[i].s = s;
        s->pairs[i].virq = -1;
        ok = ok && event_notifier_init(&s->pairs[i].kick, 0) >= 0 &&
             event_notifier_init(&s->pairs[i].notifier, 0) >= 0;
    }
    if (!ok) {
        error_setg(errp, "no eventfds for %u queue pairs", s->num_io_queues);
        return false;
    }
    event_notifier_set_handler(&s->intx_notifier, vun_intx_signalled);
    s->page = qemu_memfd_alloc("vhost-user-nvme-doorbells",
                               VUN_DOORBELL_PAGE_BYTES,
                               F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW,
                               &s->page_fd, errp);
    return s->page;
}

static void vun_cleanup_function(VhostUserNvme *s)
{
    PCIDevice *pci_dev = PCI_DEVICE(s);
    unsigned i;

    if (pci_dev->msix_vector_use_notifier) {
        msix_unset_vector_notifiers(pci_dev);
    }
    msix_uninit(pci_dev, &s->bar, &s->bar);
    for (i = 0; s->pairs && i <= s->num_io_queues; i++) {
        vun_vector_release(pci_dev, i);
        event_notifier_cleanup(&s->pairs[i].notifier);
        event_notifier_cleanup(&s->pairs[i].kick);
    }
    g_clear_pointer(&s->pairs, g_free);
    if (s->intx_notifier.initialized) {
        event_notifier_set_handler(&s->intx_notifier, NULL);
        event_notifier_cleanup(&s->intx_notifier);
    }
    if (s->page) {
        qemu_memfd_free(s->page, VUN_DOORBELL_PAGE_BYTES, s->page_fd);
        s->page = NULL;
    }
    g_clear_pointer(&s->intx_timer, timer_free);
    g_clear_pointer(&s->shadow_bh, qemu_bh_delete);
    migrate_del_blocker(&s->migration_blocker);
}

/* Also of what has not been realized entirely. */
static void vun_exit(PCIDevice *pci_dev)
{
    VhostUserNvme *s = VHOST_USER_NVME(pci_dev);

    g_clear_pointer(&s->vm_state, qemu_del_vm_change_state_handler);
    qemu_chr_fe_set_handlers(&s->chr, NULL, NULL, NULL, NULL, NULL, NULL,
                             false);
    vun_shadow_set(s, false);
    vun_intx_off(s);
    /* The guest may have another use for its memory at once. */
    vun_reset_controller(s);
    s->realized = false;
    vun_connection_cleanup(s);
    vun_session_cleanup(s);
    vun_cleanup_function(s);
}

static bool vun_check(VhostUserNvme *s, Error **errp)
{
    size_t serial_len = s->serial ? strlen(s->serial) : 1;
    const char *c;

    for (c = s->serial; c && *c; c++) {
        serial_len += g_ascii_isprint(*c) ? 0 : VUN_SERIAL_BYTES;
    }
    if (!qemu_chr_fe_backend_connected(&s->chr)) {
        error_setg(errp, "'chardev' is missing: give the id of a chardev "
                   "socket,path=... at which a target listens");
    } else if (s->num_io_queues >= VUN_PAIRS_MAX) {
        error_setg(errp, "'num-io-queues' is 1 to %d, or 0 for one for each "
                   "virtual CPU", VUN_PAIRS_MAX - 1);
    } else if (!serial_len || serial_len > VUN_SERIAL_BYTES) {
        error_setg(errp, "'serial' is 1 to %d characters of printable ASCII",
                   VUN_SERIAL_BYTES);
    } else if (pci_device_iommu_address_space(PCI_DEVICE(s)) !=
               &address_space_memory) {
        error_setg(errp, "vhost-user-nvme cannot be behind an IOMMU");
    } else if (DEVICE(s)->hotplugged && !qemu_chr_fe_backend_open(&s->chr) &&
               vun_socket(s) && vun_socket(s)->reconnect_time_ms) {
        /* It might wait for ever, and the guest with it. */
        error_setg(errp, "the chardev is not connected yet: start the "
                   "target, then try again");
    } else {
        return true;
    }
    return false;
}

static bool vun_realize_parts(VhostUserNvme *s, Error **errp)
{
    DeviceState *dev = DEVICE(s);

    error_setg(&s->migration_blocker, "vhost-user-nvme does not support "
               "migration: the controller's state is in the target");
    if (migrate_add_blocker(&s->migration_blocker, errp) < 0 ||
        qemu_chr_fe_wait_connected(&s->chr, errp) < 0 ||
        !vun_session_begin(s, errp) || !vun_settle_or_drop(s, errp) ||
        !vun_init_eventfds(s, errp) || !vun_init_pci(s, errp)) {
        return false;
    }
    memory_listener_register(&s->listener, &address_space_memory);
    if (!s->regions->len) {
        error_setg(errp, "no guest memory can be shared with the target: add "
                   "-object memory-backend-memfd,id=mem,size=...,share=on and "
                   "-machine memory-backend=mem");
        return false;
    }
    s->running = runstate_is_running() || !dev->hotplugged;
    vun_setup(s);
    if (!vun_settle_or_drop(s, errp)) {
        return false;
    }
    s->vm_state = qdev_add_vm_change_state_handler(dev, vun_vm_state, s);
    s->realized = true;
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
    vun_connection_init(s);
    vun_session_init(s);
    s->intx_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, vun_intx_off, s);
    s->shadow_bh = qemu_bh_new_guarded(vun_shadow_bh, s,
                                       &DEVICE(s)->mem_reentrancy_guard);
    if (!vun_realize_parts(s, errp)) {
        vun_exit(pci_dev);
    }
}

static const Property vun_properties[] = {
    DEFINE_PROP_CHR("chardev", VhostUserNvme, chr),
    DEFINE_PROP_UINT32("num-io-queues", VhostUserNvme, num_io_queues, 0),
    DEFINE_PROP_STRING("serial", VhostUserNvme, serial),
};

static void vun_instance_init(Object *obj)
{
    /* Firmware looks for the first namespace of a controller. */
    device_add_bootindex_property(obj, &VHOST_USER_NVME(obj)->bootindex,
                                  "bootindex", "/namespace@1,0", DEVICE(obj));
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

static const TypeInfo vun_types[] = {
    {
        .name = TYPE_VHOST_USER_NVME,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(VhostUserNvme),
        .instance_init = vun_instance_init,
        .class_init = vun_class_init,
        .interfaces = (InterfaceInfo[]) { { INTERFACE_PCIE_DEVICE }, { } },
    },
};

DEFINE_TYPES(vun_types)
