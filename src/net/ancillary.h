// SPDX-License-Identifier: MIT
// What goes with a datagram to sendmsg(2) beside its bytes (cmsg(3)), for net/ alone.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "net/address.h"

namespace limpid {

// Where nobody is (RFC 5737, RFC 6666): a socket bound there gets no datagram of anybody's.
inline constexpr const char* nobody4 = "192.0.2.0";
inline constexpr const char* nobody6 = "100::1";
[[nodiscard]] inline Address nobody(int family) { return *Address::parse(family == AF_INET ? nobody4 : nobody6); }

class Ancillary {
 public:
  static constexpr std::size_t most = CMSG_SPACE(sizeof(in6_pktinfo)) + 3 * CMSG_SPACE(sizeof(int));

  // The address to send from, which the route is looked up for as well.
  void add_source(const Address& source) {
    if (source.family() == AF_INET) {
      in_pktinfo info{};
      std::memcpy(&info.ipi_spec_dst, source.bytes(), sizeof info.ipi_spec_dst);
      return add(SOL_IP, IP_PKTINFO, info);
    }
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, source.bytes(), sizeof info.ipi6_addr);
    add(SOL_IPV6, IPV6_PKTINFO, info);
  }
  void add_hops(int family, int hops) {
    add(family == AF_INET ? SOL_IP : SOL_IPV6, family == AF_INET ? IP_TTL : IPV6_HOPLIMIT, hops);
  }
  void add_traffic_class(int family, int traffic_class) {
    add(family == AF_INET ? SOL_IP : SOL_IPV6, family == AF_INET ? IP_TOS : IPV6_TCLASS, traffic_class);
  }
  template <class Value>
  void add(int level, int type, const Value& value) {
    auto* const header = reinterpret_cast<cmsghdr*>(bytes_.data() + size_);
    *header = {.cmsg_len = CMSG_LEN(sizeof value), .cmsg_level = level, .cmsg_type = type};
    std::memcpy(CMSG_DATA(header), &value, sizeof value);
    size_ += CMSG_SPACE(sizeof value);
  }
  void clear() { size_ = 0; }

  [[nodiscard]] void* bytes() { return bytes_.data(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  alignas(cmsghdr) std::array<char, most> bytes_;
  std::size_t size_ = 0;
};

}  // namespace limpid
