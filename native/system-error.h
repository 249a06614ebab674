// Failures of system calls. The parts that know nothing of JavaScript throw SystemError; the bindings turn
// it, in guarded(), into an Error with `code`, `errno` and `syscall`, as Node's own have them.
#pragma once

#include <cerrno>
#include <exception>

namespace doorbell {

/** A system call that failed: the errno and the name of the call. */
class SystemError : public std::exception {
 public:
  SystemError(int number, const char* call) : number(number), call(call) {}
  const char* what() const noexcept override { return call; }

  const int number;
  const char* const call;
};

/** Throws a SystemError with the present errno, or with the one given. */
[[noreturn]] inline void fail(const char* call, int number = errno) {
  throw SystemError(number, call);
}

/** The symbolic name of an errno, such as "ENOENT"; "UNKNOWN" where it has none here. */
const char* errorName(int number);

/** Calls `operation` again as long as a signal interrupts it. */
template <class Operation>
auto retry(Operation operation) {
  for (;;) {
    auto result = operation();
    if (result >= 0 || errno != EINTR) return result;
  }
}

} // namespace doorbell
