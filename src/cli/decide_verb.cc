// SPDX-License-Identifier: MIT
#include <time.h>

#include <algorithm>
#include <cstdio>

#include "cli/verbs.h"
#include "config/value.h"
#include "policy/host_table.h"
#include "policy/policy.h"
#include "proxy/local_time.h"

namespace limpid {
namespace {

// Why a rule does not match, in the order in which a reader would look; empty if it does.
std::string mismatch(const Rule& rule, const Question& question, bool host_matches) {
  const auto lies_in = [](const std::vector<Prefix>& prefixes, const Address& address) {
    return prefixes.empty() || std::ranges::any_of(prefixes, [&](const Prefix& one) { return one.contains(address); });
  };
  const std::uint16_t port = question.flow.destination.port;
  const auto is_port = [&](const PortRange& range) { return range.first <= port && port <= range.last; };
  const Claim& claim = *question.claim;
  if (!lies_in(rule.from, question.flow.client.address)) return "from: not this client";
  if (!lies_in(rule.to, question.flow.destination.address)) return "to: not this destination";
  if (!rule.port.empty() && std::ranges::none_of(rule.port, is_port)) return "port: not this one";
  if (rule.proto && *rule.proto != question.proto) return fmt::format("proto: {} only", value_text(*rule.proto));
  if (rule.time && !rule.time->contains(question.now)) return fmt::format("time: {} only", value_text(*rule.time));
  if (!rule.app.empty() && std::ranges::find(rule.app, claim.app) == rule.app.end())
    return fmt::format("app: not {}", name_of(claim.app));
  if (!host_matches) return claim.host.empty() ? "host: the flow names none" : "host: not this one";
  return {};
}

std::string outcome(const PolicySource& source, const Decision& decision) {
  if (decision.action != Action::upstream) return decision.rule ? source.rules[*decision.rule].action : "direct";
  const Upstream& upstream = source.upstreams[decision.upstream];
  return fmt::format("upstream \"{}\" ({})", upstream.name, value_text(upstream.type));
}

// Its rule alone, to see whether that is what lets the host in.
bool host_matches(const Rule& rule, const Question& question) {
  if (!rule.asks_for_host()) return true;
  Rule alone;
  alone.host = rule.host;
  alone.host_file = rule.host_file;
  alone.host_names = rule.host_names;
  return Policy({{alone}, {}}, HashSeed{}).decide(question)->rule.has_value();
}

}  // namespace

int decide_verb(const Config& config, const DecideOptions& options) {
  const auto refused = [](const char* option, const Error& error) {
    std::fprintf(stderr, "limpid: %s: %s\n", option, error.what.c_str());
    return exit_usage;
  };
  const Result<Endpoint> client = Endpoint::parse(options.client), destination = Endpoint::parse(options.to);
  if (!client) return refused("--client", client.error());
  if (!destination) return refused("--to", destination.error());
  const Result<Protocol> proto = parse_proto(options.proto);
  if (!proto) return refused("--proto", proto.error());
  const Result<Application> app = parse_app(options.app.empty() ? "unknown" : options.app);
  if (!app) return refused("--app", app.error());
  const Result<std::string> host = options.host.empty() ? Result<std::string>("") : parse_host_pattern(options.host);
  if (!host) return refused("--host", host.error());
  ::tzset();
  const Question question{.flow = {*client, *destination},
                          .proto = *proto,
                          .now = LocalTime().minute(std::chrono::steady_clock::now()),
                          .claim = Claim{*host, *app}};

  const PolicySource source{config.rules, config.upstreams};
  const Decision decision = *Policy(source, HashSeed{}).decide(question);
  const std::size_t last = decision.rule ? *decision.rule : config.rules.size();
  for (std::size_t place = 0; place < last; ++place)
    std::printf("rule %zu \"%s\" does not match: %s\n", place + 1, config.rules[place].name.c_str(),
                mismatch(config.rules[place], question, host_matches(config.rules[place], question)).c_str());
  if (decision.rule)
    std::printf("rule %u \"%s\" decides: %s\n", *decision.rule + 1, config.rules[*decision.rule].name.c_str(),
                outcome(source, decision).c_str());
  else
    std::printf("no rule matches: direct\n");
  if (decision.rule && config.rules[*decision.rule].verify_host)
    std::printf("verify_host: would need an answer for %s that holds %s\n", host->c_str(),
                destination->address.text().c_str());
  return 0;
}

}  // namespace limpid
