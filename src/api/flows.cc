// SPDX-License-Identifier: MIT
#include "api/flows.h"

#include <boost/json.hpp>
#include <iterator>

namespace limpid {
namespace json = boost::json;

std::string flows_to_json(std::span<const FlowAccount> flows) {
  json::array list;
  for (const FlowAccount& flow : flows)
    list.push_back({{"client", flow.ends.client.text()},
                    {"destination", flow.ends.destination.text()},
                    {"datagrams_up", flow.up.datagrams},
                    {"bytes_up", flow.up.bytes},
                    {"datagrams_down", flow.down.datagrams},
                    {"bytes_down", flow.down.bytes},
                    {"seconds", std::chrono::duration<double>(std::chrono::system_clock::now() - flow.time).count()}});
  return json::serialize(json::object{{"handed_over", std::move(list)}});
}

Result<std::string> flows_for_people(const std::string& text) {
  boost::system::error_code error;
  const json::value parsed = json::parse(text, error);
  const json::value* const list =
      error || !parsed.is_object() ? nullptr : parsed.as_object().if_contains("handed_over");
  if (list == nullptr || !list->is_array()) return failure("the answer is no list of flows");
  std::string out;
  fmt::format_to(std::back_inserter(out), "{:<46} {:<46} {:>12} {:>14} {:>12} {:>14}\n", "client", "destination", "up",
                 "bytes", "down", "bytes");
  for (const json::value& flow : list->as_array())
    fmt::format_to(std::back_inserter(out), "{:<46} {:<46} {:>12} {:>14} {:>12} {:>14}\n",
                   std::string(flow.at("client").as_string()), std::string(flow.at("destination").as_string()),
                   flow.at("datagrams_up").to_number<std::uint64_t>(), flow.at("bytes_up").to_number<std::uint64_t>(),
                   flow.at("datagrams_down").to_number<std::uint64_t>(),
                   flow.at("bytes_down").to_number<std::uint64_t>());
  return out;
}

}  // namespace limpid
