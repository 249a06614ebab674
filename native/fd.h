// An owned file descriptor: closed exactly once, by whoever holds it last.
#pragma once

#include "system-error.h"

#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace doorbell {

class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = other.release();
    }
    return *this;
  }
  ~OwnedFd() { reset(); }

  /** Another descriptor of the same open file, close-on-exec. */
  static OwnedFd duplicate(int fd) {
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) fail("fcntl");
    return OwnedFd(copy);
  }

  int get() const { return fd_; }
  bool isOpen() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset() {
    // Linux frees the number even if close() says EINTR: no second try.
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

} // namespace doorbell
