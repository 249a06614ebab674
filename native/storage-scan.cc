// What reads a file for itself and not for the guest: Compare, Verify and Copy. They go on piece by piece
// through one bounce buffer, so that neither a large request nor many of them take much memory; O_DIRECT is
// content with it.
//
//   scan -> (read) -> scanned -> Compare: compare with the segments ──┐
//    ^                           Verify: nothing ─────────────────────┤
//    │                           Copy: copyWrite -> (write) ──────────┤ until the piece is done
//    └────────────────────────────────────────────────────────────────┘ until the request is done

#include "controller.h"
#include "request.h"
#include "storage.h"
#include "uring.h"

#include <algorithm>

namespace doorbell {
namespace {

/** Bytes of one piece. */
constexpr std::uint64_t PIECE_BYTES = std::uint64_t{256} << 10;

/** What a read failed with that was to be copied: its failures are not those of the write. */
std::int32_t sourceResult(std::int32_t result) {
  const bool mayHelp = result == -EAGAIN || result == -ENOMEM || result == -ECANCELED;
  return mayHelp ? result : static_cast<std::int32_t>(abi::BLOCK_SOURCE_ERROR);
}

} // namespace

/** Reads the next piece. */
void FileStorage::scan(Request& request, Uring& uring) {
  if (request.done == request.length) return uring.finish(request, abi::BLOCK_OK);
  if (request.bounce == nullptr) {
    request.bounceBytes = std::min(request.length, PIECE_BYTES);
    request.bounce = uring.bouncePool().take(request.bounceBytes);
  }
  const bool copies = request.operation == abi::OPERATION_COPY;
  const auto bytes = static_cast<unsigned>(std::min(request.length - request.done, request.bounceBytes));
  const std::uint64_t at = copies ? options_.offset + request.source() + request.done : position(request);
  request.stage = Stage::SCAN;
  uring.queue(request, [&](io_uring_sqe* sqe) {
    io_uring_prep_read(sqe, options_.fd, request.bounce, bytes, at);
    if (options_.mayBlock) sqe->flags |= IOSQE_ASYNC;
  });
}

void FileStorage::scanned(Request& request, Uring& uring, std::int32_t result) {
  const bool copies = request.operation == abi::OPERATION_COPY;
  // A file that ends inside the namespace has lost blocks.
  if (result <= 0) {
    const std::int32_t failure = result < 0 ? result : -EIO;
    return uring.finish(request, copies ? sourceResult(failure) : failure);
  }
  const auto bytes = static_cast<std::uint32_t>(result);
  if (copies) {
    request.held = bytes;
    request.stored = 0;
    return copyWrite(request, uring);
  }
  if (request.operation == abi::OPERATION_COMPARE) {
    bool same = false;
    const bool survived =
        request.controller->survives([&] { same = request.matches(request.bounce, bytes); });
    if (!survived) return uring.finish(request, abi::BLOCK_MEMORY_FAULT);
    if (!same) return uring.finish(request, abi::BLOCK_MISCOMPARE);
    request.consume(bytes);
  } else {
    request.done += bytes;
  }
  scan(request, uring);
}

/** Writes what is left of the piece that was read. */
void FileStorage::copyWrite(Request& request, Uring& uring) {
  request.stage = Stage::COPY_WRITE;
  uring.queue(request, [&](io_uring_sqe* sqe) {
    const auto* data = static_cast<const std::uint8_t*>(request.bounce) + request.stored;
    const auto bytes = static_cast<unsigned>(request.held - request.stored);
    io_uring_prep_write(sqe, options_.fd, data, bytes, position(request) + request.stored);
    if (request.isFua()) sqe->rw_flags = RWF_DSYNC;
    if (options_.mayBlock) sqe->flags |= IOSQE_ASYNC;
  });
}

void FileStorage::copyWritten(Request& request, Uring& uring, std::int32_t result) {
  if (result <= 0) return uring.finish(request, result < 0 ? result : -EIO);
  request.stored += static_cast<std::uint32_t>(result);
  if (request.stored < request.held) return copyWrite(request, uring);
  request.done += request.held;
  scan(request, uring);
}

} // namespace doorbell
