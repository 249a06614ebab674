// The exports of a core: what its caller may call, and nothing else. abi/README.md says when, and what each does.

import { abiVersion, coreInit, coreResume, memoryAdd, memoryRemove } from './controller/core.ts';
import { commandSubmit, completionsPost } from './controller/dispatch.ts';
import { namespaceUpdate } from './controller/namespace-update.ts';
import {
  deadlineNext,
  doorbellsKick,
  doorbellsPoll,
  doorbellWrite,
  interruptAsserted,
  queueArm,
  queuePollAt,
} from './controller/poll.ts';
import { registerRead, registerWrite } from './controller/registers.ts';
import {
  commandsTake,
  eventsTake,
  interruptsTake,
  requestsOutstanding,
  requestsTake,
  windowFilled,
  windowsTake,
} from './controller/rings.ts';
import { controllerFail, controllerReset, controllerStart } from './controller/state.ts';

export {
  abiVersion as abi_version,
  coreInit as core_init,
  coreResume as core_resume,
  controllerReset as controller_reset,
  controllerStart as controller_start,
  controllerFail as controller_fail,
  registerRead as register_read,
  registerWrite as register_write,
  doorbellWrite as doorbell_write,
  doorbellsPoll as doorbells_poll,
  doorbellsKick as doorbells_kick,
  commandSubmit as command_submit,
  memoryAdd as region_add,
  memoryRemove as region_remove,
  namespaceUpdate as namespace_update,
  windowFilled as window_filled,
  queuePollAt as queue_poll,
  queueArm as queue_arm,
  deadlineNext as deadline_next,
  completionsPost as completions_post,
  requestsTake as requests_take,
  commandsTake as commands_take,
  windowsTake as windows_take,
  interruptsTake as interrupts_take,
  eventsTake as events_take,
  requestsOutstanding as requests_outstanding,
  interruptAsserted as interrupt_pending,
};
