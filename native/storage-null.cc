// Nothing as storage: for measuring all that is not storage.

#include "controller.h"
#include "request.h"
#include "storage.h"
#include "uring.h"

namespace doorbell {

void NullStorage::start(Request& request, Uring& uring) {
  bool same = true;
  bool survived = true;
  if (zeros_ && request.operation == abi::OPERATION_READ) {
    survived = request.controller->survives([&] { request.zero(); });
  } else if (zeros_ && request.operation == abi::OPERATION_COMPARE) {
    survived = request.controller->survives([&] { same = request.isZero(); });
  }
  if (survived && !same) return uring.finish(request, abi::BLOCK_MISCOMPARE);
  uring.finish(request, survived ? abi::BLOCK_OK : abi::BLOCK_MEMORY_FAULT);
}

void NullStorage::resume(Request& request, Uring& uring, std::int32_t result) {
  uring.finish(request, result);
}

} // namespace doorbell
