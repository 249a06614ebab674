// Nothing as storage: for measuring all that is not storage.

#include "controller.h"
#include "request.h"
#include "storage.h"
#include "uring.h"

namespace doorbell {

void NullStorage::start(Request& request, Uring& uring) {
  const bool stores = zeros_ && request.operation == abi::OPERATION_READ;
  const bool survived = !stores || request.controller->survives([&] { request.zero(); });
  uring.finish(request, survived ? abi::BLOCK_OK : abi::BLOCK_MEMORY_FAULT);
}

void NullStorage::resume(Request& request, Uring& uring, std::int32_t result) {
  uring.finish(request, result);
}

} // namespace doorbell
