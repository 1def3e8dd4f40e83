// SPDX-License-Identifier: MIT
#include <netinet/in.h>

#include <algorithm>
#include <charconv>

#include "daemon/confine.h"
#include "doctor/judgements.h"

namespace limpid::checks {
namespace {

constexpr std::uint64_t few_descriptors = 4096;
constexpr int few_ports = 10'000;

std::pair<int, int> range_of(const std::string& text) {
  std::pair<int, int> range{};
  const char* const end = text.data() + text.size();
  const char* next = std::from_chars(text.data(), end, range.first).ptr;
  while (next < end && (*next == ' ' || *next == '\t' || *next == '-')) ++next;
  if (std::from_chars(next, end, range.second).ptr == next) range.second = range.first;
  return range;
}

// As ip_local_reserved_ports has them: "8080,9000-9100".
bool is_reserved(const std::string& list, int port) {
  for (std::size_t begin = 0; begin < list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    const auto [first, last] = range_of(list.substr(begin, end - begin));
    if (first <= port && port <= last) return true;
    begin = end + 1;
  }
  return false;
}

bool has_family(const std::vector<Arrival>& arrivals, int family) {
  return std::ranges::any_of(arrivals, [&](const Arrival& one) { return one.client.family() == family; });
}

}  // namespace

void kernel_features(const Machine& machine, Judgements& judgements) {
  if (!machine.features) return judgements.not_looked_at(machine.features.error());
  for (const Feature& feature : *machine.features)
    if (!feature.works)
      judgements.broken(
          fmt::format("{}: {}; without it: {}", feature.name, feature.works.error().what, feature.without), "");
}

void capabilities(const Machine& machine, Judgements& judgements) {
  for (const Capability& capability : needed_capabilities())
    if ((machine.capabilities >> capability.number & 1) == 0)
      judgements.broken(
          fmt::format("root has not got {} here: a container or a service leaves it out", capability.name), "");
}

void descriptors(const Machine& machine, Judgements& judgements) {
  const std::string limit =
      fmt::format("a process may have {} descriptors (ulimit -Hn), which are enough for {} sessions",
                  machine.descriptors, machine.budget);
  const std::string mend = "prlimit --nofile=1048576 limpid run ...\nLimitNOFILE=1048576 in the systemd unit";
  if (machine.config && machine.config->limits.sessions > machine.budget)
    judgements.warning(fmt::format("{}; the configuration wants {}", limit, machine.config->limits.sessions), mend);
  else if (machine.descriptors < few_descriptors)
    judgements.warning(limit, mend);
}

void loopback_down(const Machine& machine, Judgements& judgements) {
  for (const Link& link : machine.links)
    if (link.name == "lo" && !link.is_up)
      judgements.add(if_wanted(steerings(machine)), "the interface lo is down", "ip link set lo up");
}

void forwarding(const Machine& machine, Judgements& judgements) {
  const std::vector<Steering> all = steerings(machine);
  for (const Arrival& arrival : concerned(machine, all)) {
    const bool is_v4 = arrival.client.family() == AF_INET;
    const std::string key =
        is_v4 ? fmt::format("ipv4/conf/{}/forwarding", arrival.interface) : "ipv6/conf/all/forwarding";
    if (machine.setting(key) != "0") continue;
    judgements.add(if_wanted(all),
                   fmt::format("{} packets that come in at {} are not forwarded", is_v4 ? "IPv4" : "IPv6",
                               is_v4 ? arrival.interface : "any interface"),
                   is_v4 ? "sysctl -w net.ipv4.ip_forward=1" : "sysctl -w net.ipv6.conf.all.forwarding=1");
  }
}

void ipv6(const Machine& machine, Judgements& judgements) {
  repeat(machine, "ipv6", judgements);
  if (!judgements.all().empty()) return;
  const std::vector<Steering> all = steerings(machine);
  const std::vector<Arrival> arrivals = concerned(machine, all);
  if (all.empty()) return;
  for (const Arrival& arrival : arrivals)
    if (machine.setting(fmt::format("ipv6/conf/{}/disable_ipv6", arrival.interface)) == "1")
      judgements.warning(fmt::format("IPv6 is switched off on {}, and on others it is not", arrival.interface),
                         fmt::format("sysctl -w net.ipv6.conf.{}.disable_ipv6=0", arrival.interface));
  for (const int family : {AF_INET, AF_INET6}) {
    const bool is_taken = std::ranges::any_of(
        all, [&](const Steering& one) { return std::ranges::find(one.families, family) != one.families.end(); });
    if (!is_taken && has_family(machine.arrivals, family) && machine.setting("ipv6/conf/all/forwarding") != "0")
      judgements.warning(
          fmt::format("no rule takes {}, which clients have here: what goes by it goes past", family_name(family)), "");
  }
}

void timestamps(const Machine& machine, Judgements& judgements) {
  if (machine.setting("ipv4/tcp_timestamps") == "0")
    judgements.warning("TCP timestamps are off", "sysctl -w net.ipv4.tcp_timestamps=1");
}

void syn_cookies(const Machine& machine, Judgements& judgements) {
  const bool are_forced = machine.setting("ipv4/tcp_syncookies") == "2";
  for (const TproxyRule& rule : by_hand(machine, judgements))
    if (are_forced && std::ranges::find(rule.protocols, IPPROTO_TCP) != rule.protocols.end())
      judgements.broken(fmt::format("each SYN is answered with a cookie, which {} knows nothing of", where(rule.chain)),
                        "sysctl -w net.ipv4.tcp_syncookies=1");
}

void port_range(const Machine& machine, Judgements& judgements) {
  const auto [first, last] = range_of(machine.setting("ipv4/ip_local_port_range"));
  if (last - first < few_ports && last > 0)
    judgements.warning(fmt::format("there are {} local ports ({} to {})", last - first + 1, first, last),
                       "sysctl -w net.ipv4.ip_local_port_range=\"32768 60999\"");
  for (const TproxyRule& rule : by_hand(machine, judgements)) {
    if (rule.port < first || rule.port > last) continue;
    if (is_reserved(machine.setting("ipv4/ip_local_reserved_ports"), rule.port)) continue;
    judgements.warning(
        fmt::format("port {}, to which {} leads, is one of the local ports: another program's connection may "
                    "have it when its listener starts",
                    rule.port, where(rule.chain)),
        fmt::format("sysctl -w net.ipv4.ip_local_reserved_ports={}", rule.port));
  }
}

void bridge_netfilter(const Machine& machine, Judgements& judgements) {
  const std::string v4 = "bridge/bridge-nf-call-iptables", v6 = "bridge/bridge-nf-call-ip6tables";
  const bool everywhere = (!machine.setting(v4).empty() && machine.setting(v4) != "0") ||
                          (!machine.setting(v6).empty() && machine.setting(v6) != "0");
  const std::vector<Steering> all = steerings(machine);
  const std::string mend = "sysctl -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0";
  for (const Link& link : machine.links) {
    if (!link.is_bridge || (!everywhere && !link.calls_iptables)) continue;
    for (const Steering& one : all) {
      if (!is_named(link.name, one.interfaces)) continue;
      if (!one.is_limpid)
        judgements.broken(
            fmt::format("the bridge {} hands its packets to iptables, and {} takes them", link.name, one.who), mend);
      else if (!machine.config->intercept.udp.empty())
        judgements.warning(
            fmt::format("the bridge {} hands its packets to iptables: fragmented datagrams are forwarded, "
                        "not taken",
                        link.name),
            mend);
    }
  }
}

}  // namespace limpid::checks
