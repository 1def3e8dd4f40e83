// SPDX-License-Identifier: MIT
#include "proxy/connect.h"

#include <sys/socket.h>

#include <cerrno>
#include <span>

#include "proxy/session.h"
#include "proxy/worker.h"

namespace limpid {
namespace {

// Where the ladder starts. A connection of this machine's own cannot keep its port: the client's own socket has the
// 4-tuple, so that is no failed step.
SourceKept first_step(const Session& session, Source source) {
  if (source == Source::self) return SourceKept::no;
  if (source == Source::address) return SourceKept::address;
  const bool from_here = session.worker.settings().local && !session.listener &&
                         is_from_loopback(session.client.fd(), session.record.client.family());
  return from_here ? SourceKept::address : SourceKept::port;
}

bool is_taken(int error) { return error == EADDRINUSE || error == EADDRNOTAVAIL; }

// What goes with the SYN: where the client's bytes are, and how many the kernel has taken of them.
struct Early {
  std::span<const char> bytes;
  std::size_t taken = 0;
};

constexpr std::size_t most_early_bytes = 1024;  // they fit into a SYN

// What the client has said already; it stays where it is.
Early early_bytes(Session& session, FirstBytes first_bytes) {
  if (first_bytes == FirstBytes::later) return {};
  const std::span<char> buffer = session.worker.buffer().first(most_early_bytes);
  const ssize_t n = ::recv(session.client.fd(), buffer.data(), buffer.size(), MSG_PEEK);
  session.client.unread();
  return n > 0 ? Early{buffer.first(static_cast<std::size_t>(n))} : Early{};
}

// They have arrived, with the SYN.
void count_as_sent(Session& session, const Early& early) {
  if (early.taken == 0) return;
  (void)::recv(session.client.fd(), nullptr, early.taken, MSG_TRUNC);  // not wanted a second time (tcp(7))
  session.record.bytes_up += early.taken;
  session.worker.counters().bytes_up.add(early.taken);
}

// One step: a socket that has started to connect from the source of this step. 0, EINPROGRESS or the refusal.
int start(Session& session, SourceKept step, const Endpoint& to, Early& early) {
  std::expected<Fd, int> fd = upstream_socket(to.family(), session.worker.settings().own_mark);
  if (!fd) return fd.error();
  if (step != SourceKept::no) {
    Endpoint source = session.record.client;
    if (source.family() != to.family()) return EAFNOSUPPORT;
    if (step == SourceKept::address) source.port = 0;
    if (const int refusal = bind_source(fd->raw(), source)) return refusal;
  }
  const int started =
      early.bytes.empty() ? start_connect(fd->raw(), to) : start_connect_with(fd->raw(), to, early.bytes, early.taken);
  if (started != 0 && started != EINPROGRESS) return started;
  if (const int refusal = session.upstream.open(std::move(*fd))) return refusal;
  return started;
}

void count(Counters& counters, SourceKept step) {
  switch (step) {
    case SourceKept::port:
      return counters.source_port_kept.add(1);
    case SourceKept::address:
      return counters.source_address_kept.add(1);
    case SourceKept::no:
      return counters.source_not_kept.add(1);
  }
}

}  // namespace

CloseReason connect_reason(int error) {
  switch (error) {
    case EADDRINUSE:
    case EADDRNOTAVAIL:
      return CloseReason::source_unavailable;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return CloseReason::error;
    case ECONNREFUSED:
      return CloseReason::connect_refused;
    case ECONNRESET:
      return CloseReason::connect_refused;  // a reset in answer to our SYN, seen by a later call
    case ETIMEDOUT:
      return CloseReason::connect_timeout;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENONET:
    case EACCES:
    case EPERM:
    case EPROTO:
    case ENOPROTOOPT:
      return CloseReason::connect_unreachable;
    default:
      return CloseReason::connect_failed;
  }
}

bool is_our_own(int error) {
  if (error <= 0) return false;
  const CloseReason reason = connect_reason(error);
  return reason == CloseReason::error || reason == CloseReason::source_unavailable || error == EAFNOSUPPORT;
}

Task<int> connect_from(Session& session, Source source, const Endpoint& to, FirstBytes first_bytes) {
  Counters& counters = session.worker.counters();
  Early early = early_bytes(session, first_bytes);
  SourceKept step = first_step(session, source);
  int started = start(session, step, to, early);
  if (step == SourceKept::port && is_taken(started)) {
    counters.port_unavailable.add(1);
    if (session.worker.settings().require_port) co_return started;
    step = SourceKept::address;
    started = start(session, step, to, early);
  }
  if (step == SourceKept::address && is_taken(started)) counters.address_unavailable.add(1);
  if (started == 0 || started == EINPROGRESS) session.record.source_kept = step;

  while (started == EINPROGRESS) {
    if (!co_await session.upstream.writable() || session.has_timed_out()) co_return -1;
    // Writable without an error means connected.
    started = session.upstream.has_failed() ? pending_error(session.upstream.fd()) : 0;
  }
  if (started == 0) {
    count(counters, step);
    count_as_sent(session, early);
  }
  co_return started;
}

Task<std::optional<CloseReason>> connect_as_client(Session& session, const Flow& flow) {
  // A load balancer that tells its own address, or a listener's: it would come back, for ever.
  if (session.listener && is_own_address(flow.destination.address)) co_return CloseReason::loop;
  session.enter(Session::Phase::connecting, session.worker.settings().connect_timeout);
  const int error =
      co_await connect_from(session, session.worker.settings().source, flow.destination, FirstBytes::later);
  if (session.ending()) co_return session.ending();
  if (error != 0) co_return connect_reason(error);
  co_return std::nullopt;
}

}  // namespace limpid
