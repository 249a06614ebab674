// The memory of one guest as this process has it: its regions, and the files behind them mapped for I/O.
//
// Each distinct file is mapped once, outside the core's memory; a region is a view of that mapping with
// directions of its own. A request that was submitted may touch a region that has been removed since: a
// ticket keeps the mapping until the last such request is done.
#pragma once

#include "fd.h"
#include "sigbus.h"

#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

namespace doorbell {

struct Request;

inline constexpr std::uint64_t PAGE_BYTES = 4096;

/** What a request does to guest memory. */
enum class Access { LOAD, STORE };

/** Addresses of this process, [begin, end). */
struct AddressRange {
  std::uint64_t begin;
  std::uint64_t end;
};

/** A file of the guest's memory, mapped whole. */
struct GuestFile {
  ~GuestFile();

  dev_t device = 0;
  ino_t inode = 0;
  std::uint32_t number = 0;
  /** For windows: the caller's descriptor may be closed by then. */
  OwnedFd fd;
  std::uint8_t* base = nullptr;
  std::uint64_t bytes = 0;
  /** 4 KiB, or the size of the huge pages. */
  std::uint64_t pageBytes = PAGE_BYTES;
  bool writable = false;
  /** False once a part was replaced by anonymous memory: new regions need a mapping of their own. */
  bool intact = true;
  /** Regions and tickets that need the mapping. */
  std::uint32_t users = 0;
  BusGuard guard;
};

struct Region {
  std::uint64_t gpa;
  std::uint64_t length;
  std::uint64_t offset;
  bool readable;
  bool writable;
  /** Null: only remembered, the peer passed no descriptor. */
  GuestFile* file;

  std::uint64_t ioBase() const {
    return file == nullptr ? 0 : reinterpret_cast<std::uint64_t>(file->base) + offset;
  }
  /** Address of the last byte; a region may end where the address space does. */
  std::uint64_t last() const { return gpa + (length - 1); }
};

/** What a peer says of a region. */
struct RegionRequest {
  std::uint64_t gpa;
  std::uint64_t length;
  std::uint64_t offset;
  /** -1: none. */
  int fd;
  bool readable;
  bool writable;
};

/** A removed region that submitted requests may still touch. */
struct Ticket {
  std::uint32_t number;
  AddressRange range;
  GuestFile* file;
  std::uint32_t requests;
};

class GuestMemory {
 public:
  explicit GuestMemory(std::atomic<std::uint64_t>* faults) : faults_(faults) {}
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  /** Checks a region against its file and maps it; the errors are those of `regionAdd` in host/native.ts. */
  const Region& add(const RegionRequest& request);

  /** Removes the region; requests of the list `inFlight` that touch it hold its mapping until they are done.
   */
  std::uint32_t remove(std::uint64_t gpa, std::uint64_t length, Request* inFlight);
  bool isDrained(std::uint32_t ticket) const { return tickets_.find(ticket) == tickets_.end(); }
  /** Anonymous memory takes the place of the removed region, except where another region shows the same
   * bytes. */
  void abandon(std::uint32_t ticket);
  /** A request of this ticket is done. */
  void settle(Ticket* ticket);

  /** Whether each byte of the range lies in a region that allows the access. */
  bool allows(std::uint64_t address, std::uint64_t length, Access access) const;

  /** Regions by guest physical address. */
  const std::map<std::uint64_t, Region>& regions() const { return regions_; }

  /** Forgets everything without unmapping: for an environment that ends while the kernel still holds
   * requests. */
  void leak();

 private:
  GuestFile* fileFor(const RegionRequest& request);
  std::uint32_t numberFor(dev_t device, ino_t inode) const;
  void release(GuestFile* file);
  void rebuildRanges() const;

  std::atomic<std::uint64_t>* faults_;
  std::map<std::uint64_t, Region> regions_;
  std::vector<std::unique_ptr<GuestFile>> files_;
  std::unordered_map<std::uint32_t, std::unique_ptr<Ticket>> tickets_;
  std::uint32_t nextTicket_ = 1;
  /**
   * Disjoint, sorted, adjacent ones merged: what segments are checked against. Made anew at the first check
   * after a change of the regions: thousands of those may come and go between two requests.
   */
  mutable std::vector<AddressRange> readable_;
  mutable std::vector<AddressRange> writable_;
  mutable bool rangesStale_ = false;
};

} // namespace doorbell
