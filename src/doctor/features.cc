// SPDX-License-Identifier: MIT
#include "doctor/features.h"

#include <array>

#include "daemon/udp_sockets.h"
#include "intercept/installation.h"
#include "net/lab.h"
#include "net/socket.h"

namespace limpid {
namespace {

constexpr Mark mark_of_trial{0x1, 0x1};

struct NftTrial {
  std::string_view name;
  std::string_view without;
  std::string_view table;  // what stands between the braces of a table
};

constexpr std::string_view refused_at_start = "limpid does not start";
constexpr std::array<NftTrial, 11> nft_trials{{
    {"nftables: tproxy for IPv4", refused_at_start,
     "chain c { type filter hook prerouting priority raw; meta l4proto { tcp, udp } meta nfproto ipv4 tproxy ip to "
     "127.0.0.1:1 accept; }"},
    {"nftables: tproxy for IPv6", refused_at_start,
     "chain c { type filter hook prerouting priority raw; meta l4proto { tcp, udp } meta nfproto ipv6 tproxy ip6 to "
     "[::1]:1 accept; }"},
    {"nftables: socket transparent, mark and wildcard", refused_at_start,
     "chain c { type filter hook prerouting priority raw; socket transparent 1 socket mark 1 socket wildcard 0 accept; "
     "}"},
    {"nftables: tables that go with their owner (flags owner)", refused_at_start, "flags owner;"},
    {"nftables: reject in prerouting", "no without_us = \"closed\", no rules that reject",
     "chain c { type filter hook prerouting priority raw; meta l4proto tcp reject with tcp reset; reject with icmpx "
     "admin-prohibited; }"},
    {"nftables: look-up of local addresses (fib)", refused_at_start,
     "chain c { type filter hook prerouting priority raw; fib daddr type local return; }"},
    {"nftables: sets that packets fill", "no local, no SYN cookies",
     "set s { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 10s; size 10; }; chain c { type filter "
     "hook prerouting priority raw; update @s { ip saddr . tcp sport }; }"},
    {"nftables: counters of set elements", "no handover of UDP flows",
     "set s { type ipv4_addr; flags dynamic,timeout; counter; timeout 10s; size 10; }; chain c { type filter hook "
     "prerouting priority raw; update @s { ip saddr counter }; }"},
    {"nftables: chains that route again (type route)", "no local",
     "chain c { type route hook output priority mangle; meta mark set 1; }"},
    {"nftables: conntrack zones (ct zone set)", "no interception where conntrack is in use",
     "chain c { type filter hook prerouting priority raw; ct zone set 5300; }"},
    {"nftables: the users of sockets (meta skuid)", "no local",
     "chain c { type filter hook output priority raw; meta skuid 1 return; }"},
}};

Result<> load(const NftTrial& trial) {
  Result<Nft> nft = Nft::open();
  if (!nft) return std::unexpected(nft.error());
  const auto loaded = nft->run(fmt::format("table inet trial {{\n{}\n}}\n", trial.table));
  if (!loaded) return std::unexpected(loaded.error());
  if (const auto removed = nft->run("delete table inet trial\n"); !removed) return std::unexpected(removed.error());
  return {};
}

Result<> add_fib_rules(int family) {
  Result<Fib> fib = Fib::open();
  if (!fib) return std::unexpected(fib.error());
  const FibRule last{.family = family, .priority = 11, .interface = "lo", .mark = mark_of_trial, .target = 5300};
  const FibRule past{.family = family,
                     .priority = 9,
                     .interface = "lo",
                     .mark = mark_of_trial,
                     .action = FibRule::Action::go_to,
                     .target = 11};
  for (const FibRule& rule : {last, past})
    if (Result<> added = fib->add(rule); !added) return added;
  for (const FibRule& rule : {past, last})
    if (Result<> removed = fib->remove(rule); !removed) return removed;
  return {};
}

// A connection between two sockets of ours, destroyed as those of a dead limpid are.
Result<> destroy_a_connection(int family) {
  const Result<Fd> listener = listen_transparent({Address::loopback(family), 0}, mark_of_trial);
  if (!listener) return std::unexpected(listener.error());
  const Result<Endpoint> at = local_endpoint(listener->raw());
  if (!at) return std::unexpected(at.error());
  const auto socket = upstream_socket(family, mark_of_trial);
  if (!socket) return errno_failure("socket", socket.error());
  const int refusal = start_connect(socket->raw(), *at);
  if (refusal != 0 && refusal != EINPROGRESS) return errno_failure("connect", refusal);
  const Result<Destroyed> destroyed = destroy_tcp_sockets(mark_of_trial);
  if (!destroyed) return std::unexpected(destroyed.error());
  if (destroyed->destroyed == 0) return failure("SOCK_DESTROY: the kernel destroys no sockets");
  return {};
}

Result<> listen_to_datagrams(int family) {
  const Result<UdpSockets> sockets = UdpSockets::open({family}, mark_of_trial, mark_of_trial);
  if (!sockets) return std::unexpected(sockets.error());
  return {};
}

// All of it, as `run` installs it, in whatever conditions there may be.
Result<> install(const Plan& plan) {
  for (const bool is_busy : {false, true}) {
    Result<Installation> installation =
        Installation::install(plan, {.taking = true, .zones = is_busy, .early = is_busy, .cookies = is_busy});
    if (!installation) return std::unexpected(installation.error());
    const Removed removed = installation->withdraw(GuardFate::remove);
    if (!removed.errors.empty()) return std::unexpected(removed.errors.front());
  }
  return {};
}

}  // namespace

Result<std::vector<Feature>> try_features(const Plan& plan) {
  const Result<NetworkNamespace> scratch = NetworkNamespace::create();
  if (!scratch) return std::unexpected(scratch.error());
  const NetworkNamespace::Inside inside(*scratch);
  std::vector<Feature> features;
  for (const NftTrial& trial : nft_trials)
    features.push_back({std::string(trial.name), std::string(trial.without), load(trial)});
  for (const int family : families(plan)) {
    const auto add = [&](std::string_view name, std::string_view without, Result<> works) {
      features.push_back({fmt::format("{}: {}", family_name(family), name), std::string(without), std::move(works)});
    };
    add("fib rules by mark, with protocol and goto", refused_at_start, add_fib_rules(family));
    add("destroying sockets (SOCK_DESTROY)", "no clean end", destroy_a_connection(family));
    add("transparent sockets for datagrams", "no udp", listen_to_datagrams(family));
  }
  features.push_back({"limpid's own rules, fib rules and routes", std::string(refused_at_start), install(plan)});
  return features;
}

}  // namespace limpid
