// SPDX-License-Identifier: MIT
#include "proxy/first_bytes.h"

#include <sys/socket.h>

#include <cerrno>

#include "proxy/session.h"
#include "proxy/worker.h"

namespace limpid {

Task<Identity> identify(Session& session) {
  session.enter(Session::Phase::identifying, session.worker.settings().identify_timeout);
  Leg& client = session.client;
  Finding finding = Finding::more(1);
  while (finding.progress == Progress::need_more) {
    const std::span<char> buffer = session.worker.buffer().first(most_bytes);
    const ssize_t n = ::recv(client.fd(), buffer.data(), buffer.size(), MSG_PEEK);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) {
      session.leg_failed(client);
      break;
    }
    if (n == 0) break;  // at its end, as the relay will see too
    if (n > 0 && static_cast<std::size_t>(n) >= finding.wanted)
      finding = identify_stream({reinterpret_cast<const std::uint8_t*>(buffer.data()), static_cast<std::size_t>(n)});
    if (finding.progress != Progress::need_more || client.is_hung_up()) break;
    if (!co_await client.readable() || session.has_timed_out()) break;
  }
  client.unread();
  co_return std::move(finding.identity);
}

}  // namespace limpid
