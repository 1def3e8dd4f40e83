// SPDX-License-Identifier: MIT
#include "doctor/checks.h"

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>

#include "doctor/judgements.h"

namespace limpid {
namespace {

namespace json = boost::json;

struct Check {
  std::string_view id;
  std::string_view fine;  // said where nothing is wrong
  std::string_view why;   // what happens where something is
  void (*judge)(const Machine&, Judgements&);
};

constexpr Check all_checks[] = {
    {"kernel-features", "the kernel does what is needed of it",
     "What the kernel cannot do is refused at start, or left out.", checks::kernel_features},
    {"capabilities", "root has the capabilities that are needed", "Without them sockets, rules and routes are refused.",
     checks::capabilities},
    {"descriptors", "there are file descriptors for many sessions",
     "A session takes two descriptors; where there are none left, connections wait and time out.", checks::descriptors},
    {"loopback-down", "the interface lo is up", "Intercepted packets are delivered through lo.", checks::loopback_down},
    {"forwarding", "packets of clients are forwarded",
     "What is not taken (other ports, bypassed destinations, flows left to the kernel) is dropped without a word.",
     checks::forwarding},
    {"ipv6", "both families are there", "A client that has both prefers IPv6, and goes past.", checks::ipv6},
    {"rp-filter", "clients' packets pass the check of their source",
     "A packet whose source the kernel would reach by another interface is dropped without a word.", checks::rp_filter},
    {"src-valid-mark", "the check of sources is not misled by the mark",
     "The check of a packet's source uses its mark; the mark leads to this machine, so the client is taken for a "
     "martian.",
     checks::src_valid_mark},
    {"return-path", "answers go back where clients come in",
     "Answers that leave by another interface are often dropped on the way, or seen by nobody.", checks::return_path},
    {"bridge-netfilter", "no bridge hands its packets to iptables",
     "A packet that iptables has seen on a bridge is lost once tproxy has taken it.", checks::bridge_netfilter},
    {"timestamps", "TCP timestamps are on",
     "Without them a client's port cannot be used again for a minute after a connection.", checks::timestamps},
    {"syn-cookies", "SYN cookies are no obstacle",
     "A handshake that was answered with a cookie has no socket that its last packet could be diverted to: it is "
     "reset.",
     checks::syn_cookies},
    {"port-range", "local ports suffice, and are nobody's listener's",
     "Connections from this machine's own address take a local port each.", checks::port_range},
    {"legacy-iptables", "legacy iptables is not in use", "Its rules cannot be looked at.", checks::legacy_iptables},
    {"mark-conflict", "nobody else uses the bits of the marks", "Packets of the one are routed as those of the other.",
     checks::mark_conflict},
    {"fib-conflict", "priorities and route table are free", "Fib rules and routes would mix with somebody else's.",
     checks::fib_conflict},
    {"input-drop", "no input chain drops what is taken", "What is intercepted comes through INPUT, not FORWARD.",
     checks::input_drop},
    {"forward-drop", "no forward chain drops what the kernel is left",
     "UDP flows that could be forwarded at the kernel's speed are relayed.", checks::forward_drop},
    {"decided-first", "nobody decides before",
     "A rule that accepts, drops or redirects the packets first leaves nothing to take.", checks::decided_first},
    {"conntrack-invalid", "conntrack's view of invalid packets does no harm",
     "With the client's address and port kept, both legs of a session are one connection to conntrack, whose packets "
     "it "
     "calls invalid.",
     checks::conntrack_invalid},
    {"masquerade", "source NAT is applied",
     "With the client's address and port kept, masquerade leaves the second leg alone: the private address gets out.",
     checks::masquerade},
    {"flowtable", "no flowtable carries flows past", "Flows in a flowtable meet no rule any more.", checks::flowtable},
    {"fib-rule", "a fib rule brings marked packets here",
     "What tproxy has taken and is not delivered here is lost: the kernel forwards no packet that has a socket.",
     checks::fib_rule},
    {"fib-route", "a local route delivers marked packets",
     "What tproxy has taken and is not delivered here is lost: the kernel forwards no packet that has a socket.",
     checks::fib_route},
    {"fib-shadowed", "no other fib rule decides about marked packets",
     "The fib rule with the lowest priority number that finds a route decides.", checks::fib_shadowed},
    {"listener-missing", "somebody listens behind each tproxy rule",
     "nftables' tproxy does not match then and the packet goes on, directly; that of iptables drops it.",
     checks::listener_missing},
    {"listener-address", "listeners stand where their rules lead",
     "tproxy finds no listener there, does not match, and the packet goes on, directly.", checks::listener_address},
    {"listener-not-transparent", "listeners are transparent",
     "tproxy does not take a socket without IP_TRANSPARENT, does not match, and the packet goes on, directly.",
     checks::listener_not_transparent},
    {"divert-order", "SYNs meet tproxy before divert",
     "A SYN that meets a socket in TIME_WAIT is answered by it with an ACK, and the client waits a second.",
     checks::divert_order},
    {"local-service", "no service of this machine's holds a port that is answered from",
     "A socket on the wildcard address keeps others from answering from that port in anybody's name.",
     checks::local_service},
    {"interface", "the interfaces are there and up", "Nothing comes in at an interface that is not.",
     checks::interface},
    {"leftovers", "a dead limpid has left nothing",
     "A guard refuses connections; rules and routes hold marks and tables.", checks::leftovers},
    {"limpid-state", "limpid is well, or not running", "Connections go direct, or are refused.", checks::limpid_state},
};

std::string indented(std::string_view lines) {
  std::string text;
  for (std::size_t begin = 0; begin < lines.size();) {
    const std::size_t end = std::min(lines.find('\n', begin), lines.size());
    text += fmt::format("    {}\n", lines.substr(begin, end - begin));
    begin = end + 1;
  }
  return text;
}

}  // namespace

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::ok:
      return "ok";
    case Severity::not_looked_at:
      return "not looked at";
    case Severity::warning:
      return "warning";
    case Severity::broken:
      return "broken";
  }
  return "";
}

std::string Diagnosis::page() const { return fmt::format("docs/guide/troubleshooting.md#{}", id); }

std::vector<Diagnosis> judge(const Machine& machine) {
  std::vector<Diagnosis> findings;
  for (const Check& check : all_checks) {
    Judgements judgements;
    check.judge(machine, judgements);
    if (judgements.all().empty()) findings.push_back({check.id, Severity::ok, std::string(check.fine), check.why});
    for (const Judgement& judgement : judgements.all())
      findings.push_back({check.id, judgement.severity, judgement.what, check.why, judgement.mend});
  }
  return findings;
}

bool is_anything_broken(const std::vector<Diagnosis>& findings) {
  return std::ranges::any_of(findings, [](const Diagnosis& one) { return one.severity == Severity::broken; });
}

std::string findings_for_people(const std::vector<Diagnosis>& findings) {
  std::string text;
  for (const Diagnosis& finding : findings) {
    fmt::format_to(std::back_inserter(text), "{:<14} {}: {}\n", name_of(finding.severity), finding.id, finding.what);
    if (finding.severity == Severity::ok) continue;
    if (finding.severity != Severity::not_looked_at) text += fmt::format("    {}\n", finding.why);
    text += indented(finding.mend);
    if (finding.severity != Severity::not_looked_at) text += fmt::format("    see {}\n", finding.page());
  }
  const auto count = [&](Severity severity) { return std::ranges::count(findings, severity, &Diagnosis::severity); };
  return text + fmt::format("{} broken, {} warnings, {} not looked at, {} ok\n", count(Severity::broken),
                            count(Severity::warning), count(Severity::not_looked_at), count(Severity::ok));
}

std::string findings_to_json(const std::vector<Diagnosis>& findings) {
  json::array list;
  for (const Diagnosis& finding : findings)
    list.push_back({{"id", finding.id},
                    {"severity", name_of(finding.severity)},
                    {"what", finding.what},
                    {"why", finding.why},
                    {"mend", finding.mend},
                    {"page", finding.page()}});
  return json::serialize(json::object{{"broken", is_anything_broken(findings)}, {"findings", std::move(list)}});
}

void Judgements::add(Severity severity, std::string what, std::string mend) {
  if (std::ranges::find(all_, what, &Judgement::what) == all_.end())
    all_.push_back({severity, std::move(what), std::move(mend)});
}

void Judgements::not_looked_at(const Error& error) { add(Severity::not_looked_at, error.what, ""); }

namespace checks {

void repeat(const Machine& machine, std::string_view about, Judgements& judgements) {
  if (!machine.survey) return judgements.not_looked_at(machine.survey.error());
  for (const Remark& remark : machine.survey->conflicts)
    if (remark.about == about) judgements.add(if_wanted(steerings(machine)), remark.sentence, "");
  for (const Remark& remark : machine.survey->degraded)
    if (remark.about == about) judgements.warning(remark.sentence, "");
}

Severity if_wanted(const std::vector<Steering>& all) { return all.empty() ? Severity::warning : Severity::broken; }

std::vector<TproxyRule> by_hand(const Machine& machine, Judgements& judgements) {
  if (machine.chains) return tproxy_rules(*machine.chains);
  judgements.not_looked_at(machine.chains.error());
  return {};
}

}  // namespace checks

}  // namespace limpid
