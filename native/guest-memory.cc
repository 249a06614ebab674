// Regions of guest memory: mmap(2), fstat(2), F_ADD_SEALS of fcntl(2), memfd_create(2) for the seals.

#include "guest-memory.h"
#include "abi.h"
#include "request.h"

#include <algorithm>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

namespace doorbell {
namespace {

/** Files that one peer may have mapped: a sparse file costs it nothing and would take all addresses from
 * others. */
constexpr std::uint64_t MAPPED_BYTES_MAX = std::uint64_t{4} << 40;

bool isPageMultiple(std::uint64_t number) {
  return number % PAGE_BYTES == 0;
}

/** Page size of a file: that of its huge pages, or 4 KiB. */
std::uint64_t pageBytesOf(int fd) {
  struct statfs info {};
  if (fstatfs(fd, &info) != 0) fail("fstatfs");
  switch (static_cast<std::uint32_t>(info.f_type)) {
  case HUGETLBFS_MAGIC:
    return static_cast<std::uint64_t>(info.f_bsize);
  case TMPFS_MAGIC:
  case RAMFS_MAGIC:
  case EXT4_SUPER_MAGIC:
  case XFS_SUPER_MAGIC:
  case BTRFS_SUPER_MAGIC:
  case F2FS_SUPER_MAGIC:
  case OVERLAYFS_SUPER_MAGIC:
    return PAGE_BYTES;
  default:
    // A page of a file that a process or another machine serves comes when they like, and the reactor would
    // wait.
    fail("mmap", ENODEV);
  }
}

/** Appends a range to sorted disjoint ones; its begin is not below the last one's begin. */
void append(std::vector<AddressRange>& ranges, AddressRange range) {
  if (!ranges.empty() && range.begin <= ranges.back().end) {
    ranges.back().end = std::max(ranges.back().end, range.end);
  } else {
    ranges.push_back(range);
  }
}

} // namespace

GuestFile::~GuestFile() {
  guard = BusGuard();
  if (base != nullptr) munmap(base, bytes);
}

const Region& GuestMemory::add(const RegionRequest& request) {
  std::uint64_t sum;
  if (request.length == 0 || !isPageMultiple(request.length) || !isPageMultiple(request.gpa) ||
      !isPageMultiple(request.offset) || __builtin_add_overflow(request.gpa, request.length - 1, &sum) ||
      __builtin_add_overflow(request.offset, request.length, &sum)) {
    fail("mmap", EINVAL);
  }
  // The first region that begins above ours must begin beyond our end, the one below must end before our
  // begin.
  auto next = regions_.lower_bound(request.gpa);
  if (next != regions_.end() && next->first <= request.gpa + (request.length - 1)) fail("mmap", EEXIST);
  if (next != regions_.begin() && std::prev(next)->second.last() >= request.gpa) fail("mmap", EEXIST);
  if (regions_.size() >= abi::REGION_COUNT) fail("mmap", ENOSPC);

  GuestFile* file = request.fd < 0 ? nullptr : fileFor(request);
  if (file != nullptr) ++file->users;
  const Region region{request.gpa, request.length, request.offset, request.readable, request.writable, file};
  const auto added = regions_.emplace_hint(next, request.gpa, region);
  rangesStale_ = true;
  return added->second;
}

/** The mapping that shows the wanted bytes: one that is there, else a new one. */
GuestFile* GuestMemory::fileFor(const RegionRequest& request) {
  struct stat info {};
  if (fstat(request.fd, &info) != 0) fail("fstat");
  if (!S_ISREG(info.st_mode)) fail("mmap", ENODEV);
  const int mode = fcntl(request.fd, F_GETFL);
  if (mode < 0) fail("fcntl");
  const bool canWrite = (mode & O_ACCMODE) == O_RDWR;
  if ((mode & O_ACCMODE) == O_WRONLY || (request.writable && !canWrite)) fail("mmap", EACCES);

  // Sealed before the size is looked at: from then on it cannot fall. Where the file knows no seals, or takes
  // no more of them, the SIGBUS handler remains.
  fcntl(request.fd, F_ADD_SEALS, F_SEAL_SHRINK);
  if (fstat(request.fd, &info) != 0) fail("fstat");
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (request.offset + request.length > size) fail("mmap", ENXIO);

  for (const auto& file : files_) {
    if (file->device == info.st_dev && file->inode == info.st_ino && file->intact &&
        request.offset + request.length <= file->bytes && (file->writable || !request.writable)) {
      return file.get();
    }
  }

  auto file = std::make_unique<GuestFile>();
  file->device = info.st_dev;
  file->inode = info.st_ino;
  file->pageBytes = pageBytesOf(request.fd);
  // A window of 2 MiB cannot show a part of a larger page.
  if (file->pageBytes > abi::WINDOW_BYTES) fail("mmap", ENODEV);
  file->number = numberFor(info.st_dev, info.st_ino);
  std::uint64_t mapped = 0;
  for (const auto& other : files_) mapped += other->bytes;
  if (mapped > MAPPED_BYTES_MAX || size > MAPPED_BYTES_MAX - mapped) fail("mmap", ENOMEM);
  file->bytes = (size + file->pageBytes - 1) & ~(file->pageBytes - 1);
  file->fd = OwnedFd::duplicate(request.fd);
  file->writable = canWrite;
  const auto map = [&](int protection) {
    return mmap(nullptr, file->bytes, protection, MAP_SHARED | MAP_NORESERVE, request.fd, 0);
  };
  void* base = map(canWrite ? PROT_READ | PROT_WRITE : PROT_READ);
  if (base == MAP_FAILED && canWrite && !request.writable && (errno == EPERM || errno == EACCES)) {
    // Sealed against writing, and nobody asks to.
    file->writable = false;
    base = map(PROT_READ);
  }
  if (base == MAP_FAILED) fail("mmap");
  file->base = static_cast<std::uint8_t*>(base);
  // A guest's memory belongs neither in a child process nor in a core dump.
  madvise(base, file->bytes, MADV_DONTFORK);
  madvise(base, file->bytes, MADV_DONTDUMP);
  file->guard = BusGuard(base, file->bytes, faults_);
  files_.push_back(std::move(file));
  return files_.back().get();
}

/** The number that this file has already, else the smallest that no file has. */
std::uint32_t GuestMemory::numberFor(dev_t device, ino_t inode) const {
  // A peer may pass thousands of files: one pass over them. One number of the first n + 1 is free among n
  // files.
  std::vector<bool> taken(files_.size() + 1);
  for (const auto& file : files_) {
    if (file->device == device && file->inode == inode) return file->number;
    if (file->number < taken.size()) taken[file->number] = true;
  }
  return static_cast<std::uint32_t>(std::find(taken.begin(), taken.end(), false) - taken.begin());
}

std::uint32_t GuestMemory::remove(std::uint64_t gpa, std::uint64_t length, Request* inFlight) {
  const auto found = regions_.find(gpa);
  if (found == regions_.end() || found->second.length != length) fail("munmap", ENOENT);
  const Region region = found->second;
  regions_.erase(found);
  rangesStale_ = true;

  const std::uint32_t number = nextTicket_++;
  if (region.file == nullptr) return number;
  auto ticket = std::make_unique<Ticket>();
  *ticket = {number, {region.ioBase(), region.ioBase() + region.length}, region.file, 0};
  for (Request* request = inFlight; request != nullptr; request = request->next) {
    if (!request->touches(ticket->range)) continue;
    request->tickets.push_back(ticket.get());
    ++ticket->requests;
  }
  if (ticket->requests == 0) {
    release(region.file);
  } else {
    // The region's use of the file is the ticket's now.
    tickets_.emplace(number, std::move(ticket));
  }
  return number;
}

void GuestMemory::abandon(std::uint32_t number) {
  const auto found = tickets_.find(number);
  if (found == tickets_.end()) return;
  const Ticket& ticket = *found->second;
  GuestFile* file = ticket.file;
  file->intact = false;

  // Bytes that another region of the same mapping shows are rightly the guest's: late I/O may go there.
  std::vector<AddressRange> shown;
  for (const auto& [gpa, region] : regions_) {
    if (region.file == file) shown.push_back({region.ioBase(), region.ioBase() + region.length});
  }
  std::sort(shown.begin(), shown.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  shown.push_back({ticket.range.end, ticket.range.end});
  std::uint64_t begin = ticket.range.begin;
  for (const AddressRange& range : shown) {
    const std::uint64_t end = std::min(range.begin, ticket.range.end);
    if (begin < end) {
      // Huge pages are replaced whole, or not at all.
      const std::uint64_t first = begin & ~(file->pageBytes - 1);
      const std::uint64_t beyond = (end + file->pageBytes - 1) & ~(file->pageBytes - 1);
      if (mmap(reinterpret_cast<void*>(first), beyond - first, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED) {
        fail("mmap");
      }
    }
    begin = std::max(begin, range.end);
  }
}

void GuestMemory::settle(Ticket* ticket) {
  if (--ticket->requests != 0) return;
  GuestFile* file = ticket->file;
  tickets_.erase(ticket->number);
  release(file);
}

void GuestMemory::release(GuestFile* file) {
  if (--file->users != 0) return;
  std::erase_if(files_, [file](const auto& other) { return other.get() == file; });
}

bool GuestMemory::allows(std::uint64_t address, std::uint64_t length, Access access) const {
  if (rangesStale_) rebuildRanges();
  const std::vector<AddressRange>& ranges = access == Access::LOAD ? readable_ : writable_;
  std::uint64_t end;
  if (__builtin_add_overflow(address, length, &end)) return false;
  const auto after =
      std::upper_bound(ranges.begin(), ranges.end(), address,
                       [](std::uint64_t value, const AddressRange& range) { return value < range.begin; });
  return after != ranges.begin() && end <= std::prev(after)->end;
}

void GuestMemory::rebuildRanges() const {
  std::vector<const Region*> mapped;
  for (const auto& [gpa, region] : regions_) {
    if (region.file != nullptr) mapped.push_back(&region);
  }
  std::sort(mapped.begin(), mapped.end(),
            [](const Region* a, const Region* b) { return a->ioBase() < b->ioBase(); });
  rangesStale_ = false;
  readable_.clear();
  writable_.clear();
  for (const Region* region : mapped) {
    const AddressRange range{region->ioBase(), region->ioBase() + region->length};
    if (region->readable) append(readable_, range);
    if (region->writable) append(writable_, range);
  }
}

void GuestMemory::leak() {
  for (auto& file : files_) {
    file->guard = BusGuard();
    static_cast<void>(file.release());
  }
  files_.clear();
  for (auto& [number, ticket] : tickets_) static_cast<void>(ticket.release());
  tickets_.clear();
  regions_.clear();
  rangesStale_ = true;
}

} // namespace doorbell
