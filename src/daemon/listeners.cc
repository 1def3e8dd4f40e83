// SPDX-License-Identifier: MIT
#include "daemon/listeners.h"

#include <sys/socket.h>

#include "net/socket.h"

namespace limpid {

namespace {

// A transparent socket would be bound even where the family is switched off (net.ipv6.conf.lo.disable_ipv6).
bool has_loopback_address(int family) {
  const Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return fd.is_open() && bind_source(fd.raw(), {Address::loopback(family), 0}) == 0;
}

}  // namespace

void Reopened::take(Result<Fd> opened, Fd& place) {
  if (!opened) return errors.push_back(opened.error().in("open a listener again"));
  place = std::move(*opened);
  sockets.push_back(place.raw());
}

Result<Listeners> Listeners::open(unsigned threads, Mark mark) {
  Listeners listeners;
  listeners.mark_ = mark;
  for (const int family : {AF_INET, AF_INET6}) {
    Endpoint endpoint{Address::loopback(family), 0};
    if (family == AF_INET6 && !has_loopback_address(family)) continue;
    for (unsigned i = 0; i < threads; ++i) {
      Result<Fd> fd = listen_transparent(endpoint, mark);
      if (!fd) return std::unexpected(fd.error());
      const Result<Endpoint> bound = local_endpoint(fd->raw());
      if (!bound) return std::unexpected(bound.error());
      endpoint = *bound;
      listeners.sockets_.push_back({std::move(*fd), endpoint});
    }
    (family == AF_INET ? listeners.ports_.ipv4 : listeners.ports_.ipv6) = endpoint.port;
  }
  return listeners;
}

std::vector<int> Listeners::descriptors() const {
  std::vector<int> descriptors;
  for (const Socket& socket : sockets_) descriptors.push_back(socket.fd.raw());
  return descriptors;
}

Reopened Listeners::reopen_dead() {
  Reopened reopened;
  for (Socket& socket : sockets_) {
    if (!is_listening(socket.fd.raw())) reopened.take(listen_transparent(socket.endpoint, mark_), socket.fd);
  }
  return reopened;
}

}  // namespace limpid
