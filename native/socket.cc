// UNIX sockets that carry framed messages with descriptors: unix(7), recvmsg(2), sendmsg(2), cmsg(3).
//
// A stream has no message boundaries, and the kernel ties descriptors to the byte they were sent with. So a
// header is read alone, exactly its bytes, and then exactly the body: no read crosses into the next message,
// and each message keeps its own descriptors. Descriptors belong to the first byte of a message: in a body
// they are an error.
//
// Ownership: a MessageSocket owns its descriptor; received descriptors are the caller's once handed out, ours
// until then; descriptors to be sent stay the caller's, those of bytes that wait are duplicates.

#include "binding.h"
#include "fd.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <limits>
#include <span>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <vector>

namespace doorbell {
namespace {

/** SCM_MAX_FD: the kernel passes no more in one message. */
constexpr std::size_t SENDMSG_FDS_MAX = 253;
constexpr std::size_t CONTROL_BYTES = CMSG_SPACE(SENDMSG_FDS_MAX * sizeof(int));
/** What is thrown away at a time: others have their turn in between. */
constexpr std::size_t DISCARD_BYTES = 16384;
constexpr int DISCARD_MAX = 64;

struct Framing {
  std::size_t headerBytes;
  std::size_t sizeOffset;
  bool sizeIncludesHeader;
  std::size_t maxBytes;
  std::size_t maxFds;
};

sockaddr_un addressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // An empty path would be an autobound name.
  if (path.empty()) fail("bind", ENOENT);
  if (path.size() >= sizeof address.sun_path) fail("bind", ENAMETOOLONG);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

OwnedFd makeSocket(int flags) {
  OwnedFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (!fd.isOpen()) fail("socket");
  return fd;
}

int connectTo(const OwnedFd& fd, const sockaddr_un& address) {
  return retry(
      [&] { return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address); });
}

/** Whether a socket file is there that nobody listens on any more. */
bool isStale(const sockaddr_un& address) {
  struct stat status {};
  if (lstat(address.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  return connectTo(makeSocket(SOCK_NONBLOCK), address) != 0 && errno == ECONNREFUSED;
}

// ---- Listener
// ------------------------------------------------------------------------------------------------

class ListenerObject : public Napi::ObjectWrap<ListenerObject> {
 public:
  explicit ListenerObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ListenerObject>(info) {
    guarded(info.Env(), [&] { open(toText(info[0], "path"), toU32(info[1], "mode")); });
  }

  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Listener",
                       {
                           InstanceAccessor<&ListenerObject::fd>("fd"),
                           InstanceMethod<&ListenerObject::accept>("accept"),
                           InstanceMethod<&ListenerObject::close>("close"),
                       });
  }

 private:
  void open(const std::string& path, mode_t mode) {
    const sockaddr_un address = addressOf(path);
    OwnedFd fd = makeSocket(SOCK_NONBLOCK);
    // The file is made with the socket's own mode: at no moment is it more open than asked for.
    if (fchmod(fd.get(), mode) != 0) fail("fchmod");
    const auto tryBind = [&] {
      return bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    };
    if (tryBind() != 0) {
      if (errno != EADDRINUSE) fail("bind");
      if (!isStale(address)) fail("bind", EADDRINUSE);
      if (unlink(address.sun_path) != 0 && errno != ENOENT) fail("unlink");
      if (tryBind() != 0) fail("bind");
    }
    // What the umask took.
    struct stat status {};
    if (chmod(address.sun_path, mode) != 0 || lstat(address.sun_path, &status) != 0 ||
        listen(fd.get(), SOMAXCONN) != 0) {
      const int number = errno;
      unlink(address.sun_path);
      fail("listen", number);
    }
    device_ = status.st_dev;
    inode_ = status.st_ino;
    path_ = path;
    fd_ = std::move(fd);
  }

  Napi::Value fd(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), fd_.get()); }

  Napi::Value accept(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
      const int fd =
          retry([&] { return accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK); });
      if (fd >= 0) return Napi::Number::New(info.Env(), fd);
      if (errno != EAGAIN && errno != ECONNABORTED) fail("accept");
      return info.Env().Undefined();
    });
  }

  void close(const Napi::CallbackInfo&) {
    if (!fd_.isOpen()) return;
    fd_.reset();
    // Not the socket of somebody who took the path over.
    struct stat status {};
    if (lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_) {
      unlink(path_.c_str());
    }
  }

  OwnedFd fd_;
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// ---- Messages
// ------------------------------------------------------------------------------------------------

class MessageSocketObject : public Napi::ObjectWrap<MessageSocketObject> {
 public:
  explicit MessageSocketObject(const Napi::CallbackInfo& info);

  static Napi::Function define(Napi::Env env);

 private:
  /** Bytes that the socket did not take, with the descriptors that go with the first of them. */
  struct Pending {
    std::vector<std::uint8_t> bytes;
    std::size_t sent = 0;
    std::vector<OwnedFd> fds;
  };
  enum class Progress { DONE, BLOCKED, END };

  Napi::Value fd(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), fd_.get()); }
  Napi::Value receive(const Napi::CallbackInfo& info);
  void send(const Napi::CallbackInfo& info);
  Napi::Value flush(const Napi::CallbackInfo& info);
  Napi::Value pendingBytes(const Napi::CallbackInfo& info);
  Napi::Value pendingFds(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  Progress fill(std::size_t end, bool takesFds);
  void takeFds(msghdr& message);
  std::size_t messageBytes() const;
  std::size_t sendSome(std::span<const std::uint8_t> bytes, std::span<const int> fds);
  bool flushPending();
  void requireOpen() const {
    if (!fd_.isOpen()) fail("recvmsg", EBADF);
  }
  /** Nothing more can be read: the boundaries are lost. */
  [[noreturn]] void refuse(int number) {
    received_.clear();
    fds_.clear();
    refused_ = number;
    fail("recvmsg", number);
  }

  OwnedFd fd_;
  Framing framing_{};
  /** The message that is being read; its first `have_` bytes are there. */
  std::vector<std::uint8_t> received_;
  std::size_t have_ = 0;
  std::vector<OwnedFd> fds_;
  int refused_ = 0;
  std::deque<Pending> pending_;
  /** Sums over pending_: asked for after each message, and a peer that does not read makes the queue long. */
  std::size_t pendingBytes_ = 0;
  std::size_t pendingFds_ = 0;
};

MessageSocketObject::MessageSocketObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<MessageSocketObject>(info) {
  const Napi::Object framing = toObject(info[1], "framing");
  framing_ = {
      toU32(framing.Get("headerBytes"), "framing.headerBytes"),
      toU32(framing.Get("sizeOffset"), "framing.sizeOffset"),
      toBoolean(framing.Get("sizeIncludesHeader"), "framing.sizeIncludesHeader"),
      toU32(framing.Get("maxBytes"), "framing.maxBytes"),
      toU32(framing.Get("maxFds"), "framing.maxFds"),
  };
  if (framing_.headerBytes < sizeof(std::uint32_t) || framing_.maxBytes < framing_.headerBytes ||
      framing_.sizeOffset > framing_.headerBytes - sizeof(std::uint32_t)) {
    throw Napi::RangeError::New(info.Env(),
                                "framing.sizeOffset must lie inside the header, the header inside maxBytes");
  }
  fd_ = OwnedFd(toFd(info[0], "fd"));
  received_.resize(framing_.headerBytes);
}

Napi::Value MessageSocketObject::receive(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    requireOpen();
    if (refused_ != 0) fail("recvmsg", refused_);
    Progress progress = Progress::DONE;
    if (have_ < framing_.headerBytes) progress = fill(framing_.headerBytes, true);
    if (progress == Progress::DONE) {
      if (have_ == framing_.headerBytes) {
        const std::size_t bytes = messageBytes();
        if (bytes < framing_.headerBytes) refuse(EBADMSG);
        if (bytes > framing_.maxBytes) refuse(EMSGSIZE);
        received_.resize(bytes);
      }
      progress = fill(received_.size(), false);
    }
    if (progress == Progress::BLOCKED) return info.Env().Undefined();
    if (progress == Progress::END) {
      fds_.clear();
      return info.Env().Null();
    }
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("bytes", Napi::Buffer<std::uint8_t>::Copy(info.Env(), received_.data(), received_.size()));
    Napi::Array fds = Napi::Array::New(info.Env(), fds_.size());
    for (std::uint32_t i = 0; i < fds_.size(); ++i) fds.Set(i, Napi::Number::New(info.Env(), fds_[i].get()));
    result.Set("fds", fds);
    for (OwnedFd& fd : fds_) fd.release();
    fds_.clear();
    received_.resize(framing_.headerBytes);
    have_ = 0;
    return result;
  });
}

/** Reads until `end` bytes of the message are there, and not one byte more. */
MessageSocketObject::Progress MessageSocketObject::fill(std::size_t end, bool takesFds) {
  while (have_ < end) {
    alignas(cmsghdr) std::uint8_t control[CONTROL_BYTES];
    iovec vector{received_.data() + have_, end - have_};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    // Without a place for them, the kernel closes descriptors itself and says so.
    if (takesFds) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
    }
    const ssize_t bytes =
        retry([&] { return recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT); });
    if (bytes < 0) {
      if (errno == EAGAIN) return Progress::BLOCKED;
      // A peer that died with our messages unread.
      if (errno == ECONNRESET) return Progress::END;
      fail("recvmsg");
    }
    takeFds(message);
    if ((message.msg_flags & MSG_CTRUNC) != 0) refuse(takesFds ? EMFILE : EPROTO);
    if (fds_.size() > framing_.maxFds) refuse(EMFILE);
    if (bytes == 0) return Progress::END;
    have_ += static_cast<std::size_t>(bytes);
  }
  return Progress::DONE;
}

void MessageSocketObject::takeFds(msghdr& message) {
  if (message.msg_control == nullptr) return;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      fds_.emplace_back(fd);
    }
  }
}

/** Size of the whole message, as its header says. */
std::size_t MessageSocketObject::messageBytes() const {
  std::uint32_t size;
  std::memcpy(&size, received_.data() + framing_.sizeOffset, sizeof size);
  return framing_.sizeIncludesHeader ? size : framing_.headerBytes + std::size_t{size};
}

void MessageSocketObject::send(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    requireOpen();
    const Bytes bytes = toBytes(info[0], "bytes");
    std::vector<int> fds;
    if (!info[1].IsUndefined()) {
      if (!info[1].IsArray()) throw Napi::TypeError::New(info.Env(), "fds must be an array");
      const Napi::Array list = info[1].As<Napi::Array>();
      for (std::uint32_t i = 0; i < list.Length(); ++i) fds.push_back(toFd(list.Get(i), "fds"));
    }
    if (bytes.length == 0) throw Napi::RangeError::New(info.Env(), "bytes must not be empty");
    if (fds.size() > SENDMSG_FDS_MAX) fail("sendmsg", EINVAL);
    std::span<const std::uint8_t> rest(bytes.data, bytes.length);
    if (flushPending()) {
      const std::size_t sent = sendSome(rest, fds);
      rest = rest.subspan(sent);
      if (sent != 0) fds.clear();
    }
    if (rest.empty()) return;
    Pending pending;
    pending.bytes.assign(rest.begin(), rest.end());
    for (const int fd : fds) pending.fds.push_back(OwnedFd::duplicate(fd));
    pendingBytes_ += rest.size();
    pendingFds_ += pending.fds.size();
    pending_.push_back(std::move(pending));
  });
}

/** One sendmsg; the number of bytes that the socket took, 0 when it is full. */
std::size_t MessageSocketObject::sendSome(std::span<const std::uint8_t> bytes, std::span<const int> fds) {
  alignas(cmsghdr) std::uint8_t control[CONTROL_BYTES];
  iovec vector{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    std::memset(control, 0, message.msg_controllen);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  const ssize_t sent = retry([&] { return sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT); });
  if (sent >= 0) return static_cast<std::size_t>(sent);
  if (errno == EAGAIN) return 0;
  fail("sendmsg", errno == ECONNRESET ? EPIPE : errno);
}

bool MessageSocketObject::flushPending() {
  while (!pending_.empty()) {
    Pending& first = pending_.front();
    std::vector<int> fds;
    for (const OwnedFd& fd : first.fds) fds.push_back(fd.get());
    const std::size_t sent = sendSome(std::span(first.bytes).subspan(first.sent), fds);
    if (sent == 0) return false;
    pendingFds_ -= first.fds.size();
    first.fds.clear();
    first.sent += sent;
    pendingBytes_ -= sent;
    if (first.sent == first.bytes.size()) pending_.pop_front();
  }
  return true;
}

Napi::Value MessageSocketObject::flush(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    requireOpen();
    return Napi::Boolean::New(info.Env(), flushPending());
  });
}

Napi::Value MessageSocketObject::pendingBytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(pendingBytes_));
}

Napi::Value MessageSocketObject::pendingFds(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(pendingFds_));
}

void MessageSocketObject::close(const Napi::CallbackInfo&) {
  fd_.reset();
  fds_.clear();
  pending_.clear();
  pendingBytes_ = 0;
  pendingFds_ = 0;
}

Napi::Function MessageSocketObject::define(Napi::Env env) {
  return DefineClass(env, "MessageSocket",
                     {
                         InstanceAccessor<&MessageSocketObject::fd>("fd"),
                         InstanceMethod<&MessageSocketObject::receive>("receive"),
                         InstanceMethod<&MessageSocketObject::send>("send"),
                         InstanceMethod<&MessageSocketObject::flush>("flush"),
                         InstanceAccessor<&MessageSocketObject::pendingBytes>("pendingBytes"),
                         InstanceAccessor<&MessageSocketObject::pendingFds>("pendingFds"),
                         InstanceMethod<&MessageSocketObject::close>("close"),
                     });
}

// ---- Functions
// -----------------------------------------------------------------------------------------------

Napi::Value listenOn(const Napi::CallbackInfo& info) {
  return Instance::of(info.Env()).listener.New({info[0], info[1]});
}

Napi::Value connectPath(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const sockaddr_un address = addressOf(toText(info[0], "path"));
    OwnedFd fd = makeSocket(0);
    if (connectTo(fd, address) != 0) fail("connect");
    if (fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) fail("fcntl");
    return Napi::Number::New(info.Env(), fd.release());
  });
}

Napi::Value messageSocket(const Napi::CallbackInfo& info) {
  return Instance::of(info.Env()).messageSocket.New({info[0], info[1]});
}

/**
 * Whether a descriptor is one end of a connected pair without names. The other end of a connection to a
 * listener has one: such a socket could be the peer's own, and this process would keep open the connection
 * whose end it waits for.
 */
Napi::Value socketIsPair(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int fd = toFd(info[0], "fd");
    int type = 0;
    socklen_t typeBytes = sizeof type;
    sockaddr_un peer{};
    socklen_t peerBytes = sizeof peer;
    const bool isPair = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &typeBytes) == 0 && type == SOCK_STREAM &&
                        getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peerBytes) == 0 &&
                        peer.sun_family == AF_UNIX && peerBytes <= sizeof peer.sun_family;
    return Napi::Boolean::New(info.Env(), isPair);
  });
}

Napi::Value socketDiscard(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int fd = toFd(info[0], "fd");
    std::array<std::uint8_t, DISCARD_BYTES> nowhere;
    for (int count = 0; count < DISCARD_MAX; ++count) {
      // Without a place for descriptors, the kernel closes them.
      const ssize_t bytes = retry([&] { return recv(fd, nowhere.data(), nowhere.size(), MSG_DONTWAIT); });
      if (bytes <= 0) return Napi::Boolean::New(info.Env(), bytes < 0 && errno == EAGAIN);
    }
    return Napi::Boolean::New(info.Env(), true);
  });
}

} // namespace

void registerSocket(Napi::Env env, Napi::Object exports) {
  Instance& instance = Instance::of(env);
  instance.listener = Napi::Persistent(ListenerObject::define(env));
  instance.messageSocket = Napi::Persistent(MessageSocketObject::define(env));
  exports.Set("listen", Napi::Function::New<listenOn>(env, "listen"));
  exports.Set("connect", Napi::Function::New<connectPath>(env, "connect"));
  exports.Set("messageSocket", Napi::Function::New<messageSocket>(env, "messageSocket"));
  exports.Set("socketIsPair", Napi::Function::New<socketIsPair>(env, "socketIsPair"));
  exports.Set("socketDiscard", Napi::Function::New<socketDiscard>(env, "socketDiscard"));
}

} // namespace doorbell
