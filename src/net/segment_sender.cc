// SPDX-License-Identifier: MIT
#include "net/segment_sender.h"

#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>

#include "net/ancillary.h"
#include "net/socket.h"

namespace limpid {

int SegmentSender::socket_for(const Datagram& datagrams) {
  const auto known = std::ranges::find_if(sockets_, [&](const Socket& socket) {
    return socket.port == datagrams.source.port && socket.may_be_fragmented == datagrams.may_be_fragmented;
  });
  if (known != sockets_.end()) {
    known->used = ++clock_;
    return known->fd.raw();
  }
  std::expected<Fd, int> fd =
      spoofing_datagram_socket({nobody(family_), datagrams.source.port}, mark_, datagrams.may_be_fragmented);
  if (!fd) {
    errno = fd.error();
    return -1;
  }
  if (sockets_.size() == most_sockets) sockets_.erase(std::ranges::min_element(sockets_, {}, &Socket::used));
  sockets_.push_back({datagrams.source.port, datagrams.may_be_fragmented, std::move(*fd), ++clock_});
  return sockets_.back().fd.raw();
}

int SegmentSender::send(const Datagram& datagrams) {
  const int fd = socket_for(datagrams);
  if (fd < 0) return errno;
  Ancillary beside;
  beside.add_source(datagrams.source.address);
  beside.add_hops(family_, datagrams.hops);
  beside.add_traffic_class(family_, datagrams.traffic_class);
  beside.add(SOL_UDP, UDP_SEGMENT, datagrams.segment);
  sockaddr_storage to;
  const socklen_t length = datagrams.destination.to_sockaddr(to);
  iovec bytes{const_cast<char*>(datagrams.payload.data()), datagrams.payload.size()};
  const msghdr message{.msg_name = &to,
                       .msg_namelen = length,
                       .msg_iov = &bytes,
                       .msg_iovlen = 1,
                       .msg_control = beside.bytes(),
                       .msg_controllen = beside.size(),
                       .msg_flags = 0};
  return ::sendmsg(fd, &message, MSG_DONTWAIT) >= 0 ? 0 : errno;
}

}  // namespace limpid
