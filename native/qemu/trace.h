/*
 * The trace points of trace-events, as QEMU's build generates them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "trace/trace-hw_vhost_user_nvme.h"
