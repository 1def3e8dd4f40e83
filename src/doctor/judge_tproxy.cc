// SPDX-License-Identifier: MIT
#include <netinet/in.h>

#include <algorithm>

#include "doctor/judgements.h"
#include "intercept/mark_use.h"

namespace limpid::checks {
namespace {

bool is_loopback(const Address& address) {
  return address.family() == AF_INET ? address.bytes()[0] == 127 : address == Address::loopback(AF_INET6);
}

bool serves(const WaitingSocket& socket, int family) {
  return socket.at.family() == family || (family == AF_INET && socket.at.address.is_any() && !socket.ipv6_only);
}

// One thing that a rule leads to: a port over one protocol, in one family.
struct Door {
  const TproxyRule& rule;
  int family;
  int protocol;

  [[nodiscard]] std::string name() const {
    return fmt::format("{} port {} ({})", protocol == IPPROTO_TCP ? "TCP" : "UDP", rule.port, family_name(family));
  }
  // nf_tproxy_laddr4(), nf_tproxy_laddr6(): without an address in the rule it is one of the interface's.
  [[nodiscard]] bool leads_to(const Address& address) const {
    if (address.is_any()) return true;
    if (rule.address) return address == *rule.address;
    return is_loopback(address) == (rule.interfaces == std::vector<std::string>{"lo"});
  }
};

std::vector<Door> doors(const std::vector<TproxyRule>& rules) {
  std::vector<Door> all;
  for (const TproxyRule& rule : rules)
    for (const int family : rule.families)
      for (const int protocol : rule.protocols) all.push_back({rule, family, protocol});
  return all;
}

std::vector<WaitingSocket> at(const Machine& machine, const Door& door) {
  std::vector<WaitingSocket> found;
  for (const WaitingSocket& socket : machine.sockets)
    if (socket.protocol == door.protocol && socket.at.port == door.rule.port && serves(socket, door.family))
      found.push_back(socket);
  return found;
}

std::vector<WaitingSocket> behind(const Machine& machine, const Door& door) {
  std::vector<WaitingSocket> found = at(machine, door);
  std::erase_if(found, [&](const WaitingSocket& socket) { return !door.leads_to(socket.at.address); });
  return found;
}

std::string rule_text(const Door& door) { return fmt::format("{} (\"{}\")", where(door.rule.chain), door.rule.text()); }

}  // namespace

void listener_missing(const Machine& machine, Judgements& judgements) {
  const std::vector<TproxyRule> rules = by_hand(machine, judgements);
  for (const Door& door : doors(rules))
    if (at(machine, door).empty())
      judgements.broken(fmt::format("nobody listens on {}, to which {} leads", door.name(), rule_text(door)),
                        fmt::format("ss -Hln{} sport = :{}", door.protocol == IPPROTO_TCP ? 't' : 'u', door.rule.port));
}

void listener_address(const Machine& machine, Judgements& judgements) {
  const std::vector<TproxyRule> rules = by_hand(machine, judgements);
  for (const Door& door : doors(rules)) {
    const std::vector<WaitingSocket> there = at(machine, door);
    if (there.empty() || !behind(machine, door).empty()) continue;
    const bool is_v4 = door.family == AF_INET;
    judgements.broken(
        fmt::format("the listener of {} stands at {}, and {} leads to {}", door.name(), there.front().at.text(),
                    rule_text(door), door.rule.address ? door.rule.address->text() : "the interface's own address"),
        fmt::format("tproxy {} to {}:{}    # in the rule; or have the program listen on {}", is_v4 ? "ip" : "ip6",
                    is_v4 ? there.front().at.address.text() : fmt::format("[{}]", there.front().at.address.text()),
                    door.rule.port, is_v4 ? "0.0.0.0" : "[::]"));
  }
}

void listener_not_transparent(const Machine& machine, Judgements& judgements) {
  const std::vector<TproxyRule> rules = by_hand(machine, judgements);
  for (const Door& door : doors(rules)) {
    const std::vector<WaitingSocket> there = behind(machine, door);
    if (there.empty()) continue;
    if (std::ranges::any_of(there, [](const WaitingSocket& socket) { return !socket.is_transparent; }))
      judgements.not_looked_at({"this kernel does not tell which sockets are transparent (Linux 5.10)"});
    else if (std::ranges::none_of(there, [](const WaitingSocket& socket) { return *socket.is_transparent; }))
      judgements.broken(fmt::format("the listener of {}, to which {} leads, has not set IP_TRANSPARENT", door.name(),
                                    rule_text(door)),
                        "# the program has an option for it: tproxy, transparent, ip-transparent");
  }
}

void divert_order(const Machine& machine, Judgements& judgements) {
  for (const TproxyRule& rule : by_hand(machine, judgements)) {
    if (std::ranges::find(rule.protocols, IPPROTO_TCP) == rule.protocols.end()) continue;
    for (std::size_t place = 0; place < rule.place; ++place) {
      const std::string& earlier = rule.chain.rules[place];
      if (earlier.find("socket transparent") == std::string::npos || earlier.find("tproxy") != std::string::npos ||
          earlier.find("tcp flags") != std::string::npos || earlier.find("l4proto udp") != std::string::npos)
        continue;
      judgements.warning(
          fmt::format("in {} the divert rule (\"{}\") comes before \"{}\"", where(rule.chain), earlier, rule.text()),
          "tcp flags & (syn | ack) == syn tproxy ...    # first; then \"socket transparent 1\"");
    }
  }
}

void local_service(const Machine& machine, Judgements& judgements) {
  for (const TproxyRule& rule : by_hand(machine, judgements)) {
    if (std::ranges::find(rule.protocols, IPPROTO_UDP) == rule.protocols.end()) continue;
    for (const WaitingSocket& socket : machine.sockets) {
      const bool is_taken = std::ranges::any_of(rule.taken, [&](const PortRange& range) {
        return range.first <= socket.at.port && socket.at.port <= range.last;
      });
      if (socket.protocol != IPPROTO_UDP || !is_taken || !socket.at.address.is_any() || socket.at.port == rule.port ||
          socket.is_transparent.value_or(false))
        continue;
      judgements.warning(
          fmt::format("a service of uid {} holds UDP port {} on every address, and {} takes datagrams to it: "
                      "a proxy cannot bind DESTINATION:{} to answer (EADDRINUSE)",
                      socket.uid, socket.at.port, where(rule.chain), socket.at.port),
          fmt::format("ss -Hlnup sport = :{}    # have it listen on an address of its own", socket.at.port));
    }
  }
}

}  // namespace limpid::checks
