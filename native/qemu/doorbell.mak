# SPDX-License-Identifier: GPL-2.0-or-later
# The boards and devices of a QEMU that runs doorbell's guests, tests and benchmarks: --with-devices-x86_64=doorbell

CONFIG_I440FX=y
CONFIG_Q35=y
CONFIG_HPET=y
CONFIG_VTD=y
CONFIG_ISA_DEBUG=y
CONFIG_PCIE_PORT=y
CONFIG_NVME_PCI=y
CONFIG_VHOST_USER_NVME_PCI=y
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_MEM=y
CONFIG_VIRTIO_RNG=y
CONFIG_VIRTIO_SERIAL=y
