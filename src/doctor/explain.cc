// SPDX-License-Identifier: MIT
#include "doctor/explain.h"

#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>

#include "doctor/owner.h"
#include "doctor/replica.h"
#include "doctor/tproxy_rules.h"
#include "intercept/mark_use.h"

namespace limpid {
namespace {

// The hook of a base chain: "prerouting".
std::string hook_of(const NftChain& chain) {
  const auto words = words_of(chain.hook);
  const auto word = std::ranges::find(words, "hook");
  return word == words.end() || word + 1 == words.end() ? "" : std::string(*(word + 1));
}

std::string name_of(const TraceStep& step) {
  return fmt::format("{} {} {}", step.event.family, step.event.table, step.event.chain);
}

// A chain without a rule that matched need not be told. `mark`: what it was told to be, before and after.
void tell(const std::vector<TraceStep>& steps, std::uint32_t& mark, std::vector<std::string>& lines) {
  std::string hook;
  for (const TraceStep& step : steps) {
    const bool is_told = step.event.kind != TraceEvent::Kind::returned && !Replica::is_own(step);
    if (const std::string here = hook_of(step.chain); is_told && !here.empty() && here != hook) {
      hook = here;
      lines.push_back(hook + ":");
    }
    if (is_told) {
      const std::string what = step.event.kind == TraceEvent::Kind::policy ? "policy " + step.event.verdict : step.rule;
      lines.push_back(fmt::format("  {}: {}", name_of(step), what));
    }
    if (step.event.mark == mark) continue;
    mark = step.event.mark;
    lines.push_back(fmt::format("  its mark is 0x{:08x} now", mark));
  }
}

// The tproxy rule that took it, if one did.
std::optional<TproxyRule> taken_by(const std::vector<TraceStep>& steps) {
  std::optional<TproxyRule> found;
  for (const TraceStep& step : steps) {
    NftChain chain = step.chain;
    chain.rules = {step.rule};
    if (auto rule = step.rule.empty() ? std::nullopt : read_tproxy_rule(chain, 0)) found = std::move(rule);
  }
  return found;
}

const TraceStep* dropped_by(const std::vector<TraceStep>& steps) {
  return !steps.empty() && steps.back().event.verdict == "drop" ? &steps.back() : nullptr;
}

// The mark it has when it has come through what is traced.
std::uint32_t mark_after(const std::vector<TraceStep>& steps) { return steps.empty() ? 0 : steps.back().event.mark; }

bool has_come_to(const std::vector<TraceStep>& steps, std::string_view chain) {
  return !steps.empty() && Replica::is_own(steps.back()) && steps.back().event.chain == chain;
}

bool waits_for(const WaitingSocket& socket, int protocol, const Endpoint& at) {
  if (socket.protocol != protocol || socket.at.port != at.port) return false;
  if (socket.at.address == at.address) return true;
  return socket.at.address.is_any() &&
         (socket.at.family() == at.family() || (at.family() == AF_INET && !socket.ipv6_only));
}

std::string described(const WaitingSocket& socket) {
  const std::string owner = program_with_socket(socket.inode);
  return fmt::format("{}, {}, of uid {}{}", socket.at.text(),
                     socket.is_transparent.value_or(false) ? "transparent" : "not transparent", socket.uid,
                     owner.empty() ? "" : ", held by " + owner);
}

class Teller {
 public:
  Teller(const PacketQuestion& packet, Replica replica, Fib fib, std::vector<WaitingSocket> sockets)
      : packet_(packet), replica_(std::move(replica)), fib_(std::move(fib)), sockets_(std::move(sockets)) {}

  Result<Explanation> tell_all() {
    say(fmt::format("{}: {}, the first of its flow", packet_.text(),
                    packet_.is_from_here() ? "a packet that this machine sends" : "a packet that comes in"));
    for (const std::string& sentence : replica_.missing()) say(sentence);
    const Result<> told = packet_.is_from_here() ? tell_from_here() : tell_from_a_client();
    if (!told) return std::unexpected(told.error());
    return std::move(story_);
  }

 private:
  [[nodiscard]] int family() const { return packet_.flow.client.family(); }
  [[nodiscard]] int protocol() const { return packet_.proto == Protocol::tcp ? IPPROTO_TCP : IPPROTO_UDP; }
  void say(std::string line) { story_.lines.push_back(std::move(line)); }
  void end(Taker taker, std::string line) {
    story_.taker = taker;
    say("=> " + std::move(line));
  }

  Result<> tell_from_a_client() {
    const auto first = replica_.follow(packet_, Until::prerouting);
    if (!first) return std::unexpected(first.error());
    if (dropped_by(*first) != nullptr) {
      finish(*first, std::nullopt);
      return {};
    }
    const Fib::Query question{.interface = packet_.interface,
                              .mark = {mark_after(*first), 0xffffffff},
                              .source = packet_.flow.client.address,
                              .destination = packet_.flow.destination.address};
    return go_on(question, *first);
  }

  Result<> tell_from_here() {
    const Endpoint& destination = packet_.flow.destination;
    const auto unmarked = fib_.way({.interface = "", .mark = {}, .source = {}, .destination = destination.address});
    if (!unmarked) {
      say(unmarked.error().what);
      end(Taker::nobody, "there is no route to the destination: connect(2) is refused");
      return {};
    }
    if (!unmarked->is_here)
      if (Result<> routed = replica_.send_onward(family(), unmarked->interface); !routed) return routed;
    const auto first = replica_.follow(packet_, Until::postrouting);
    if (!first) return std::unexpected(first.error());
    const Fib::Query question{.interface = "",
                              .mark = {mark_after(*first), 0xffffffff},
                              .source = packet_.flow.client.address,
                              .destination = destination.address};
    const auto way = fib_.way(question);
    const bool is_looped = way && way->is_here && !unmarked->is_here;
    if (dropped_by(*first) != nullptr || !way || (!way->is_here && !unmarked->is_here)) {
      finish(*first, std::pair(question, way));
      return {};
    }
    // It comes back in, by lo: because of its mark, or because it is for this machine.
    if (is_looped)
      if (Result<> routed = replica_.deliver_here(family(), "", {mark_after(*first), 0xffffffff}); !routed)
        return routed;
    const auto all = replica_.follow(packet_, Until::input);
    if (!all) return std::unexpected(all.error());
    finish(*all, std::pair(question, way));
    return {};
  }

  // Once more, with the kernel's own answer as the copy's only route.
  Result<> go_on(const Fib::Query& question, const std::vector<TraceStep>& until_now) {
    const auto way = fib_.way(question);
    if (!way) {
      finish(until_now, std::pair(question, way));
      return {};
    }
    Result<> routed = way->is_here ? replica_.deliver_here(family(), packet_.interface, {})
                                   : replica_.send_onward(family(), way->interface);
    if (!routed) return routed;
    const auto all = replica_.follow(packet_, way->is_here ? Until::input : Until::postrouting);
    if (!all) return std::unexpected(all.error());
    finish(*all, std::pair(question, way));
    return {};
  }

  using Asked = std::pair<Fib::Query, Result<Fib::Way>>;

  void finish(const std::vector<TraceStep>& steps, const std::optional<Asked>& asked) {
    story_.met_the_users_rules = std::ranges::any_of(steps, [](const TraceStep& step) {
      return is_ours(step.chain) && (step.event.chain == "tcp_rules" || step.event.chain == "udp_rules");
    });
    const auto at_route = std::ranges::find_if(
        steps, [](const TraceStep& step) { return Replica::is_own(step) && step.event.chain == "after_prerouting"; });
    const bool is_told_first = packet_.is_from_here() || at_route == steps.end();
    std::uint32_t mark = 0;
    tell({steps.begin(), is_told_first ? steps.end() : at_route + 1}, mark, story_.lines);
    if (asked) tell_route(*asked);
    if (!is_told_first) tell({at_route + 1, steps.end()}, mark, story_.lines);
    if (const TraceStep* const step = dropped_by(steps)) return tell_drop(*step);
    if (!asked || !asked->second) return tell_refusal(asked);
    if (!asked->second->is_here) return tell_leaving(*asked, steps);
    tell_delivery(steps);
  }

  void tell_route(const Asked& asked) {
    say("route:");
    const auto& [question, way] = asked;
    const std::string what = !way           ? "refused"
                             : way->is_here ? fmt::format("delivered here, by table {}", way->table)
                                            : fmt::format("leaves by {}{}, by table {}", way->interface,
                                                          way->via ? " via " + way->via->text() : "", way->table);
    say(fmt::format("  {}: {}", question.text(), what));
    const auto rules = fib_.rules(family());
    if (!way || !rules) return;
    const auto decisive = std::ranges::find_if(*rules, [&](const FibRule& rule) {
      return rule.action == FibRule::Action::lookup && rule.target == way->table &&
             (question.mark.bits & rule.mark.mask) == rule.mark.bits &&
             (rule.interface.empty() || rule.interface == (question.interface.empty() ? "lo" : question.interface));
    });
    if (decisive != rules->end()) say(fmt::format("  that table is asked because of: ip {}", decisive->text()));
  }

  void tell_drop(const TraceStep& step) {
    const bool is_policy = step.event.kind == TraceEvent::Kind::policy;
    const bool is_refusal = step.rule.find("reject") != std::string::npos;
    end(Taker::nobody, fmt::format("{} by {} of {}", is_refusal ? "refused" : "dropped",
                                   is_policy ? "the policy" : fmt::format("\"{}\"", step.rule), name_of(step)));
  }

  void tell_refusal(const std::optional<Asked>& asked) {
    end(Taker::nobody,
        fmt::format("the kernel drops it: {}", asked ? asked->second.error().what : "no route was found"));
  }

  void tell_leaving(const Asked& asked, const std::vector<TraceStep>& steps) {
    const Fib::Way& way = *asked.second;
    const bool comes_through = has_come_to(steps, "after_postrouting");
    if (!comes_through && taken_by(steps))
      return end(
          Taker::nobody,
          "lost: tproxy has given it a socket, and the kernel forwards no packet that has one. A fib rule for its "
          "mark has to have it delivered here: limpid doctor");
    if (!comes_through) return end(Taker::nobody, "lost on its way out: no rule says why; limpid doctor may");
    end(Taker::onward, fmt::format("{} by {}{}: nobody here takes it", packet_.is_from_here() ? "sent" : "forwarded",
                                   way.interface, way.via ? " via " + way.via->text() : ""));
  }

  void tell_delivery(const std::vector<TraceStep>& steps) {
    const std::optional<TproxyRule> rule = taken_by(steps);
    if (!has_come_to(steps, "after_input"))
      return end(Taker::nobody, "lost on its way in: no rule says why; limpid doctor may");
    const Endpoint wanted =
        rule ? Endpoint{rule->address.value_or(Address::any(family())), rule->port} : packet_.flow.destination;
    say("socket:");
    const auto socket = std::ranges::find_if(sockets_, [&](const WaitingSocket& one) {
      const bool is_exact = waits_for(one, protocol(), wanted);
      return is_exact || (rule && !rule->address && one.protocol == protocol() && one.at.port == rule->port &&
                          one.at.family() == family());
    });
    if (socket == sockets_.end()) {
      say(fmt::format("  nobody waits at {}", wanted.text()));
      return end(Taker::nobody, protocol() == IPPROTO_TCP ? "refused with a reset: nobody listens there"
                                                          : "refused as unreachable: nobody listens there");
    }
    say("  " + described(*socket));
    if (!rule) return end(Taker::here, "it is for this machine itself, and that socket gets it");
    const bool is_limpids = is_ours(rule->chain);
    end(is_limpids ? Taker::limpid : Taker::another,
        fmt::format("{} takes it, led there by \"{}\" of {} {} {}", is_limpids ? "limpid" : "that socket", rule->text(),
                    rule->chain.family, rule->chain.table, rule->chain.name));
  }

  PacketQuestion packet_;
  Replica replica_;
  Fib fib_;
  std::vector<WaitingSocket> sockets_;
  Explanation story_;
};

}  // namespace

Result<Explanation> explain(const PacketQuestion& packet) {
  if (::if_nametoindex(packet.interface.c_str()) == 0)
    return failure(fmt::format("there is no interface {}: see `ip link`", packet.interface));
  Result<std::vector<WaitingSocket>> sockets = waiting_sockets();
  if (!sockets) return std::unexpected(sockets.error());
  Result<Fib> fib = Fib::open();
  if (!fib) return std::unexpected(fib.error());
  Result<Replica> replica = Replica::make(*sockets);
  if (!replica) return failure_in("copy this machine into a network namespace", replica);
  return Teller(packet, std::move(*replica), std::move(*fib), std::move(*sockets)).tell_all();
}

}  // namespace limpid
