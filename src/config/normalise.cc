// SPDX-License-Identifier: MIT
#include "config/normalise.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <tuple>

namespace limpid {
namespace {

bool covers(std::string_view pattern, std::string_view name) {
  return pattern == name || (pattern.ends_with('*') && name.starts_with(pattern.substr(0, pattern.size() - 1)));
}

}  // namespace

std::vector<PortRange> normalise(std::vector<PortRange> ports) {
  std::ranges::sort(ports);
  std::vector<PortRange> merged;
  for (const PortRange& range : ports) {
    if (!merged.empty() && range.first <= merged.back().last + 1)
      merged.back().last = std::max(merged.back().last, range.last);
    else
      merged.push_back(range);
  }
  return merged;
}

std::vector<Prefix> normalise(std::vector<Prefix> prefixes) {
  // Prefixes are nested or disjoint. In this order whatever covers a prefix comes before it, and nothing between the
  // two lies outside of it: the last one kept is the only candidate.
  std::ranges::sort(prefixes, std::less<>(), [](const Prefix& prefix) {
    return std::tuple(prefix.address.bits(), prefix.address, prefix.length);
  });
  std::vector<Prefix> kept;
  for (const Prefix& prefix : prefixes)
    if (kept.empty() || !kept.back().contains(prefix.address)) kept.push_back(prefix);
  return kept;
}

std::vector<std::string> normalise(const std::vector<std::string>& interfaces) {
  std::vector<std::string> kept;
  for (const std::string& name : interfaces) {
    const auto covers_name = [&](const std::string& other) { return other != name && covers(other, name); };
    if (std::ranges::none_of(interfaces, covers_name) && std::ranges::find(kept, name) == kept.end())
      kept.push_back(name);
  }
  return kept;
}

Config normalise(Config config) {
  Intercept& intercept = config.intercept;
  intercept.interfaces = normalise(intercept.interfaces);
  intercept.tcp = normalise(std::move(intercept.tcp));
  intercept.udp = normalise(std::move(intercept.udp));
  intercept.bypass = normalise(std::move(intercept.bypass));
  intercept.bypass_from = normalise(std::move(intercept.bypass_from));
  for (std::size_t place = 0; place < config.rules.size(); ++place) {
    Rule& rule = config.rules[place];
    if (rule.name.empty()) rule.name = fmt::format("rule {}", place + 1);
    rule.from = normalise(std::move(rule.from));
    rule.to = normalise(std::move(rule.to));
    rule.port = normalise(std::move(rule.port));
  }
  for (std::size_t place = 0; place < config.listeners.size(); ++place) {
    ListenerSettings& listener = config.listeners[place];
    if (listener.name.empty()) listener.name = fmt::format("listener {}", place + 1);
    listener.trusted = normalise(std::move(listener.trusted));
  }
  return config;
}

}  // namespace limpid
