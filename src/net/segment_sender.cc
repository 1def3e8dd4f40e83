// SPDX-License-Identifier: MIT
#include "net/segment_sender.h"

#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>

#include "net/ancillary.h"
#include "net/socket.h"

namespace limpid {

int SegmentSender::socket_for(const Datagram& like) {
  const auto known = std::ranges::find_if(sockets_, [&](const Socket& socket) {
    return socket.port == like.source.port && socket.may_be_fragmented == like.may_be_fragmented;
  });
  if (known != sockets_.end()) return known->fd.raw();
  std::expected<Fd, int> fd = std::unexpected(EMFILE);
  if (sockets_.size() < most_ && like.source.port >= IPPORT_RESERVED)
    fd = spoofing_datagram_socket({nobody(family_), like.source.port}, mark_, like.may_be_fragmented);
  if (!fd) {
    errno = fd.error();
    return -1;
  }
  sockets_.push_back({like.source.port, like.may_be_fragmented, std::move(*fd)});
  return sockets_.back().fd.raw();
}

int SegmentSender::send(const Datagram& like, std::span<iovec> payloads, std::uint16_t segment) {
  const int fd = socket_for(like);
  if (fd < 0) return errno;
  Ancillary beside;
  beside.add_source(like.source.address);
  beside.add_hops(family_, like.hops);
  beside.add_traffic_class(family_, like.traffic_class);
  beside.add(SOL_UDP, UDP_SEGMENT, segment);
  sockaddr_storage to;
  const socklen_t length = like.destination.to_sockaddr(to);
  const msghdr message{.msg_name = &to,
                       .msg_namelen = length,
                       .msg_iov = payloads.data(),
                       .msg_iovlen = payloads.size(),
                       .msg_control = beside.bytes(),
                       .msg_controllen = beside.size(),
                       .msg_flags = 0};
  return ::sendmsg(fd, &message, MSG_DONTWAIT) >= 0 ? 0 : errno;
}

}  // namespace limpid
