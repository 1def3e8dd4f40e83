// SPDX-License-Identifier: MIT
// The kernel state that is wanted, as values: no system call is made here. ruleset.h turns them into text,
// installation.h into reality.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "intercept/kernel_rules.h"
#include "net/address.h"

namespace limpid {

// The protocol number (`ip rule ... proto 153`) that tags our fib rules and routes, so that the next start knows them.
inline constexpr std::uint8_t limpid_protocol = 153;
// The one that tables, fib rules and routes of a set-up by `limpid rules` have: a number each.
inline constexpr std::uint8_t first_rules_protocol = 154;
inline constexpr int most_rules = 7;
inline constexpr std::size_t longest_rules_name = 24;

// Whose kernel state it is: what its tables are called, and what tags its fib rules and routes.
struct Instance {
  std::string name{};  // of a set-up for a proxy that is not ours (`limpid rules`); empty: limpid's own
  std::uint8_t protocol = limpid_protocol;
  bool stays = false;  // no table of it has an owner: all of it outlives who made it

  [[nodiscard]] bool is_foreign() const { return !name.empty(); }
  [[nodiscard]] std::string table() const;  // "inet limpid", "inet limpid_rules_squid"
  [[nodiscard]] std::string guard() const;  // "inet limpid_guard", "inet limpid_guard_squid"
  // Behind the table's opening brace: "flags owner;", and of a foreign proxy's what finds the protocol again.
  [[nodiscard]] std::string head() const;
  [[nodiscard]] std::string guard_head() const;
  bool operator==(const Instance&) const = default;
};
inline constexpr std::string_view rules_table = "limpid_rules_", rules_guard = "limpid_guard_";
inline constexpr std::string_view rules_comment = "limpid rules, protocol ";

// Ports of the listeners on 127.0.0.1 and ::1; 0 where a family is not served.
struct ListenerPorts {
  std::uint16_t ipv4 = 0;
  std::uint16_t ipv6 = 0;

  [[nodiscard]] std::uint16_t of(int family) const { return family == AF_INET ? ipv4 : ipv6; }
  bool operator==(const ListenerPorts&) const = default;
};

// Where UDP comes in, a family. The listeners for datagrams with DF have ports of their own in IPv4 (net/datagram.h).
struct DatagramPorts {
  std::uint16_t request = 0;  // from clients
  std::uint16_t request_df = 0;
  std::uint16_t here = 0;  // this machine's own requests
  std::uint16_t here_df = 0;
  std::uint16_t answer = 0;  // from destinations
  std::uint16_t answer_df = 0;
  bool operator==(const DatagramPorts&) const = default;
};

// A cgroup (version 2) whose own connections are never taken: its path below the root, and how deep that is.
struct Cgroup {
  std::string path;  // "system.slice/limpid.service"
  int level = 0;     // 2
  bool operator==(const Cgroup&) const = default;
};

// What was taken earlier in this run, and is not any more: sessions of then go on.
struct Held {
  std::vector<std::string> interfaces;
  std::vector<PortRange> tcp;
  bool local = false;

  // With what was wanted until now, and without what is from now on.
  [[nodiscard]] Held changed(const Intercept& before, const Intercept& now) const;
  bool operator==(const Held&) const = default;
};

// What does not change while we run, but by a reload.
struct Plan {
  Intercept settings;
  Held held{};
  // Flows that do not come by interception go to their servers in the client's name: from listeners of the user's.
  bool borrows = false;
  // Upstreams that see their client's address. What one on this machine answers must not leave it.
  std::vector<Endpoint> upstreams{};
  ListenerPorts ports;
  DatagramPorts udp4{}, udp6{};
  bool handover = false;  // there are sets of flows that the kernel forwards by itself
  KernelRules rules{};
  std::optional<uid_t> worker_uid = 0;  // whose connections are never taken
  std::optional<Cgroup> cgroup;
  Instance whose{};
  Address listen4 = Address::loopback(AF_INET), listen6 = Address::loopback(AF_INET6);  // `ports` are of these

  // The listener of a proxy that is not ours: its sockets carry no mark, and TCP and UDP have the same port.
  [[nodiscard]] bool is_foreign() const { return whose.is_foreign(); }
  [[nodiscard]] Endpoint listener(int family) const {
    return {family == AF_INET ? listen4 : listen6, ports.of(family)};
  }

  // Nothing of the kernel, not even the table that is the lock.
  [[nodiscard]] bool is_empty() const { return !settings.is_wanted() && !borrows; }
  // Something on this machine may be told from its packets alone, by an address that others use as well.
  [[nodiscard]] bool steers_answers() const;
  // Where sessions may be that live.
  [[nodiscard]] std::vector<PortRange> live_tcp() const;
  [[nodiscard]] const DatagramPorts& udp(int family) const { return family == AF_INET ? udp4 : udp6; }
  bool operator==(const Plan&) const = default;
};

// What does.
struct Conditions {
  bool taking = false;   // new connections are ours
  bool zones = false;    // conntrack is in use on this machine: the clients' side gets a zone of its own
  bool early = false;    // a bridge hands its packets to iptables: our chain must come before everything
  bool cookies = false;  // the kernel answers SYNs with cookies: a handshake's last ACK has no socket
  bool filters = false;  // others filter what is forwarded: flows that the kernel has carry own_mark for them

  // Whether one prerouting hook sees both sides of a session. Each costs every packet, and only conntrack and bridges
  // need two.
  [[nodiscard]] bool is_one_hook() const { return !zones && !early; }
  bool operator==(const Conditions&) const = default;
};

// A rule of the routing policy database (ip-rule(8)).
struct FibRule {
  enum class Action { lookup, go_to };

  int family = AF_INET;
  std::uint32_t priority = 0;
  std::optional<Endpoint> from{};  // of TCP: that address and port alone
  std::string interface;           // "iif", or empty
  Mark mark;                       // mask 0: the rule does not look at it
  Action action = Action::lookup;
  std::uint32_t target = 0;  // the table looked up, or the priority gone to
  std::uint8_t protocol = limpid_protocol;

  // "-4 rule add priority 100 fwmark 0x1/0x1 lookup 5300 protocol 153", to be put behind "ip ".
  [[nodiscard]] std::string text() const;
  bool operator==(const FibRule&) const = default;
};

// A route that delivers everything to this machine: "local default dev lo".
struct FibRoute {
  int family = AF_INET;
  std::uint32_t table = 0;
  std::uint8_t protocol = limpid_protocol;

  // "-4 route add local default dev lo table 5300 proto 153", to be put behind "ip ".
  [[nodiscard]] std::string text() const;
  bool operator==(const FibRoute&) const = default;
};

// Whether the configuration asks anything of the kernel but sockets.
[[nodiscard]] bool wants_kernel(const Config& config);
// What the configuration asks of the kernel for flows that do not come by interception: Plan::borrows and
// Plan::upstreams.
[[nodiscard]] bool borrows_addresses(const Config& config);
[[nodiscard]] std::vector<Endpoint> upstreams_that_see_clients(const Config& config);

// The plan for a configuration as it can be told without opening a socket: ports that `run` would choose are made up.
[[nodiscard]] Plan plan_on_paper(const Config& config, uid_t worker_uid);

// The families that have a listener.
[[nodiscard]] std::vector<int> families(const Plan& plan);

// Both in the order in which they are to be added.
[[nodiscard]] std::vector<FibRoute> fib_routes(const Plan& plan);
[[nodiscard]] std::vector<FibRule> fib_rules(const Plan& plan);

}  // namespace limpid
