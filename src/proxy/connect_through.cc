// SPDX-License-Identifier: MIT
#include "proxy/connect_through.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <random>

#include "protocol/http_connect.h"
#include "protocol/proxy_protocol.h"
#include "protocol/socks5.h"
#include "proxy/connect.h"
#include "proxy/session.h"
#include "proxy/upstream_connection.h"
#include "proxy/worker.h"

namespace limpid {
namespace {

// What came of one address. `down`: nobody there, or nobody who speaks the protocol; `refused`: by the proxy, or by our
// own kernel.
enum class Tried { connected, ended, down, refused_by_destination, unreachable_destination, refused };

// Sends it all: a few hundred bytes, at the start of a connection.
Task<bool> send_all(Session& session, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(session.upstream.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0)
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    else if (errno != EAGAIN && errno != EINTR)
      co_return false;
    else if (errno == EAGAIN && (!co_await session.upstream.writable() || session.has_timed_out()))
      co_return false;
  }
  co_return true;
}

Tried meaning_of(Refusal::Kind kind) {
  switch (kind) {
    case Refusal::Kind::connect_refused:
      return Tried::refused_by_destination;
    case Refusal::Kind::unreachable:
      return Tried::unreachable_destination;
    case Refusal::Kind::not_allowed:
    case Refusal::Kind::authentication:
    case Refusal::Kind::unsupported:
    case Refusal::Kind::failed:
      return Tried::refused;
    case Refusal::Kind::protocol_error:
      return Tried::down;
  }
  return Tried::down;
}

// Takes the handshake's bytes off the socket and not one more: what follows is the destination's.
template <Handshake T>
Task<Tried> shake_hands(Session& session, T handshake) {
  Leg& upstream = session.upstream;
  if (!co_await send_all(session, handshake.to_send())) co_return Tried::down;
  for (;;) {
    const std::span<char> buffer = session.worker.buffer().first(16384);
    const ssize_t n = ::recv(upstream.fd(), buffer.data(), buffer.size(), MSG_PEEK);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0 || (n < 0 && errno != EAGAIN)) co_return Tried::down;
    if (n < 0) {
      if (!co_await upstream.readable() || session.has_timed_out()) co_return Tried::down;
      continue;
    }
    const Step step =
        handshake.take({reinterpret_cast<const std::uint8_t*>(buffer.data()), static_cast<std::size_t>(n)});
    if (step.next == Step::Next::refused) co_return meaning_of(step.refusal.kind);
    // MSG_TRUNC: they are not wanted a second time (tcp(7)).
    if (step.consumed > 0) (void)::recv(upstream.fd(), nullptr, step.consumed, MSG_TRUNC);
    if (step.next == Step::Next::done) break;
    if (step.next == Step::Next::send && !co_await send_all(session, handshake.to_send())) co_return Tried::down;
  }
  upstream.unread();
  co_return Tried::connected;
}

std::string unique_id() {
  static thread_local std::mt19937_64 chance{std::random_device{}()};
  return fmt::format("{:016x}{:016x}", chance(), chance());
}

Task<Tried> introduce(Session& session, const Flow& flow, const Upstream& upstream) {
  const ProxiedConnection connection{flow.client, flow.destination};
  const std::vector<std::uint8_t> header =
      upstream.proxy_protocol == ProxyProtocol::v1
          ? proxy_header_v1(connection)
          : proxy_header_v2(connection, {.authority = session.host, .unique_id = unique_id()});
  co_return co_await send_all(session, header) ? Tried::connected : Tried::down;
}

Task<Tried> speak(Session& session, const Flow& flow, const Upstream& upstream) {
  const ProxyDestination destination{flow.destination, upstream.send == Send::host ? session.host : std::string()};
  std::optional<Credentials> credentials = credentials_of(upstream);
  switch (upstream.type) {
    case UpstreamType::fixed:
      if (upstream.proxy_protocol == ProxyProtocol::off) co_return Tried::connected;
      co_return co_await introduce(session, flow, upstream);
    case UpstreamType::socks5: {
      Result<Socks5> socks5 = Socks5::connect(destination, std::move(credentials));
      if (!socks5) co_return Tried::refused;
      co_return co_await shake_hands(session, std::move(*socks5));
    }
    case UpstreamType::http_connect: {
      Result<HttpConnect> http = HttpConnect::to(destination, credentials);
      if (!http) co_return Tried::refused;
      co_return co_await shake_hands(session, std::move(*http));
    }
  }
  co_return Tried::refused;
}

Task<Tried> try_member(Session& session, const Flow& flow, const Upstream& upstream, const Endpoint& address) {
  session.enter(Session::Phase::trying, std::min(upstream.connect_timeout, session.worker.settings().connect_timeout));
  const FirstBytes first_bytes = upstream.fast_open ? FirstBytes::with_the_syn : FirstBytes::later;
  const int error = co_await connect_from(session, upstream.source, address, first_bytes);
  Tried tried = is_our_own(error) ? Tried::refused : Tried::down;
  if (error == 0) tried = co_await speak(session, flow, upstream);
  if (session.ending()) co_return Tried::ended;
  co_return tried;
}

}  // namespace

Task<std::optional<CloseReason>> connect_through(Session& session, const Flow& flow, std::uint32_t place) {
  const PathPolicy& policy = *session.policy;
  const Upstream& upstream = policy.policy().upstream(place);
  session.record.upstream = upstream.name;
  std::vector<std::shared_ptr<Member>> tried;
  bool refused = false;  // by one that is up: when_down is not about that, nor about those that have no place left
  while (std::shared_ptr<Member> member =
             policy.choose(place, flow.client.address, tried, session.worker.reactor().now())) {
    tried.push_back(member);
    session.member = MemberUse(member);
    switch (co_await try_member(session, flow, upstream, member->address)) {
      case Tried::connected:
        member->restore();
        co_return std::nullopt;
      case Tried::ended:
        co_return session.ending();
      case Tried::refused_by_destination:
        co_return CloseReason::connect_refused;
      case Tried::unreachable_destination:
        co_return CloseReason::connect_unreachable;
      case Tried::down:
        member->eject(session.worker.reactor().now() + upstream.check_interval);
        break;
      case Tried::refused:
        refused = true;
        break;
    }
    session.member = MemberUse();
    session.upstream.release();
  }
  session.record.source_kept = SourceKept::no;
  if (refused || policy.is_there(place, session.worker.reactor().now())) co_return CloseReason::upstream_failed;
  switch (upstream.when_down) {
    case WhenDown::reject:
      co_return CloseReason::upstream_failed;
    case WhenDown::drop:
      co_return CloseReason::dropped;
    case WhenDown::direct:
      session.record.upstream = {};
      co_return co_await connect_as_client(session, flow);
  }
  co_return CloseReason::upstream_failed;
}

}  // namespace limpid
