// A controller's requests from submission to completion record.

#include "controller.h"

#include <algorithm>
#include <cstring>

namespace doorbell {

Controller::Controller(const CoreMemory& core, std::uint32_t windowCount) : core_(core), memory_(&faults_) {
  windows_.emplace(core.base + core.bytes, windowCount, &faults_);
  ready_.reserve(abi::SLOT_COUNT);
}

Windows& Controller::windows() {
  if (!windows_) fail("mmap", EBADF);
  return *windows_;
}

void Controller::attach(std::uint32_t nsid, Shared<Storage> storage) {
  if (nsid == 0 || nsid > abi::NAMESPACE_COUNT) fail("namespaceAttach", EINVAL);
  if (storages_[nsid - 1]) fail("namespaceAttach", EEXIST);
  storages_[nsid - 1] = std::move(storage);
}

void Controller::detach(std::uint32_t nsid) {
  if (nsid == 0 || nsid > abi::NAMESPACE_COUNT) fail("namespaceDetach", EINVAL);
  storages_[nsid - 1] = {};
}

Storage* Controller::storage(std::uint32_t nsid) const {
  return nsid == 0 || nsid > abi::NAMESPACE_COUNT ? nullptr : storages_[nsid - 1].get();
}

std::uint32_t Controller::remove(std::uint64_t gpa, std::uint64_t length) {
  const std::uint32_t ticket = memory_.remove(gpa, length, first_);
  if (windows_) windows_->hide(gpa, length);
  return ticket;
}

void Controller::begin(Request& request) {
  request.controller = Shared<Controller>(this);
  request.previous = nullptr;
  request.next = first_;
  if (first_ != nullptr) first_->previous = &request;
  first_ = &request;
  ++active_;
}

void Controller::complete(Request& request, std::int32_t result) {
  (request.previous != nullptr ? request.previous->next : first_) = request.next;
  if (request.next != nullptr) request.next->previous = request.previous;
  --active_;
  for (Ticket* ticket : request.tickets) memory_.settle(ticket);
  request.tickets.clear();
  ready_.push_back({request.slot, static_cast<std::uint32_t>(result)});
}

std::uint32_t Controller::takeCompletions() {
  if (!windows_) fail("completionsTake", EBADF);
  const auto count = static_cast<std::uint32_t>(std::min<std::size_t>(ready_.size(), abi::SLOT_COUNT));
  std::uint8_t* record = core_.base + abi::COMPLETION_BASE;
  completionErrors_ = 0;
  for (std::uint32_t i = 0; i < count; ++i, record += abi::COMPLETION_BYTES) {
    std::memcpy(record + abi::COMPLETION_SLOT, &ready_[i].slot, sizeof ready_[i].slot);
    std::memcpy(record + abi::COMPLETION_RESULT, &ready_[i].result, sizeof ready_[i].result);
    if (ready_[i].result != abi::BLOCK_OK) ++completionErrors_;
  }
  ready_.erase(ready_.begin(), ready_.begin() + count);
  return count;
}

void Controller::close() {
  windows_.reset();
  for (Shared<Storage>& storage : storages_) storage = {};
  ready_.clear();
}

} // namespace doorbell
