// SPDX-License-Identifier: MIT
#include "daemon/udp_sockets.h"

#include "net/socket.h"

namespace limpid {
namespace {

struct Place {
  std::uint16_t DatagramPorts::* port;
  DatagramWay way;
  DontFragment dont_fragment;
};
constexpr Place request{&DatagramPorts::request, DatagramWay::request, DontFragment::clear};
constexpr Place request_df{&DatagramPorts::request_df, DatagramWay::request, DontFragment::set};
constexpr Place here{&DatagramPorts::here, DatagramWay::request_from_here, DontFragment::clear};
constexpr Place here_df{&DatagramPorts::here_df, DatagramWay::request_from_here, DontFragment::set};
constexpr Place answer{&DatagramPorts::answer, DatagramWay::answer, DontFragment::clear};
constexpr Place answer_df{&DatagramPorts::answer_df, DatagramWay::answer, DontFragment::set};

// IPv6 has no DF: its routers never fragment.
std::vector<Place> places(int family) {
  if (family == AF_INET) return {request, request_df, here, here_df, answer, answer_df};
  return {request, here, answer};
}

}  // namespace

Result<UdpSockets> UdpSockets::open(const std::vector<int>& families, Mark own_mark, Mark accepted_mark) {
  UdpSockets sockets;
  for (const int family : families) {
    DatagramPorts& ports = sockets.ports_[family == AF_INET ? 0 : 1];
    for (const Place& place : places(family)) {
      Result<Fd> fd = listen_for_datagrams({Address::loopback(family), 0}, accepted_mark);
      if (!fd) return std::unexpected(fd.error());
      const Result<Endpoint> bound = local_endpoint(fd->raw());
      if (!bound) return std::unexpected(bound.error());
      ports.*place.port = bound->port;
      sockets.fds_.push_back(std::move(*fd));
    }
    for (const Mark mark : {own_mark, accepted_mark}) {
      Result<RawSockets> raw = RawSockets::open(family, mark);
      if (!raw) return std::unexpected(raw.error());
      sockets.fds_.push_back(std::move(raw->whole));
      sockets.fds_.push_back(std::move(raw->fragmenting));
    }
  }
  return sockets;
}

std::vector<int> UdpSockets::descriptors() const {
  std::vector<int> descriptors;
  for (const Fd& fd : fds_) descriptors.push_back(fd.raw());
  return descriptors;
}

std::size_t UdpSockets::most_descriptors(std::size_t segment_sockets) const {
  return fds_.empty() ? 0 : fds_.size() + 2 * 2 * segment_sockets;
}

void add_udp_parts(int family, std::vector<Fd>::iterator& next, UdpParts& parts) {
  for (const Place& place : places(family))
    parts.listeners.push_back({std::move(*next++), place.way, place.dont_fragment});
  UdpParts::Senders senders{.family = family, .to_upstream = {}, .to_client = {}};
  for (RawSockets* raw : {&senders.to_upstream, &senders.to_client}) {
    raw->whole = std::move(*next++);
    raw->fragmenting = std::move(*next++);
  }
  parts.senders.push_back(std::move(senders));
}

}  // namespace limpid
