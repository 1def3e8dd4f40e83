// SPDX-License-Identifier: MIT
// Sends what GRO has put together as it came: many datagrams of one flow in one call, which the kernel or the network
// card takes apart again (UDP_SEGMENT, udp(7)). That needs a UDP socket with the right port: they are bound where
// nobody is, so they receive nothing, and where a local service holds the port the datagrams go one by one.
#pragma once
#include <vector>

#include "base/fd.h"
#include "net/datagram.h"

namespace limpid {

class SegmentSender {
 public:
  static constexpr std::size_t most_sockets = 32;  // the least recently used is closed

  SegmentSender(int family, Mark mark) : family_(family), mark_(mark) {}

  // 0, or errno: it has sent nothing.
  int send(const Datagram& datagrams);

 private:
  struct Socket {
    std::uint16_t port;
    bool may_be_fragmented;
    Fd fd;
    std::uint64_t used;
  };
  int socket_for(const Datagram& datagrams);  // or -1, errno set

  int family_;
  Mark mark_;
  std::vector<Socket> sockets_;
  std::uint64_t clock_ = 0;
};

}  // namespace limpid
