// SPDX-License-Identifier: MIT
#include "policy/flow_filter.h"

namespace limpid {
namespace {

template <class Value>
Result<> set(std::optional<Value>& part, std::string_view key, std::string_view text) {
  if (part) return failure(fmt::format("{} is there twice", key));
  Result<Value> value = Value::parse(text);
  if (!value) return failure_in(key, value);
  part = *value;
  return {};
}

}  // namespace

Result<FlowFilter> FlowFilter::parse(std::string_view text) {
  FlowFilter filter;
  if (text == "all") return filter;
  for (std::string_view rest = text;;) {
    const std::string_view term = rest.substr(0, rest.find(','));
    const std::size_t equals = std::min(term.find('='), term.size());
    const std::string_view key = term.substr(0, equals), value = term.substr(std::min(equals + 1, term.size()));
    Result<> done =
        failure(fmt::format("\"{}\": a filter is \"all\", or client=PREFIX, destination=PREFIX and port=PORTS, "
                            "with commas between them",
                            term));
    if (key == "client") done = set(filter.client, key, value);
    if (key == "destination") done = set(filter.destination, key, value);
    if (key == "port") done = set(filter.port, key, value);
    if (!done) return std::unexpected(done.error());
    if (term.size() == rest.size()) return filter;
    rest.remove_prefix(term.size() + 1);
  }
}

bool FlowFilter::matches(const Flow& flow) const {
  return (!client || client->contains(flow.client.address)) &&
         (!destination || destination->contains(flow.destination.address)) &&
         (!port || (port->first <= flow.destination.port && flow.destination.port <= port->last));
}

}  // namespace limpid
