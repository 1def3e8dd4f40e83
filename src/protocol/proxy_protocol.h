// SPDX-License-Identifier: MIT
// The PROXY protocol, versions 1 and 2 (haproxy, doc/proxy-protocol.txt): one header before the stream that tells whose
// connection it is. Written to upstreams that want one; read from load balancers that were configured to send one, for
// whoever may send one may claim to be anybody.
#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "net/address.h"
#include "protocol/answer.h"

namespace limpid {

// Over TCP. Where only one of both is IPv6 the header is an IPv6 one, with the other's address IPv4-mapped.
struct ProxiedConnection {
  Endpoint client;
  Endpoint destination;

  bool operator==(const ProxiedConnection&) const = default;
};

struct ProxyTlvs {
  std::string_view authority;  // the host the client named; left out where longer than the 255 bytes of a host name
  std::string_view unique_id;  // at most 128 bytes
};

[[nodiscard]] std::vector<std::uint8_t> proxy_header_v1(const ProxiedConnection& connection);
[[nodiscard]] std::vector<std::uint8_t> proxy_header_v2(const ProxiedConnection& connection,
                                                        const ProxyTlvs& tlvs = {});

// Reads a header of either version. Refuses at the first byte that no header has in that place.
class ProxyHeaderReader {
 public:
  static constexpr std::size_t v1_limit = 107;
  static constexpr std::size_t v2_limit = 4096;

  [[nodiscard]] Bytes to_send() const { return {}; }
  Step take(Bytes received);

  // After `done`. None: the connection is the load balancer's own (LOCAL), or of a kind it could not tell (UNKNOWN,
  // UNSPEC, neither TCP nor IP), and counts as what it is: its sender's. IPv4-mapped addresses come back as IPv4.
  [[nodiscard]] const std::optional<ProxiedConnection>& connection() const { return connection_; }

 private:
  Received received_{v2_limit};
  std::optional<ProxiedConnection> connection_;
  bool is_over_ = false;
};

}  // namespace limpid
