// A file as storage: io_uring's read, write, fsync and fallocate; open(2) on O_DIRECT, fallocate(2),
// RWF_DSYNC of pwritev2(2).

#include "controller.h"
#include "request.h"
#include "storage.h"
#include "uring.h"

#include <algorithm>
#include <linux/falloc.h>
#include <mutex>
#include <sys/mman.h>

namespace doorbell {
namespace {

/** Most bytes that one bounce, or one write of zeros, moves. */
constexpr std::uint64_t CHUNK_BYTES = std::uint64_t{1} << 20;

/** Most bytes of one operation on one segment; longer ones go on where this ends. */
constexpr std::uint64_t TRANSFER_BYTES_MAX = std::uint64_t{1} << 30;

/** CHUNK_BYTES of zeros for all writes of zeros: one physical page, mapped often. */
const void* zeroChunk() {
  static void* zeros = nullptr;
  static std::once_flag once;
  std::call_once(once, [] {
    void* memory = mmap(nullptr, CHUNK_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) fail("mmap");
    zeros = memory;
  });
  return zeros;
}

/** ENODEV is what fallocate says of what is neither a regular file nor, on newer kernels, a block device. */
bool isUnsupported(std::int32_t result) {
  return result == -EOPNOTSUPP || result == -ENOSYS || result == -ENODEV;
}

} // namespace

std::uint32_t checkRange(const Request& request, const Storage& storage) {
  const auto isInside = [&](std::uint64_t offset, std::uint64_t length) {
    return offset <= storage.length && length <= storage.length - offset;
  };
  if (request.operation == abi::OPERATION_FLUSH) return abi::BLOCK_OK;
  if (request.operation == abi::OPERATION_DEALLOCATE) {
    for (std::uint32_t i = 0; i < request.segmentCount; ++i) {
      const iovec& range = request.segments[i];
      if (!isInside(reinterpret_cast<std::uint64_t>(range.iov_base), range.iov_len)) {
        return abi::BLOCK_OUT_OF_RANGE;
      }
    }
  } else if (!isInside(request.offset, request.length)) {
    return abi::BLOCK_OUT_OF_RANGE;
  }
  if (request.operation == abi::OPERATION_COPY &&
      (request.segmentCount != 1 || request.segments[0].iov_len != request.length ||
       !isInside(request.source(), request.length))) {
    return abi::BLOCK_OUT_OF_RANGE;
  }
  return storage.readOnly && !request.isRead() ? abi::BLOCK_READ_ONLY : abi::BLOCK_OK;
}

void FileStorage::start(Request& request, Uring& uring) {
  switch (request.operation) {
  case abi::OPERATION_FLUSH:
    return sync(request, uring);
  case abi::OPERATION_DEALLOCATE:
    return punch(request, uring);
  case abi::OPERATION_WRITE_ZEROES:
    return writeZeros(request, uring);
  case abi::OPERATION_COMPARE:
  case abi::OPERATION_VERIFY:
  case abi::OPERATION_COPY:
    return scan(request, uring);
  default:
    if (request.length == 0) return uring.finish(request, abi::BLOCK_OK);
    return transfer(request, uring);
  }
}

void FileStorage::resume(Request& request, Uring& uring, std::int32_t result) {
  if (result == -EINTR) {
    // Nothing was done: the same once more.
    switch (request.stage) {
    case Stage::TRANSFER:
      return transfer(request, uring);
    case Stage::ALLOCATE:
    case Stage::WRITE_ZEROS:
      return writeZeros(request, uring);
    case Stage::PUNCH:
      return punch(request, uring);
    case Stage::SYNC:
      return sync(request, uring);
    case Stage::SCAN:
      return scan(request, uring);
    case Stage::COPY_WRITE:
      return copyWrite(request, uring);
    }
  }
  switch (request.stage) {
  case Stage::TRANSFER:
    // A file that ends inside the namespace has lost blocks; a write that moves nothing would do so for ever.
    if (result <= 0) return uring.finish(request, result < 0 ? result : -EIO);
    return transferred(request, uring, static_cast<std::uint32_t>(result));
  case Stage::ALLOCATE:
    if (isUnsupported(result)) {
      request.stage = Stage::WRITE_ZEROS;
      return writeZeros(request, uring);
    }
    if (result < 0) return uring.finish(request, result);
    return zeroed(request, uring);
  case Stage::WRITE_ZEROS:
    if (result <= 0) return uring.finish(request, result < 0 ? result : -EIO);
    request.done += static_cast<std::uint32_t>(result);
    return request.done < request.length ? writeZeros(request, uring) : zeroed(request, uring);
  case Stage::PUNCH:
    // Deallocate is advice: what the file cannot do is not an error.
    if (result < 0 && !isUnsupported(result)) return uring.finish(request, result);
    ++request.segmentFirst;
    return punch(request, uring);
  case Stage::SYNC:
    return uring.finish(request, result);
  case Stage::SCAN:
    return scanned(request, uring, result);
  case Stage::COPY_WRITE:
    return copyWritten(request, uring, result);
  }
}

/** Shows what is left of a read or write to the kernel. */
void FileStorage::transfer(Request& request, Uring& uring) {
  const bool isWrite = request.operation == abi::OPERATION_WRITE;
  const std::uint64_t at = position(request);
  iovec* segments = request.segments + request.segmentFirst;
  std::uint32_t count = request.segmentCount - request.segmentFirst;
  iovec whole;
  if (request.bounce != nullptr || needsBounce(request)) {
    if (request.bounce == nullptr) {
      request.bounceBytes = std::min(request.length - request.done, CHUNK_BYTES);
      request.bounce = uring.bouncePool().take(request.bounceBytes);
    }
    whole = {request.bounce, std::min(request.length - request.done, request.bounceBytes)};
    if (isWrite && !request.controller->survives([&] { request.gather(whole.iov_base, whole.iov_len); })) {
      return uring.finish(request, abi::BLOCK_MEMORY_FAULT);
    }
    segments = &whole;
    count = 1;
  }
  request.stage = Stage::TRANSFER;
  uring.queue(request, [&](io_uring_sqe* sqe) {
    // One segment needs no array that outlives this function.
    const auto bytes = static_cast<unsigned>(std::min<std::uint64_t>(segments->iov_len, TRANSFER_BYTES_MAX));
    if (count == 1 && isWrite) {
      io_uring_prep_write(sqe, options_.fd, segments->iov_base, bytes, at);
    } else if (count == 1) {
      io_uring_prep_read(sqe, options_.fd, segments->iov_base, bytes, at);
    } else if (isWrite) {
      io_uring_prep_writev(sqe, options_.fd, segments, count, at);
    } else {
      io_uring_prep_readv(sqe, options_.fd, segments, count, at);
    }
    if (isWrite && request.isFua()) sqe->rw_flags = RWF_DSYNC;
    if (options_.mayBlock) sqe->flags |= IOSQE_ASYNC;
  });
}

void FileStorage::transferred(Request& request, Uring& uring, std::uint64_t bytes) {
  if (request.bounce != nullptr && request.operation == abi::OPERATION_READ &&
      !request.controller->survives([&] { request.scatter(request.bounce, bytes); })) {
    return uring.finish(request, abi::BLOCK_MEMORY_FAULT);
  }
  request.consume(bytes);
  if (request.done < request.length) return transfer(request, uring);
  uring.finish(request, abi::BLOCK_OK);
}

/** O_DIRECT takes only aligned memory; NVMe allows any dword. */
bool FileStorage::needsBounce(const Request& request) const {
  if (!options_.direct) return false;
  std::uint64_t bits = 0;
  for (std::uint32_t i = request.segmentFirst; i < request.segmentCount; ++i) {
    bits |= reinterpret_cast<std::uint64_t>(request.segments[i].iov_base) | request.segments[i].iov_len;
  }
  return (bits & (options_.memoryAlignment - 1)) != 0;
}

void FileStorage::writeZeros(Request& request, Uring& uring) {
  if (request.length == 0) return zeroed(request, uring);
  const bool frees = (request.flags & abi::REQUEST_FLAG_DEALLOCATE) != 0 && options_.punchHole;
  if (request.stage != Stage::WRITE_ZEROS && (frees || options_.zeroRange)) {
    request.stage = Stage::ALLOCATE;
    const int mode = FALLOC_FL_KEEP_SIZE | (frees ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
    uring.queue(request, [&](io_uring_sqe* sqe) {
      io_uring_prep_fallocate(sqe, options_.fd, mode, static_cast<off_t>(position(request)),
                              static_cast<off_t>(request.length));
    });
    return;
  }
  request.stage = Stage::WRITE_ZEROS;
  const auto bytes = static_cast<unsigned>(std::min(request.length - request.done, CHUNK_BYTES));
  // Before there is an SQE: this may throw.
  const void* zeros = zeroChunk();
  uring.queue(request, [&](io_uring_sqe* sqe) {
    io_uring_prep_write(sqe, options_.fd, zeros, bytes, position(request));
    if (options_.mayBlock) sqe->flags |= IOSQE_ASYNC;
  });
}

void FileStorage::zeroed(Request& request, Uring& uring) {
  if (request.isFua()) return sync(request, uring);
  uring.finish(request, abi::BLOCK_OK);
}

/** Frees the ranges one after the other. */
void FileStorage::punch(Request& request, Uring& uring) {
  while (request.segmentFirst < request.segmentCount && request.segments[request.segmentFirst].iov_len == 0) {
    ++request.segmentFirst;
  }
  if (!options_.punchHole || request.segmentFirst == request.segmentCount) {
    return uring.finish(request, abi::BLOCK_OK);
  }
  request.stage = Stage::PUNCH;
  const iovec& range = request.segments[request.segmentFirst];
  const std::uint64_t offset = options_.offset + reinterpret_cast<std::uint64_t>(range.iov_base);
  uring.queue(request, [&](io_uring_sqe* sqe) {
    io_uring_prep_fallocate(sqe, options_.fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
                            static_cast<off_t>(offset), static_cast<off_t>(range.iov_len));
  });
}

void FileStorage::sync(Request& request, Uring& uring) {
  request.stage = Stage::SYNC;
  uring.queue(request,
              [&](io_uring_sqe* sqe) { io_uring_prep_fsync(sqe, options_.fd, IORING_FSYNC_DATASYNC); });
}

std::uint64_t FileStorage::position(const Request& request) const {
  return options_.offset + request.offset + request.done;
}

} // namespace doorbell
