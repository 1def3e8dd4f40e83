// SPDX-License-Identifier: MIT
// The user's rules and upstreams, as they were written: limpid.toml(5). Values only.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "policy/application.h"
#include "policy/flow.h"

namespace limpid {

// A part of the day, local time, from its first minute up to but without its last; past midnight if `until` is not
// later than `from`.
struct DayPart {
  std::chrono::minutes from{};   // since midnight
  std::chrono::minutes until{};  // likewise

  [[nodiscard]] bool contains(std::chrono::minutes now) const {
    return from < until ? from <= now && now < until : from <= now || now < until;
  }
  bool operator==(const DayPart&) const = default;
};

// The words that `action` may be beside an upstream's name.
inline constexpr std::string_view action_direct = "direct";
inline constexpr std::string_view action_reject = "reject";
inline constexpr std::string_view action_drop = "drop";

// Whose answers verify_host goes by (RFC 1035).
inline constexpr std::uint16_t dns_port = 53;

// What is empty matches every flow.
struct Rule {
  std::string name;
  std::vector<Prefix> from;     // clients
  std::vector<Prefix> to;       // destinations
  std::vector<PortRange> port;  // of destinations
  std::optional<Protocol> proto;
  std::vector<std::string> host;  // patterns (host_table.h)
  std::string host_file;          // a path: more of them
  bool verify_host = false;       // refuse flows to what is no address of the host, as far as the client was told
  std::vector<Application> app;
  std::optional<DayPart> time;
  std::string action{action_direct};  // or an upstream's name

  std::string host_names{};  // what is in host_file

  [[nodiscard]] bool asks_for_host() const { return !host.empty() || !host_file.empty(); }
  // Only the first bytes of a flow tell whether such a rule matches.
  [[nodiscard]] bool asks_for_identity() const { return asks_for_host() || !app.empty(); }
  bool operator==(const Rule&) const = default;
};

enum class UpstreamType : std::uint8_t { socks5, http_connect, fixed };
enum class ProxyProtocol : std::uint8_t { off, v1, v2 };
enum class Send : std::uint8_t { address, host };             // what the upstream is told to connect to
enum class WhenDown : std::uint8_t { reject, direct, drop };  // what happens to a flow that no address of it takes
enum class Source : std::uint8_t { client, address, self };   // what the other end sees: the client, its address, or us
enum class Hash : std::uint8_t { off, client };               // one client, one address of it
enum class UpstreamCheck : std::uint8_t { connect, handshake };  // what an address is asked for now and then

struct Upstream {
  std::string name;
  UpstreamType type = UpstreamType::socks5;
  std::vector<Endpoint> address;
  std::string username;
  std::string password_file;
  Send send = Send::address;
  ProxyProtocol proxy_protocol = ProxyProtocol::off;
  Source source = Source::self;
  WhenDown when_down = WhenDown::reject;
  Hash hash = Hash::off;
  bool fast_open = false;      // the first bytes go with the SYN where they can
  std::uint64_t sessions = 0;  // at a time, an address; 0: no limit
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(5);
  std::chrono::milliseconds check_interval = std::chrono::seconds(10);  // 0: in order
  UpstreamCheck check = UpstreamCheck::connect;

  std::string password{};  // what is in password_file

  // Whether it can: SOCKS5 by UDP ASSOCIATE, a fixed address as it is. Both see this machine as the sender, for answers
  // could not tell one client's flows from each other.
  [[nodiscard]] bool carries_datagrams() const {
    return source == Source::self &&
           (type == UpstreamType::socks5 || (type == UpstreamType::fixed && proxy_protocol == ProxyProtocol::off));
  }
  bool operator==(const Upstream&) const = default;
};

}  // namespace limpid
