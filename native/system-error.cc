// Names of errno values. The C library's own function for this is younger than the libraries that must work.

#include "system-error.h"

namespace doorbell {

const char* errorName(int number) {
  switch (number) {
#define NAME(symbol)                                                                                         \
  case symbol:                                                                                               \
    return #symbol;
    NAME(E2BIG)
    NAME(EACCES)
    NAME(EADDRINUSE)
    NAME(EADDRNOTAVAIL)
    NAME(EAGAIN)
    NAME(EALREADY)
    NAME(EBADF)
    NAME(EBADMSG)
    NAME(EBUSY)
    NAME(ECANCELED)
    NAME(ECONNABORTED)
    NAME(ECONNREFUSED)
    NAME(ECONNRESET)
    NAME(EDEADLK)
    NAME(EDQUOT)
    NAME(EEXIST)
    NAME(EFAULT)
    NAME(EFBIG)
    NAME(EINTR)
    NAME(EINVAL)
    NAME(EIO)
    NAME(EISCONN)
    NAME(EISDIR)
    NAME(ELOOP)
    NAME(EMFILE)
    NAME(EMSGSIZE)
    NAME(ENAMETOOLONG)
    NAME(ENETDOWN)
    NAME(ENFILE)
    NAME(ENOBUFS)
    NAME(ENODATA)
    NAME(ENODEV)
    NAME(ENOENT)
    NAME(ENOLCK)
    NAME(ENOMEM)
    NAME(ENOSPC)
    NAME(ENOSYS)
    NAME(ENOTBLK)
    NAME(ENOTCONN)
    NAME(ENOTDIR)
    NAME(ENOTSOCK)
    NAME(ENOTTY)
    NAME(ENXIO)
    NAME(EOPNOTSUPP)
    NAME(EOVERFLOW)
    NAME(EPERM)
    NAME(EPIPE)
    NAME(EPROTO)
    NAME(ERANGE)
    NAME(EREMOTEIO)
    NAME(EROFS)
    NAME(ESHUTDOWN)
    NAME(ESPIPE)
    NAME(ESRCH)
    NAME(ESTALE)
    NAME(ETIME)
    NAME(ETIMEDOUT)
    NAME(ETXTBSY)
    NAME(EXDEV)
#undef NAME
  default:
    return "UNKNOWN";
  }
}

} // namespace doorbell
