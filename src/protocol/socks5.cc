// SPDX-License-Identifier: MIT
#include "protocol/socks5.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"

namespace limpid {
namespace {

using Kind = Refusal::Kind;

constexpr std::uint8_t version = 5;
constexpr std::uint8_t authentication_version = 1;  // RFC 1929, section 2

enum Method : std::uint8_t { no_authentication = 0, name_and_password = 2, none_acceptable = 0xff };
enum AddressType : std::uint8_t { ipv4 = 1, host_name = 3, ipv6 = 4 };

// The longest message to us: the reply with a name of 255 bytes.
constexpr std::size_t longest_reply = 3 + 1 + 1 + 255 + 2;

struct Meaning {
  Kind kind;
  std::string_view words;
};
// REP (RFC 1928, section 6), from 1 on.
constexpr auto meanings = std::to_array<Meaning>({{Kind::failed, "general failure"},
                                                  {Kind::not_allowed, "not allowed by its rules"},
                                                  {Kind::unreachable, "network unreachable"},
                                                  {Kind::unreachable, "host unreachable"},
                                                  {Kind::connect_refused, "connection refused"},
                                                  {Kind::unreachable, "TTL expired"},
                                                  {Kind::unsupported, "command not supported"},
                                                  {Kind::unsupported, "address type not supported"}});

Answer refuse_reply(std::uint8_t code) {
  if (code > meanings.size()) return Answer::refuse(Kind::failed, fmt::format("SOCKS5: unknown reply {}", code));
  const Meaning& meaning = meanings[code - 1];
  return Answer::refuse(meaning.kind, fmt::format("SOCKS5: {}", meaning.words));
}

Answer refuse_version() { return Answer::refuse(Kind::protocol_error, "not a SOCKS5 answer"); }

void append(std::vector<std::uint8_t>& bytes, std::string_view text) {
  bytes.push_back(static_cast<std::uint8_t>(text.size()));
  bytes.insert(bytes.end(), text.begin(), text.end());
}

// ATYP, address and port. The host has been checked.
void append(std::vector<std::uint8_t>& bytes, const ProxyDestination& destination) {
  const Address& address = destination.endpoint.address;
  if (!destination.host.empty()) {
    bytes.push_back(host_name);
    append(bytes, destination.host);
  } else {
    bytes.push_back(address.family() == AF_INET ? ipv4 : ipv6);
    bytes.insert(bytes.end(), address.bytes(), address.bytes() + address.bits() / 8);
  }
  bytes.push_back(static_cast<std::uint8_t>(destination.endpoint.port >> 8));
  bytes.push_back(static_cast<std::uint8_t>(destination.endpoint.port & 0xff));
}

struct NamedEndpoint {
  Endpoint endpoint;
  std::string_view host;
};

// How many bytes ATYP, address and port take, by the first two of them; 0: there is no such type.
std::size_t address_size(std::uint8_t type, std::uint8_t second) {
  switch (type) {
    case ipv4:
      return 1 + 4 + 2;
    case ipv6:
      return 1 + 16 + 2;
    case host_name:
      return std::size_t{1} + 1 + second + 2;
    default:
      return 0;
  }
}

// All address_size() bytes of it.
NamedEndpoint read_address(Bytes bytes) {
  NamedEndpoint read;
  const Bytes port = bytes.last(2);
  read.endpoint.port = static_cast<std::uint16_t>(port[0] << 8 | port[1]);
  if (bytes[0] == host_name)
    read.host = {reinterpret_cast<const char*>(bytes.data()) + 2, bytes[1]};
  else
    read.endpoint.address = Address::from_bytes(bytes[0] == ipv4 ? AF_INET : AF_INET6, bytes.data() + 1);
  return read;
}

}  // namespace

Result<> Socks5::check(const Credentials& credentials) {
  const auto fits = [](const std::string& text) { return !text.empty() && text.size() <= 255; };
  if (fits(credentials.name) && fits(credentials.password)) return {};
  return failure("the name and the password for a SOCKS5 proxy have 1 to 255 bytes each");
}

Result<Socks5> Socks5::connect(const ProxyDestination& destination, std::optional<Credentials> credentials) {
  if (const Result<> checked = check_destination(destination); !checked) return std::unexpected(checked.error());
  if (credentials) {
    if (const Result<> checked = check(*credentials); !checked) return std::unexpected(checked.error());
  }
  return Socks5(Command::connect, destination, std::move(credentials));
}

Result<Socks5> Socks5::udp_associate(const Endpoint& sender, std::optional<Credentials> credentials) {
  if (credentials) {
    if (const Result<> checked = check(*credentials); !checked) return std::unexpected(checked.error());
  }
  return Socks5(Command::udp_associate, {sender, {}}, std::move(credentials));
}

Result<Socks5> Socks5::log_in(std::optional<Credentials> credentials) {
  if (credentials) {
    if (const Result<> checked = check(*credentials); !checked) return std::unexpected(checked.error());
  }
  return Socks5(Command::none, {}, std::move(credentials));
}

Socks5::Socks5(Command command, const ProxyDestination& destination, std::optional<Credentials> credentials)
    : command_(command),
      credentials_(std::move(credentials)),
      to_send_(credentials_ ? std::vector<std::uint8_t>{version, 2, no_authentication, name_and_password}
                            : std::vector<std::uint8_t>{version, 1, no_authentication}),
      request_({version, static_cast<std::uint8_t>(command), 0}),
      received_(longest_reply) {
  append(request_, destination);
}

Step Socks5::take(Bytes received) {
  CHECK(awaited_ != Awaited::nothing);
  Step step = received_.take(received, [this](Bytes so_far) { return parse(so_far); });
  if (step.next == Step::Next::receive) return step;
  if (step.next == Step::Next::refused || awaited_ == Awaited::reply) {
    awaited_ = Awaited::nothing;
    return step;
  }
  step.next = Step::Next::send;
  if (awaited_ == Awaited::method && method_ == name_and_password) {
    to_send_ = {authentication_version};
    append(to_send_, credentials_->name);
    append(to_send_, credentials_->password);
    awaited_ = Awaited::authentication;
  } else if (command_ == Command::none) {
    awaited_ = Awaited::nothing;
    step.next = Step::Next::done;
  } else {
    to_send_ = request_;
    awaited_ = Awaited::reply;
  }
  return step;
}

Answer Socks5::parse(Bytes so_far) {
  const std::uint8_t first = awaited_ == Awaited::authentication ? authentication_version : version;
  if (!so_far.empty() && so_far[0] != first) return refuse_version();
  if (so_far.size() < 2) return Answer::need_more(2 - so_far.size());
  if (awaited_ == Awaited::method) return parse_method(so_far);
  if (awaited_ == Awaited::reply) return parse_reply(so_far);
  if (so_far[1] != 0) return Answer::refuse(Kind::authentication, "SOCKS5: name or password refused");
  return Answer::done(2);
}

Answer Socks5::parse_method(Bytes so_far) {
  method_ = so_far[1];
  if (method_ == none_acceptable)
    return Answer::refuse(Kind::authentication, credentials_ ? "SOCKS5: the proxy takes no name and password"
                                                             : "SOCKS5: the proxy wants authentication");
  if (method_ == no_authentication || (method_ == name_and_password && credentials_)) return Answer::done(2);
  return Answer::refuse(Kind::protocol_error, "SOCKS5: a method was chosen that had not been offered");
}

Answer Socks5::parse_reply(Bytes so_far) {
  // Some proxies send no more than this of a refusal.
  if (so_far[1] != 0) return refuse_reply(so_far[1]);
  if (so_far.size() < 5) {
    if (so_far.size() == 4 && address_size(so_far[3], 0) == 0) return refuse_version();
    return Answer::need_more(5 - so_far.size());
  }
  const std::size_t size = 3 + address_size(so_far[3], so_far[4]);
  if (size == 3) return refuse_version();
  if (command_ == Command::udp_associate && so_far[3] == host_name)
    return Answer::refuse(Kind::unsupported, "SOCKS5: the UDP relay is named, not addressed");
  if (so_far.size() < size) return Answer::need_more(size - so_far.size());
  const NamedEndpoint bound = read_address(so_far.subspan(3, size - 3));
  bound_ = so_far[3] == host_name ? Endpoint{} : bound.endpoint;
  return Answer::done(size);
}

std::optional<Endpoint> socks5_relay(const Endpoint& bound, const Endpoint& proxy) {
  // Multicast, broadcast, and IPv4 in IPv6, which would hide where it goes.
  static const std::array never = {*Prefix::parse("224.0.0.0/3"), *Prefix::parse("ff00::/8"),
                                   *Prefix::parse("::ffff:0:0/96")};
  static const std::array loopback = {*Prefix::parse("127.0.0.0/8"), *Prefix::parse("::1")};
  const auto is_in = [](const auto& prefixes, const Address& address) {
    return std::ranges::any_of(prefixes, [&](const Prefix& prefix) { return prefix.contains(address); });
  };
  const Endpoint relay{bound.address.is_any() ? proxy.address : bound.address, bound.port};
  if (relay.port == 0 || is_in(never, relay.address)) return std::nullopt;
  if (is_in(loopback, relay.address) && !is_in(loopback, proxy.address)) return std::nullopt;
  return relay;
}

Result<std::vector<std::uint8_t>> socks5_udp_header(const ProxyDestination& destination) {
  if (const Result<> checked = check_destination(destination); !checked) return std::unexpected(checked.error());
  std::vector<std::uint8_t> header = {0, 0, 0};  // reserved, reserved, a datagram of its own
  append(header, destination);
  return header;
}

std::optional<Socks5Datagram> parse_socks5_datagram(Bytes datagram) {
  if (datagram.size() < 5 || datagram[0] != 0 || datagram[1] != 0 || datagram[2] != 0) return std::nullopt;
  const std::size_t size = address_size(datagram[3], datagram[4]);
  if (size == 0 || datagram.size() < 3 + size || (datagram[3] == host_name && datagram[4] == 0)) return std::nullopt;
  const NamedEndpoint from = read_address(datagram.subspan(3, size));
  return Socks5Datagram{from.endpoint, from.host, datagram.subspan(3 + size)};
}

}  // namespace limpid
