// Files as peers pass them and backends open them: fstat(2), fcntl(2) for seals and OFD locks,
// memfd_create(2), fallocate(2), lseek(2), statx(2), mmap(2), ioctl(2) of block devices. The descriptors are
// the caller's, except in fdClose.

#include "binding.h"
#include "guest-memory.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/memfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace doorbell {
namespace {

Napi::Value fdInfo(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int fd = toFd(info[0], "fd");
    struct stat status {};
    if (fstat(fd, &status) != 0) fail("fstat");
    const int mode = fcntl(fd, F_GETFL);
    if (mode < 0) fail("fcntl");
    auto size = static_cast<std::uint64_t>(S_ISREG(status.st_mode) ? status.st_size : 0);
    if (S_ISBLK(status.st_mode) && ioctl(fd, BLKGETSIZE64, &size) != 0) fail("ioctl");
    Napi::Env env = info.Env();
    Napi::Object result = Napi::Object::New(env);
    result.Set("device", Napi::Number::New(env, static_cast<double>(status.st_dev)));
    result.Set("inode", Napi::Number::New(env, static_cast<double>(status.st_ino)));
    result.Set("size", Napi::Number::New(env, static_cast<double>(size)));
    result.Set("isFile", Napi::Boolean::New(env, S_ISREG(status.st_mode)));
    result.Set("writable", Napi::Boolean::New(env, (mode & O_ACCMODE) == O_RDWR));
    result.Set("seals", Napi::Number::New(env, fcntl(fd, F_GET_SEALS)));
    result.Set("blockSize", Napi::Number::New(env, static_cast<double>(status.st_blksize)));
    return result;
  });
}

/** Seals come first: a file without may have its size from another process or machine, and be slow. */
Napi::Value memoryFileBytes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int fd = toFd(info[0], "fd");
    struct stat status {};
    if (fcntl(fd, F_GET_SEALS) < 0 || fstat(fd, &status) != 0) return info.Env().Undefined();
    return Napi::Number::New(info.Env(), static_cast<double>(status.st_size));
  });
}

void fdClose(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    // Whatever else it says, as EINTR, or what the file system of a peer's file likes: the number is free.
    if (::close(toFd(info[0], "fd")) != 0 && errno == EBADF) fail("close");
  });
}

OwnedFd memfd(const std::string& name, std::uint64_t bytes, unsigned flags) {
  OwnedFd fd(memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING | flags));
  if (!fd.isOpen()) fail("memfd_create");
  if (retry([&] { return ftruncate(fd.get(), static_cast<off_t>(bytes)); }) != 0) fail("ftruncate");
  return fd;
}

Napi::Value memfdCreate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const bool huge = !info[2].IsUndefined() && toBoolean(info[2], "huge");
    const unsigned flags = huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0;
    OwnedFd fd = memfd(toText(info[0], "name"), toSize(info[1], "bytes"), flags);
    return Napi::Number::New(info.Env(), fd.release());
  });
}

Napi::Value memfdSealed(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    OwnedFd fd = memfd(toText(info[0], "name"), toSize(info[1], "bytes"), 0);
    if (fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) fail("fcntl");
    return Napi::Number::New(info.Env(), fd.release());
  });
}

Napi::Value fileLock(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int fd = toFd(info[0], "fd");
    struct flock lock {};
    lock.l_type = toBoolean(info[1], "exclusive") ? F_WRLCK : F_RDLCK;
    lock.l_whence = SEEK_SET;
    if (!info[2].IsUndefined()) lock.l_start = static_cast<off_t>(toSize(info[2], "offset"));
    if (!info[3].IsUndefined()) lock.l_len = static_cast<off_t>(toSize(info[3], "length"));
    const int result = retry([&] { return fcntl(fd, F_OFD_SETLK, &lock); });
    if (result != 0 && errno != EAGAIN && errno != EACCES) fail("fcntl");
    return Napi::Boolean::New(info.Env(), result == 0);
  });
}

Napi::Value blockDevice(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int fd = toFd(info[0], "fd");
    struct stat status {};
    if (fstat(fd, &status) != 0) fail("fstat");
    if (!S_ISBLK(status.st_mode)) fail("ioctl", ENOTTY);
    std::uint64_t bytes = 0;
    int logical = 0;
    unsigned optimal = 0;
    int readOnly = 0;
    if (ioctl(fd, BLKGETSIZE64, &bytes) != 0 || ioctl(fd, BLKSSZGET, &logical) != 0 ||
        ioctl(fd, BLKIOOPT, &optimal) != 0 || ioctl(fd, BLKROGET, &readOnly) != 0) {
      fail("ioctl");
    }
    Napi::Env env = info.Env();
    Napi::Object result = Napi::Object::New(env);
    result.Set("bytes", Napi::Number::New(env, static_cast<double>(bytes)));
    result.Set("logicalBlock", Napi::Number::New(env, logical));
    result.Set("optimalBytes", Napi::Number::New(env, optimal));
    result.Set("readOnly", Napi::Boolean::New(env, readOnly != 0));
    result.Set("major", Napi::Number::New(env, major(status.st_rdev)));
    result.Set("minor", Napi::Number::New(env, minor(status.st_rdev)));
    return result;
  });
}

void allocate(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const int fd = toFd(info[0], "fd");
    const std::string name = toText(info[1], "mode");
    const std::uint64_t offset = toSize(info[2], "offset");
    const std::uint64_t length = toSize(info[3], "length");
    if (name != "zero-range" && name != "punch-hole") {
      throw Napi::TypeError::New(info.Env(), "mode must be 'zero-range' or 'punch-hole'");
    }
    const int mode = name == "zero-range" ? FALLOC_FL_ZERO_RANGE : FALLOC_FL_PUNCH_HOLE;
    const auto call = [&] {
      return fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                       static_cast<off_t>(length));
    };
    if (retry(call) != 0) fail("fallocate");
  });
}

Napi::Value fileSeek(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int fd = toFd(info[0], "fd");
    const std::uint64_t offset = toSize(info[1], "offset");
    const std::string name = toText(info[2], "what");
    if (name != "data" && name != "hole") {
      throw Napi::TypeError::New(info.Env(), "what must be 'data' or 'hole'");
    }
    const off_t found = lseek(fd, static_cast<off_t>(offset), name == "data" ? SEEK_DATA : SEEK_HOLE);
    if (found < 0 && errno != ENXIO) fail("lseek");
    return found < 0 ? info.Env().Undefined() : Napi::Number::New(info.Env(), static_cast<double>(found));
  });
}

Napi::Value directAlignment(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int fd = toFd(info[0], "fd");
#ifdef STATX_DIOALIGN
    struct statx status {};
    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) != 0) fail("statx");
    if ((status.stx_mask & STATX_DIOALIGN) != 0) {
      Napi::Object result = Napi::Object::New(info.Env());
      result.Set("memory", Napi::Number::New(info.Env(), status.stx_dio_mem_align));
      result.Set("offset", Napi::Number::New(info.Env(), status.stx_dio_offset_align));
      return result;
    }
#else
    static_cast<void>(fd);
#endif
    return info.Env().Undefined();
  });
}

Napi::Value addressOf(const Napi::CallbackInfo& info) {
  const Bytes view = toBytes(info[0], "view");
  return Napi::BigInt::New(info.Env(), reinterpret_cast<std::uint64_t>(view.data));
}

void mapInto(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const Bytes view = toBytes(info[0], "view");
    const std::uint64_t offset = toSize(info[1], "offset");
    const int fd = toFd(info[2], "fd");
    const std::uint64_t fileOffset = toSize(info[3], "fileOffset");
    const std::uint64_t length = toSize(info[4], "length");
    if (offset > view.length || length > view.length - offset) fail("mmap", EINVAL);
    std::uint8_t* address = view.data + offset;
    if (reinterpret_cast<std::uint64_t>(address) % PAGE_BYTES != 0 || length % PAGE_BYTES != 0) {
      fail("mmap", EINVAL);
    }
    if (mmap(address, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd,
             static_cast<off_t>(fileOffset)) == MAP_FAILED) {
      fail("mmap");
    }
  });
}

} // namespace

void registerFile(Napi::Env env, Napi::Object exports) {
  exports.Set("fdInfo", Napi::Function::New<fdInfo>(env, "fdInfo"));
  exports.Set("memoryFileBytes", Napi::Function::New<memoryFileBytes>(env, "memoryFileBytes"));
  exports.Set("fdClose", Napi::Function::New<fdClose>(env, "fdClose"));
  exports.Set("memfdCreate", Napi::Function::New<memfdCreate>(env, "memfdCreate"));
  exports.Set("memfdSealed", Napi::Function::New<memfdSealed>(env, "memfdSealed"));
  exports.Set("fileLock", Napi::Function::New<fileLock>(env, "fileLock"));
  exports.Set("blockDevice", Napi::Function::New<blockDevice>(env, "blockDevice"));
  exports.Set("fallocate", Napi::Function::New<allocate>(env, "fallocate"));
  exports.Set("fileSeek", Napi::Function::New<fileSeek>(env, "fileSeek"));
  exports.Set("directAlignment", Napi::Function::New<directAlignment>(env, "directAlignment"));
  exports.Set("addressOf", Napi::Function::New<addressOf>(env, "addressOf"));
  exports.Set("mapInto", Napi::Function::New<mapInto>(env, "mapInto"));
}

} // namespace doorbell
