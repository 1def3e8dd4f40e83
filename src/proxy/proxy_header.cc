// SPDX-License-Identifier: MIT
#include "proxy/proxy_header.h"

#include <sys/socket.h>

#include <cerrno>

#include "protocol/proxy_protocol.h"
#include "proxy/session.h"
#include "proxy/worker.h"

namespace limpid {
namespace {

// "A receiver should be tolerant to partial headers", but "at least 3 seconds" are enough for a retransmission
// (haproxy, doc/proxy-protocol.txt, section 2).
constexpr std::chrono::seconds header_within{3};

bool is_multicast(const Address& address) {
  return address.family() == AF_INET ? (address.bytes()[0] & 0xf0) == 0xe0 : address.bytes()[0] == 0xff;
}

// Somebody who can have opened a connection, or accept one.
bool is_somebody(const Endpoint& endpoint) {
  return endpoint.port != 0 && !endpoint.address.is_any() && !is_multicast(endpoint.address);
}

bool wants_header(const Session& session) {
  const ListenerSettings* const settings = session.worker.policy()->policy().listener_at(*session.listener);
  return settings != nullptr && settings->accept == Accept::proxy_protocol;
}

}  // namespace

Task<std::optional<CloseReason>> take_proxy_header(Session& session) {
  if (!wants_header(session)) co_return std::nullopt;
  session.enter(Session::Phase::introducing, header_within);
  Leg& client = session.client;
  ProxyHeaderReader reader;
  for (Step::Next next = Step::Next::receive; next != Step::Next::done;) {
    const std::span<char> buffer = session.worker.buffer().first(ProxyHeaderReader::v2_limit);
    const ssize_t n = ::recv(client.fd(), buffer.data(), buffer.size(), MSG_PEEK);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) co_return CloseReason::client_reset;
    if (n == 0) co_return CloseReason::bad_proxy_header;
    if (n < 0) {
      const bool goes_on = co_await client.readable();
      if (!goes_on) co_return session.ending();
      continue;
    }
    const Step step = reader.take({reinterpret_cast<const std::uint8_t*>(buffer.data()), static_cast<std::size_t>(n)});
    next = step.next;
    if (next == Step::Next::refused) co_return CloseReason::bad_proxy_header;
    // MSG_TRUNC: they are not wanted a second time (tcp(7)).
    if (step.consumed > 0) (void)::recv(client.fd(), nullptr, step.consumed, MSG_TRUNC);
  }
  client.unread();
  const std::optional<ProxiedConnection>& connection = reader.connection();
  if (!connection) co_return std::nullopt;
  if (!is_somebody(connection->client) || !is_somebody(connection->destination))
    co_return CloseReason::bad_proxy_header;
  session.record.client = connection->client;
  session.record.destination = connection->destination;
  co_return std::nullopt;
}

}  // namespace limpid
