// SPDX-License-Identifier: MIT
// What should happen to a flow: the first rule that matches it decides, none: it goes direct. Pure, immutable, shared
// by all path threads.
#pragma once
#include <array>
#include <memory>
#include <optional>

#include "policy/host_table.h"
#include "policy/listener.h"
#include "policy/rule.h"
#include "policy/rule_index.h"

namespace limpid {

// What rules, upstreams and listeners are made of; crosses from the supervisor to the worker (policy_bytes.h).
struct PolicySource {
  std::vector<Rule> rules;
  std::vector<Upstream> upstreams;
  std::vector<ListenerSettings> listeners{};
  bool operator==(const PolicySource&) const = default;
};

// What the first bytes of a flow say. The host is a claim of the client, nobody has proved it.
struct Claim {
  std::string_view host;  // lower case, without a final dot; empty: none
  Application app = Application::unknown;
};

struct Question {
  Flow flow;
  Protocol proto = Protocol::tcp;
  std::chrono::minutes now{};    // local time, since midnight
  std::optional<Claim> claim{};  // nothing: not looked at yet
};

enum class Action : std::uint8_t {
  direct,
  reject,
  drop,
  upstream,
  unverified,  // rejected: a rule that would let it go verifies hosts. Never Policy's own
};

struct Decision {
  Action action = Action::direct;
  std::optional<std::uint32_t> rule{};  // its place in PolicySource::rules; none: the default
  std::uint32_t upstream = 0;           // where the action is `upstream`: its place in PolicySource::upstreams
  bool operator==(const Decision&) const = default;
};

class Policy {
 public:
  // `seed` from a source that clients cannot guess. What a rule names must be there: config/check.h has seen to it.
  Policy(PolicySource source, HashSeed seed);
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;

  // Nothing: it takes a claim to tell, and the question has none.
  [[nodiscard]] std::optional<Decision> decide(const Question& question) const;

  [[nodiscard]] const Rule& rule(std::uint32_t place) const { return source_.rules[place]; }
  [[nodiscard]] const std::vector<Rule>& rules() const { return source_.rules; }
  // The clients' DNS answers have to be looked at.
  [[nodiscard]] bool verifies_hosts() const { return verifies_hosts_; }
  [[nodiscard]] const Upstream& upstream(std::uint32_t place) const { return source_.upstreams[place]; }
  [[nodiscard]] const std::vector<Upstream>& upstreams() const { return source_.upstreams; }

  // The user's listener there; null: none.
  [[nodiscard]] const ListenerSettings* listener_at(const Endpoint& at) const;
  // The upstream that all connections of such a listener go through; nothing: the rules decide.
  [[nodiscard]] std::optional<std::uint32_t> upstream_of(const ListenerSettings& listener) const;

 private:
  struct Names {
    Names(const std::vector<Rule>& rules, RuleSets& sets, HashSeed seed);
    HostTable table;         // pattern -> the number of a set: the rules that have it
    RuleSets::Bits without;  // rules that do not ask for a host
  };
  static RuleIndex<Address> index_addresses(const std::vector<Rule>& rules, std::vector<Prefix> Rule::* prefixes,
                                            int family, RuleSets& sets);
  static RuleIndex<std::uint16_t> index_ports(const std::vector<Rule>& rules, Protocol proto, RuleSets& sets);

  PolicySource source_;
  std::vector<Decision> decisions_;  // of each rule
  bool verifies_hosts_;
  RuleSets sets_;
  std::array<RuleIndex<Address>, 2> from_, to_;    // IPv4, IPv6
  std::array<RuleIndex<std::uint16_t>, 2> ports_;  // TCP, UDP
  Names names_;
};

}  // namespace limpid
