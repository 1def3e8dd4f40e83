// SPDX-License-Identifier: MIT
#include "daemon/channel.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "base/check.h"

namespace limpid {
namespace {

using Control = std::array<char, CMSG_SPACE(sizeof(int) * (Channel::most_fds + 3))>;

std::vector<Fd> received_fds(msghdr& message) {
  std::vector<Fd> fds;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

constexpr int most_tries = 2000;  // a millisecond apart

}  // namespace

Result<std::pair<Channel, Channel>> Channel::create_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
    return errno_failure("socketpair", errno);
  return std::pair(Channel(Fd(fds[0])), Channel(Fd(fds[1])));
}

Result<> Channel::send(MessageKind kind, std::string_view body, std::span<const int> fds) const {
  CHECK(fds.size() <= most_fds && body.size() <= most_bytes);
  iovec parts[] = {{&kind, sizeof kind}, {const_cast<char*>(body.data()), body.size()}};
  alignas(cmsghdr) Control control{};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  // ETOOMANYREFS: descriptors that this user has under way, in all programs together, are more than RLIMIT_NOFILE
  // (unix(7)). They arrive, or we give up.
  for (int tries = 0; ::sendmsg(fd_.raw(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0; ++tries) {
    if (errno != ETOOMANYREFS || tries == most_tries) return errno_failure("send to another process of ours", errno);
    ::poll(nullptr, 0, 1);
  }
  return {};
}

Result<std::optional<Message>> Channel::receive() const {
  MessageKind kind{};
  std::array<char, most_bytes> body;
  iovec parts[] = {{&kind, sizeof kind}, {body.data(), body.size()}};
  alignas(cmsghdr) Control control;
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t n = ::recvmsg(fd_.raw(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  if (n < 0) return errno_failure("receive from another process of ours", errno);
  if (n == 0) return failure("the other process has closed its end");
  std::vector<Fd> fds = received_fds(message);
  if (static_cast<std::size_t>(n) < sizeof kind || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return failure("the other process sent what is no message");
  return Message{kind, std::string(body.data(), static_cast<std::size_t>(n) - sizeof kind), std::move(fds)};
}

Result<Message> Channel::wait(int milliseconds) const {
  for (;;) {
    Result<std::optional<Message>> message = receive();
    if (!message) return std::unexpected(message.error());
    if (*message) return std::move(**message);
    pollfd waiting{fd_.raw(), POLLIN, 0};
    const int n = ::poll(&waiting, 1, milliseconds);
    if (n < 0 && errno != EINTR) return errno_failure("poll", errno);
    if (n == 0) return failure("the other process says nothing", ETIMEDOUT);
  }
}

}  // namespace limpid
