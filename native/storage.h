// What a namespace's blocks are stored in. The contract of all kinds:
//
// start() gets a request whose range, direction and segments were checked, and either finishes it at once or
// queues exactly one operation with the ring; resume() gets that operation's result and does one of the same
// two again.
#pragma once

#include "fd.h"
#include "shared.h"
#include "uncorrectable.h"

#include <cstdint>
#include <deque>
#include <memory>

namespace doorbell {

struct Request;
class Uring;

/** What is to be said of a request where blocks are marked uncorrectable. */
struct Verdict {
  /** The request is over, with this BLOCK_* code. */
  bool isFinal;
  std::uint32_t code;
};

class Storage : public Counted {
 public:
  Storage(std::uint64_t length, bool readOnly) : length(length), readOnly(readOnly) {}

  virtual void start(Request& request, Uring& uring) = 0;
  /** `result` as in a completion of io_uring: not negative, or a negative errno. */
  virtual void resume(Request& request, Uring& uring, std::int32_t result) = 0;

  /** Bytes of the namespace. */
  const std::uint64_t length;
  const bool readOnly;

  /** The ring's account of this storage. It outlives the storage for as long as the ring looks at it. */
  struct Load : public Counted {
    /** Requests that were started and are not finished. */
    std::uint32_t requests = 0;
    /** Requests that wait because too many were started. */
    std::deque<Request*> held;
    /** The ring watches whether it makes progress. */
    bool listed = false;
    /** Something completed since the ring last looked. */
    bool progressed = false;
    /** How often in a row the ring looked and nothing had. */
    unsigned quiet = 0;
  };
  const Shared<Load> load{new Load};

  /** Of storage that keeps no marks: false. */
  bool hasUncorrectable() const { return uncorrectable_ && uncorrectable_->any(); }
  /** Executes Write Uncorrectable; refuses what reads marked blocks; notes what will heal them. */
  Verdict judge(Request& request) const;
  /** The request has succeeded: what it wrote is readable again. */
  void heal(const Request& request) const;

 protected:
  /** Marks that all storages on the same bytes share; the namespace begins at `origin` of them. */
  void shareMarks(std::shared_ptr<Uncorrectable> marks, std::uint64_t origin) {
    uncorrectable_ = std::move(marks);
    origin_ = origin;
  }

 private:
  /** A range of the namespace, as the marks count it. */
  Extent extentOf(std::uint64_t offset, std::uint64_t bytes) const {
    return {origin_ + offset, origin_ + offset + bytes};
  }

  /** Null where nothing is kept. */
  std::shared_ptr<Uncorrectable> uncorrectable_;
  std::uint64_t origin_ = 0;
};

/** BLOCK_OK, BLOCK_OUT_OF_RANGE or BLOCK_READ_ONLY: what can be said of a request without executing it. */
std::uint32_t checkRange(const Request& request, const Storage& storage);

/** How a file is used. */
struct FileOptions {
  /** Stays the caller's. */
  int fd;
  std::uint64_t offset;
  bool direct;
  std::uint64_t memoryAlignment;
  /** Submitting may wait: the kernel's threads do it. */
  bool mayBlock;
  bool zeroRange;
  bool punchHole;
};

/** A stretch of a file (or block device), by io_uring. */
class FileStorage final : public Storage {
 public:
  FileStorage(std::uint64_t length, bool readOnly, const FileOptions& options)
      : Storage(length, readOnly), options_(options) {
    shareMarks(uncorrectableOf(options.fd), options.offset);
  }

  void start(Request& request, Uring& uring) override;
  void resume(Request& request, Uring& uring, std::int32_t result) override;

 private:
  void transfer(Request& request, Uring& uring);
  void transferred(Request& request, Uring& uring, std::uint64_t bytes);
  void writeZeros(Request& request, Uring& uring);
  void punch(Request& request, Uring& uring);
  void sync(Request& request, Uring& uring);
  void zeroed(Request& request, Uring& uring);
  // storage-scan.cc
  void scan(Request& request, Uring& uring);
  void scanned(Request& request, Uring& uring, std::int32_t result);
  void copyWrite(Request& request, Uring& uring);
  void copyWritten(Request& request, Uring& uring, std::int32_t result);
  bool needsBounce(const Request& request) const;
  std::uint64_t position(const Request& request) const;

  const FileOptions options_;
};

/** Keeps nothing: each request is done within start(). */
class NullStorage final : public Storage {
 public:
  NullStorage(std::uint64_t length, bool readOnly, bool zeros) : Storage(length, readOnly), zeros_(zeros) {}

  void start(Request& request, Uring& uring) override;
  void resume(Request& request, Uring& uring, std::int32_t result) override;

 private:
  /** A read stores zeros, and Compare expects them; else a read leaves the guest's memory as it is, and
   * whatever is there compares as equal. */
  const bool zeros_;
};

/** Zero-filled anonymous memory, several storages of one. */
class RamMemory : public Counted {
 public:
  explicit RamMemory(std::uint64_t bytes);
  ~RamMemory() override;

  std::uint64_t residentBytes() const;
  /** The range reads as zeros; its whole pages go back to the system. */
  void zero(std::uint64_t offset, std::uint64_t length);

  std::uint8_t* const base;
  const std::uint64_t bytes;
  const std::shared_ptr<Uncorrectable> marks = std::make_shared<Uncorrectable>();
};

/** A stretch of a RAM disk: each request is done within start(). */
class RamStorage final : public Storage {
 public:
  RamStorage(std::uint64_t length, bool readOnly, Shared<RamMemory> memory, std::uint64_t offset)
      : Storage(length, readOnly), memory_(std::move(memory)), offset_(offset) {
    shareMarks(memory_->marks, offset);
  }

  void start(Request& request, Uring& uring) override;
  void resume(Request& request, Uring& uring, std::int32_t result) override;

 private:
  const Shared<RamMemory> memory_;
  const std::uint64_t offset_;
};

} // namespace doorbell
