// SPDX-License-Identifier: MIT
// The sockets of UDP: where datagrams come in, and the raw ones they leave by. Opened by the supervisor, for the worker
// may not open raw ones, and kept from worker to worker.
#pragma once
#include <array>
#include <vector>

#include "intercept/plan.h"
#include "proxy/udp_relay.h"

namespace limpid {

class UdpSockets {
 public:
  // Descriptors of a family: listeners, then raw sockets, in the order of udp_parts().
  static constexpr std::size_t of_ipv4 = 10, of_ipv6 = 7;

  [[nodiscard]] static Result<UdpSockets> open(const std::vector<int>& families, Mark own_mark, Mark accepted_mark);

  [[nodiscard]] DatagramPorts ports(int family) const { return ports_[family == AF_INET ? 0 : 1]; }
  [[nodiscard]] std::vector<int> descriptors() const;  // IPv4, then IPv6
  // With those that a worker may open beside them: so many a family and direction.
  [[nodiscard]] std::size_t most_descriptors(std::size_t segment_sockets) const;

 private:
  std::vector<Fd> fds_;
  std::array<DatagramPorts, 2> ports_{};
};

// Takes those of one family from descriptors in that order.
void add_udp_parts(int family, std::vector<Fd>::iterator& next, UdpParts& parts);

}  // namespace limpid
