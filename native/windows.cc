// Windows onto guest memory: mmap(2) with MAP_FIXED into the core's linear memory.
//
// A region that the core may not write is mapped MAP_PRIVATE and writable: a core that stores there all the
// same changes a copy of its own, where a read-only mapping would let an atomic store kill the process.

#include "windows.h"
#include "abi.h"

#include <algorithm>
#include <sys/mman.h>

namespace doorbell {
namespace {

constexpr std::uint64_t WINDOW_BYTES = abi::WINDOW_BYTES;
constexpr std::uint64_t HUGE_PAGE_BYTES = WINDOW_BYTES;

/** A part of a window that one mmap shows. */
struct Piece {
  /** Offset in the window. */
  std::uint64_t begin;
  std::uint64_t length;
  GuestFile* file;
  std::uint64_t offset;
  bool writable;
};

void mapZeros(std::uint8_t* address, std::uint64_t length) {
  if (mmap(address, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
           -1, 0) == MAP_FAILED) {
    fail("mmap");
  }
}

void mapPiece(std::uint8_t* window, const Piece& piece) {
  const int sharing = piece.writable ? MAP_SHARED : MAP_PRIVATE;
  if (mmap(window + piece.begin, piece.length, PROT_READ | PROT_WRITE, sharing | MAP_NORESERVE | MAP_FIXED,
           piece.file->fd.get(), static_cast<off_t>(piece.offset)) == MAP_FAILED) {
    fail("mmap");
  }
}

/** What the regions have for [gpa, gpa + 2 MiB), in order; neighbours that are one in the file are one here.
 */
std::vector<Piece> piecesAt(std::uint64_t gpa, const GuestMemory& memory) {
  std::vector<Piece> pieces;
  const auto& regions = memory.regions();
  auto next = regions.upper_bound(gpa);
  if (next != regions.begin()) --next;
  const std::uint64_t last = gpa + (WINDOW_BYTES - 1);
  for (; next != regions.end() && next->first <= last; ++next) {
    const Region& region = next->second;
    if (region.last() < gpa || region.file == nullptr || !region.readable) continue;
    const std::uint64_t first = std::max(region.gpa, gpa);
    const std::uint64_t length = std::min(region.last(), last) - first + 1;
    const Piece piece{first - gpa, length, region.file, region.offset + (first - region.gpa),
                      region.writable};
    if (!pieces.empty()) {
      Piece& before = pieces.back();
      if (before.begin + before.length == piece.begin && before.offset + before.length == piece.offset &&
          before.file == piece.file && before.writable == piece.writable) {
        before.length += length;
        continue;
      }
    }
    pieces.push_back(piece);
  }
  return pieces;
}

/**
 * Makes pieces of huge pages mappable: such a page is shown whole or not at all. One that has the window to
 * itself (apart from parts of the same page) and lies congruent is shown whole; any other becomes a hole.
 */
bool adaptToHugePages(std::vector<Piece>& pieces) {
  const auto isHuge = [](const Piece& piece) { return piece.file->pageBytes == HUGE_PAGE_BYTES; };
  if (std::none_of(pieces.begin(), pieces.end(), isHuge)) return false;
  const Piece first = pieces.front();
  const bool whole = std::all_of(pieces.begin(), pieces.end(), [&](const Piece& piece) {
    return piece.file == first.file && piece.writable == first.writable &&
           piece.offset - piece.begin == first.offset - first.begin;
  });
  if (whole && first.offset >= first.begin && (first.offset - first.begin) % HUGE_PAGE_BYTES == 0) {
    pieces = {{0, WINDOW_BYTES, first.file, first.offset - first.begin, first.writable}};
    return true;
  }
  std::erase_if(pieces, isHuge);
  return false;
}

} // namespace

Windows::Windows(std::uint8_t* base, std::uint32_t count, std::atomic<std::uint64_t>* faults)
    : base_(base), shown_(count), guard_(base, count * WINDOW_BYTES, faults) {}

Windows::~Windows() {
  guard_ = BusGuard();
  // A failure leaves guest memory in the linear memory of a core that nobody calls any more.
  mmap(base_, count() * WINDOW_BYTES, PROT_READ | PROT_WRITE,
       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

std::uint8_t* Windows::at(std::uint32_t window) const {
  return base_ + window * WINDOW_BYTES;
}

void Windows::fill(std::uint32_t window, std::uint32_t page, const GuestMemory& memory) {
  std::vector<Piece> pieces = piecesAt(std::uint64_t{page} << abi::WINDOW_SHIFT, memory);
  Shown& shown = shown_[window];
  const bool huge = adaptToHugePages(pieces);
  std::uint64_t covered = 0;
  for (const Piece& piece : pieces) covered += piece.length;
  try {
    if (covered != WINDOW_BYTES) mapZeros(at(window), WINDOW_BYTES);
    for (const Piece& piece : pieces) mapPiece(at(window), piece);
  } catch (const SystemError&) {
    // Never half of the old and half of the new.
    shown = {};
    mapZeros(at(window), WINDOW_BYTES);
    throw;
  }
  shown = {true, huge, page};
}

void Windows::hide(std::uint64_t gpa, std::uint64_t length) {
  const std::uint64_t last = gpa + (length - 1);
  for (std::uint32_t window = 0; window < count(); ++window) {
    Shown& shown = shown_[window];
    const std::uint64_t begin = std::uint64_t{shown.page} << abi::WINDOW_SHIFT;
    const std::uint64_t end = begin + (WINDOW_BYTES - 1);
    if (!shown.filled || end < gpa || begin > last) continue;
    if (shown.huge) {
      mapZeros(at(window), WINDOW_BYTES);
      shown = {};
      continue;
    }
    const std::uint64_t from = std::max(begin, gpa);
    try {
      mapZeros(at(window) + (from - begin), std::min(end, last) - from + 1);
    } catch (const SystemError&) {
      // A hole costs a mapping; without a free one the whole window goes, which costs none.
      mapZeros(at(window), WINDOW_BYTES);
      shown = {};
    }
  }
}

void Windows::clear() {
  mapZeros(base_, count() * WINDOW_BYTES);
  std::fill(shown_.begin(), shown_.end(), Shown{});
}

} // namespace doorbell
