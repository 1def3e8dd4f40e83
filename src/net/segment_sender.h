// SPDX-License-Identifier: MIT
// Sends many datagrams of one flow in one call, which the kernel or the network card takes apart (UDP_SEGMENT, udp(7)).
// That needs a UDP socket with the sender's port. It is bound where nobody is, so it receives nothing, but while it is
// open no local service can bind the wildcard address to that port: it is open for the time of a batch alone, and never
// on a port below 1024, where services are.
#pragma once
#include <vector>

#include "base/fd.h"
#include "net/datagram.h"

namespace limpid {

class SegmentSender {
 public:
  // `most`: sockets at a time.
  SegmentSender(int family, Mark mark, std::size_t most) : family_(family), mark_(mark), most_(most) {}

  // Datagrams that are alike (net/runs.h); `segment`: the size of each but the last. 0, or errno: nothing was sent, and
  // they are to go one by one.
  int send(const Datagram& like, std::span<iovec> payloads, std::uint16_t segment);
  // The batch is over.
  void close() { sockets_.clear(); }

 private:
  struct Socket {
    std::uint16_t port;
    bool may_be_fragmented;
    Fd fd;
  };
  int socket_for(const Datagram& like);  // or -1, errno set

  int family_;
  Mark mark_;
  std::size_t most_;
  std::vector<Socket> sockets_;
};

}  // namespace limpid
