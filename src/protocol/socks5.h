// SPDX-License-Identifier: MIT
// SOCKS5 as a client speaks it: CONNECT and UDP ASSOCIATE (RFC 1928), with or without a name and a password (RFC 1929).
#pragma once
#include <optional>
#include <vector>

#include "protocol/answer.h"
#include "protocol/request.h"

namespace limpid {

class Socks5 {
 public:
  // Refused: a host that is none, credentials that SOCKS5 cannot carry.
  static Result<Socks5> connect(const ProxyDestination& destination, std::optional<Credentials> credentials);
  // `sender`: where our datagrams will come from, as the proxy sees it; a family's any address and port 0: not known.
  static Result<Socks5> udp_associate(const Endpoint& sender, std::optional<Credentials> credentials);
  // Asks for nothing: done as soon as the proxy would hear a request.
  static Result<Socks5> log_in(std::optional<Credentials> credentials);
  // Whether SOCKS5 can carry them: 1 to 255 bytes each.
  static Result<> check(const Credentials& credentials);

  [[nodiscard]] Bytes to_send() const { return to_send_; }  // valid until the next take()
  Step take(Bytes received);

  // After `done`: BND.ADDR and BND.PORT (RFC 1928, section 6), for UDP ASSOCIATE where datagrams go. Many a proxy says
  // 0.0.0.0 and means its own address. 0.0.0.0:0 where the reply to a CONNECT has a name in the place.
  [[nodiscard]] const Endpoint& bound() const { return bound_; }

 private:
  enum class Command : std::uint8_t { none = 0, connect = 1, udp_associate = 3 };
  enum class Awaited : std::uint8_t { method, authentication, reply, nothing };

  Socks5(Command command, const ProxyDestination& destination, std::optional<Credentials> credentials);
  Answer parse(Bytes so_far);
  Answer parse_method(Bytes so_far);
  Answer parse_reply(Bytes so_far);

  Command command_;
  std::optional<Credentials> credentials_;
  std::vector<std::uint8_t> to_send_;
  std::vector<std::uint8_t> request_;
  Received received_;
  Awaited awaited_ = Awaited::method;
  std::uint8_t method_ = 0;
  Endpoint bound_;
};

// Where the datagrams of an association go, by what its reply says is bound: an unspecified address is the proxy's own.
// None: that is nowhere, or multicast, or on our own machine's loopback, where the proxy is not.
[[nodiscard]] std::optional<Endpoint> socks5_relay(const Endpoint& bound, const Endpoint& proxy);

// What stands before the payload of each datagram to a proxy's UDP relay (RFC 1928, section 7): made once a flow.
[[nodiscard]] Result<std::vector<std::uint8_t>> socks5_udp_header(const ProxyDestination& destination);

// A datagram from the relay; views into it.
struct Socks5Datagram {
  Endpoint source;        // its port alone where `host` is not empty
  std::string_view host;  // whatever bytes the proxy put there
  Bytes payload;
};

// None: it is malformed, or a fragment (RFC 1928 lets those be dropped).
[[nodiscard]] std::optional<Socks5Datagram> parse_socks5_datagram(Bytes datagram);

}  // namespace limpid
