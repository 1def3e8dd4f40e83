// SPDX-License-Identifier: MIT
#include "exec/call_preparation.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "base/check.h"
#include "exec/caller.h"
#include "net/socket.h"

namespace limpid {
namespace {

// An address in the caller's memory, as bind(2) and the like are given it.
struct AddressPlace {
  std::uint64_t address = 0;
  std::uint64_t length = 0;
};

// Where the call says where it goes to; nothing if it does not, or if that cannot be read.
std::optional<AddressPlace> destination_place(const PendingCall& call) {
  const auto& arguments = call.arguments;
  if (call.number == SYS_connect) return AddressPlace{arguments[1], arguments[2]};
  if (call.number == SYS_sendto) return AddressPlace{arguments[4], arguments[5]};
  CHECK(call.number == SYS_sendmsg || call.number == SYS_sendmmsg);
  if (call.number == SYS_sendmmsg && arguments[2] == 0) return std::nullopt;
  msghdr message{};  // of many, the first: what it binds the others leave from as well
  if (read_memory(call.thread, arguments[1], std::as_writable_bytes(std::span(&message, 1))) != 0) return std::nullopt;
  if (message.msg_name == nullptr) return std::nullopt;
  return AddressPlace{reinterpret_cast<std::uint64_t>(message.msg_name), message.msg_namelen};
}

std::optional<Endpoint> destination(const PendingCall& call) {
  const std::optional<AddressPlace> place = destination_place(call);
  if (!place) return std::nullopt;
  sockaddr_storage storage{};
  const std::span bytes = std::as_writable_bytes(std::span(&storage, 1));
  const std::size_t length = static_cast<std::size_t>(std::min<std::uint64_t>(place->length, bytes.size()));
  if (read_memory(call.thread, place->address, bytes.first(length)) != 0) return std::nullopt;
  constexpr std::size_t shortest_inet6 = offsetof(sockaddr_in6, sin6_scope_id);  // SIN6_LEN_RFC2133
  const bool is_whole = (storage.ss_family == AF_INET && length >= sizeof(sockaddr_in)) ||
                        (storage.ss_family == AF_INET6 && length >= shortest_inet6);
  return is_whole ? std::optional(Endpoint::from_sockaddr(storage)) : std::nullopt;
}

std::unexpected<Error> refusal_of_access(int refusal) {
  const bool is_about_rights = refusal == EPERM || refusal == EACCES;
  return errno_failure(is_about_rights ? "take a socket of a process that has another user, more capabilities, or a "
                                         "program that its user may not read: this needs CAP_SYS_PTRACE"
                                       : "take a socket of the program's",
                       refusal);
}

}  // namespace

std::expected<Fd, int> CallPreparation::take_socket(const PendingCall& call) {
  const auto number = static_cast<int>(call.arguments[0]);
  if (call.thread == last_thread_) {
    std::expected<Fd, int> socket = take_descriptor(last_pidfd_, number);
    if (socket || socket.error() != ESRCH) return socket;
  }
  last_thread_ = 0;
  std::expected<Fd, int> pidfd = open_thread(call.thread);
  const bool is_of_the_thread = pidfd.has_value();
  if (!pidfd && pidfd.error() == EINVAL) pidfd = open_process_of(call.thread);
  if (!pidfd) return std::unexpected(pidfd.error());
  if (!listener_.is_pending(call)) return std::unexpected(ESRCH);
  std::expected<Fd, int> socket = take_descriptor(*pidfd, number);
  if (is_of_the_thread) {
    last_thread_ = call.thread;
    last_pidfd_ = std::move(*pidfd);
  }
  return socket;
}

Result<> CallPreparation::leave_from_source(const PendingCall& call, int socket, int family) const {
  const std::optional<Endpoint> to = destination(call);
  if (!to || !listener_.is_pending(call)) return {};
  const std::optional<Endpoint> source = source_towards(*to, family, *permissions_.source);
  if (!source) return {};
  if (const int refusal = bind_foreign_source(socket, *source))
    return errno_failure(fmt::format("bind {}", permissions_.source->text()), refusal);
  return {};
}

Result<> CallPreparation::prepare(const PendingCall& call) {
  const std::expected<Fd, int> socket = take_socket(call);
  if (!socket && (socket.error() == EBADF || socket.error() == ESRCH)) return {};
  if (!socket) return refusal_of_access(socket.error());
  const Result<Endpoint> local = local_endpoint(socket->raw());
  if (!local) return {};  // another family's, or no socket at all
  if (call.number == SYS_bind) {
    if (const int refusal = make_transparent(socket->raw(), local->family()))
      return errno_failure("make a socket transparent", refusal);
    return {};
  }
  if (local->port != 0 || !local->address.is_any()) return {};
  return leave_from_source(call, socket->raw(), local->family());
}

}  // namespace limpid
