// SPDX-License-Identifier: MIT
#include "proxy/connect.h"

#include <cerrno>

#include "proxy/session.h"
#include "proxy/worker.h"

namespace limpid {
namespace {

// Where the ladder starts. A connection of this machine's own cannot keep its port: the client's own socket has the
// 4-tuple, so that is no failed step.
SourceKept first_step(const Session& session, const Flow& flow) {
  const PathSettings& settings = session.worker.settings();
  if (settings.source == SourceChoice::self) return SourceKept::no;
  if (settings.source == SourceChoice::address) return SourceKept::address;
  const bool from_here = settings.local && is_from_loopback(session.client.fd(), flow.client.family());
  return from_here ? SourceKept::address : SourceKept::port;
}

bool is_taken(int error) { return error == EADDRINUSE || error == EADDRNOTAVAIL; }

// One step: a socket that has started to connect from the source of this step. 0, EINPROGRESS or the refusal.
int start(Session& session, const Flow& flow, SourceKept step) {
  std::expected<Fd, int> fd = upstream_socket(flow.destination.family(), session.worker.settings().own_mark);
  if (!fd) return fd.error();
  if (step != SourceKept::no) {
    Endpoint source = flow.client;
    if (step == SourceKept::address) source.port = 0;
    if (const int refusal = bind_source(fd->raw(), source)) return refusal;
  }
  const int started = start_connect(fd->raw(), flow.destination);
  if (started != 0 && started != EINPROGRESS) return started;
  if (const int refusal = session.upstream.open(std::move(*fd))) return refusal;
  return started;
}

CloseReason refusal_reason(int error) {
  if (is_taken(error)) return CloseReason::source_unavailable;
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ? CloseReason::error
                                                                                   : connect_reason(error);
}

}  // namespace

CloseReason connect_reason(int error) {
  switch (error) {
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

Task<std::optional<CloseReason>> connect_as_client(Session& session, const Flow& flow) {
  Counters& counters = session.worker.counters();
  SourceKept step = first_step(session, flow);
  int started = start(session, flow, step);
  if (step == SourceKept::port && is_taken(started)) {
    counters.port_unavailable.add(1);
    if (session.worker.settings().require_port) co_return CloseReason::source_unavailable;
    step = SourceKept::address;
    started = start(session, flow, step);
  }
  if (step == SourceKept::address && is_taken(started)) counters.address_unavailable.add(1);
  if (started != 0 && started != EINPROGRESS) co_return refusal_reason(started);
  session.record.source_kept = step;

  while (started == EINPROGRESS) {
    if (!co_await session.upstream.writable()) co_return session.ending();
    // Writable without an error means connected.
    if (!session.upstream.has_failed()) break;
    started = pending_error(session.upstream.fd());
    if (started != 0) co_return connect_reason(started);
  }
  switch (step) {
    case SourceKept::port:
      counters.source_port_kept.add(1);
      break;
    case SourceKept::address:
      counters.source_address_kept.add(1);
      break;
    case SourceKept::no:
      counters.source_not_kept.add(1);
      break;
  }
  co_return std::nullopt;
}

}  // namespace limpid
