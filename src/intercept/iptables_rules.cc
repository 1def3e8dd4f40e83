// SPDX-License-Identifier: MIT
#include "intercept/iptables_rules.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "intercept/rule_words.h"

namespace limpid {
namespace {

using rules::clients_zone;
using rules::Lines;

constexpr std::size_t ports_a_rule = 15;  // a range counts twice (XT_MULTI_PORTS, xt_multiport.h)

std::string tool(int family) { return family == AF_INET ? "iptables" : "ip6tables"; }

// "-m mark --mark 0x01000000/0x0f000000"; iptables itself leaves zeros out.
std::string has_mark(Mark mark) { return fmt::format("-m mark --mark 0x{:x}/0x{:x}", mark.bits, mark.mask); }

std::string interface(const std::string& name) {
  return name.ends_with('*') ? name.substr(0, name.size() - 1) + "+" : name;
}

// "80,8000:8999", as many pieces as it takes.
Lines multiport(const std::vector<PortRange>& ranges) {
  Lines pieces;
  std::size_t room = 0;
  for (const PortRange& range : ranges) {
    const std::size_t size = range.first == range.last ? 1 : 2;
    const std::string text =
        range.first == range.last ? fmt::format("{}", range.first) : fmt::format("{}:{}", range.first, range.last);
    if (room < size) {
      pieces.push_back(text);
      room = ports_a_rule - size;
    } else {
      pieces.back() += "," + text;
      room -= size;
    }
  }
  return pieces;
}

// The chains of a table, in order; the first is what the hook jumps to.
struct XtTable {
  std::string name;
  std::string hook;
  std::vector<rules::Chain> chains{};
};

struct Builder {
  const Plan& plan;
  int family;

  [[nodiscard]] std::string chain(std::string_view what) const {
    return fmt::format("LIMPID_{}{}", plan.whose.name, what);
  }

  void add_exceptions(Lines& lines) const {
    for (const std::string_view kind : {"LOCAL", "BROADCAST", "MULTICAST", "ANYCAST"})
      if (family == AF_INET || kind != "BROADCAST")  // which xt_addrtype refuses for IPv6, where there is none
        lines.push_back(fmt::format("-m addrtype --dst-type {} -j RETURN", kind));
    for (const Prefix& prefix : plan.settings.bypass)
      if (prefix.address.family() == family) lines.push_back(fmt::format("-d {} -j RETURN", prefix.text()));
    for (const Prefix& prefix : plan.settings.bypass_from)
      if (prefix.address.family() == family) lines.push_back(fmt::format("-s {} -j RETURN", prefix.text()));
  }

  [[nodiscard]] std::string tproxy(Mark mark) const {
    const Endpoint at = plan.listener(family);
    return fmt::format("-j TPROXY --on-port {} --on-ip {} --tproxy-mark 0x{:x}/0x{:x}", at.port, at.address.text(),
                       mark.bits, mark.mask);
  }

  // Packets that open something, by interface and port.
  void add_new(std::string_view then, Lines& lines) const {
    for (const std::string& name : plan.settings.interfaces) {
      for (const std::string& ports : multiport(plan.settings.tcp))
        lines.push_back(fmt::format("-i {} -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m multiport --dports {} {}",
                                    interface(name), ports, then));
      for (const std::string& ports : multiport(plan.settings.udp))
        lines.push_back(fmt::format("-i {} -p udp -m multiport --dports {} {}", interface(name), ports, then));
    }
  }

  // What belongs to a socket of the proxy's. Without --nowildcard, which would count listeners on all addresses in.
  static void add_sockets(std::string_view before, int family, std::string_view then, Lines& lines) {
    for (const std::string_view proto : {"tcp", "udp", family == AF_INET ? "icmp" : "ipv6-icmp"})
      lines.push_back(fmt::format("{}-p {} -m socket --transparent {}", before, proto, then));
  }

  [[nodiscard]] XtTable mangle() const {
    const Intercept& settings = plan.settings;
    rules::Chain all{chain(""), "", {}}, fresh{chain("_new"), "", {}}, divert{chain("_divert"), "", {}};
    // Our own probe, looped back.
    all.rules.push_back(fmt::format("-i lo -p tcp {} {}", has_mark(settings.local_mark), tproxy(settings.local_mark)));
    all.rules.push_back(fmt::format("-m mark ! --mark 0x0/0x{:x} -j RETURN", settings.mark.mask));
    // Before the sockets: a SYN for one in TIME_WAIT would be answered with an ACK.
    add_new("-g " + fresh.name, all.rules);
    add_sockets("", family, "-g " + divert.name, all.rules);
    add_exceptions(fresh.rules);
    if (!settings.tcp.empty()) fresh.rules.push_back("-p tcp " + tproxy(settings.mark));
    if (!settings.udp.empty()) fresh.rules.push_back("-p udp " + tproxy(settings.mark));
    divert.rules = {fmt::format("-j MARK --set-xmark 0x{:x}/0x{:x}", settings.mark.bits, settings.mark.mask),
                    "-j ACCEPT"};
    return {"mangle", "PREROUTING", {all, fresh, divert}};
  }

  // The clients' side gets a conntrack zone of its own (docs/kernel.md, F7).
  [[nodiscard]] std::vector<XtTable> raw() const {
    const std::string zone = fmt::format("-j CT --zone {}", clients_zone);
    rules::Chain all{chain(""), "", {}}, fresh{chain("_new"), "", {}}, to_clients{chain("_out"), "", {}};
    add_new("-g " + fresh.name, all.rules);
    for (const std::string& name : plan.settings.interfaces) {
      add_sockets(fmt::format("-i {} ", interface(name)), family, zone, all.rules);
      to_clients.rules.push_back(fmt::format("-o {} -m addrtype ! --src-type LOCAL {}", interface(name), zone));
    }
    add_exceptions(fresh.rules);
    fresh.rules.push_back(zone);
    return {{"raw", "PREROUTING", {all, fresh}}, {"raw", "OUTPUT", {to_clients}}};
  }

  [[nodiscard]] std::vector<XtTable> tables(const Conditions& conditions) const {
    std::vector<XtTable> all;
    if (conditions.zones) all = raw();
    all.push_back(mangle());
    return all;
  }
};

}  // namespace

Result<> check_for_iptables(const Plan& plan) {
  const auto refused = [](std::string_view what) {
    return failure(fmt::format("{} is not for --backend iptables, which cannot do it: use nft", what));
  };
  if (plan.settings.local) return refused("--local");
  if (plan.settings.without_us == WithoutUs::closed) return refused("--without-us closed");
  if (plan.whose.name.size() > 14)
    return refused(fmt::format("a name of more than 14 letters (\"{}\")", plan.whose.name));
  return {};
}

std::string iptables_rules(const Plan& plan, const Conditions& conditions, int family) {
  std::string text;
  for (const XtTable& table : Builder{plan, family}.tables(conditions)) {
    text += fmt::format("*{}\n", table.name);
    for (const rules::Chain& chain : table.chains) text += fmt::format(":{} - [0:0]\n", chain.name);
    text += fmt::format("-A {} -j {}\n", table.hook, table.chains.front().name);
    for (const rules::Chain& chain : table.chains)
      for (const std::string& rule : chain.rules) text += fmt::format("-A {} {}\n", chain.name, rule);
    text += "COMMIT\n";
  }
  return text;
}

std::vector<std::string> iptables_undo(const Plan& plan, const Conditions& conditions, int family) {
  std::vector<std::string> commands;
  for (const XtTable& table : Builder{plan, family}.tables(conditions)) {
    const std::string before = fmt::format("{} -t {}", tool(family), table.name);
    commands.push_back(fmt::format("{} -D {} -j {}", before, table.hook, table.chains.front().name));
    for (const char* const verb : {"-F", "-X"})
      for (const rules::Chain& chain : table.chains)
        commands.push_back(fmt::format("{} {} {}", before, verb, chain.name));
  }
  return commands;
}

}  // namespace limpid
