// SPDX-License-Identifier: MIT
#include "api/status.h"

#include <boost/json.hpp>
#include <iterator>

#include "base/check.h"

namespace limpid {
namespace json = boost::json;

namespace {

json::array list_of(const std::vector<UpstreamStatus>& upstreams) {
  json::array list;
  for (const UpstreamStatus& upstream : upstreams) {
    json::array addresses;
    for (const UpstreamStatus::Address& one : upstream.addresses)
      addresses.push_back(
          {{"address", one.address}, {"state", one.state}, {"sessions", one.sessions}, {"failures", one.failures}});
    list.push_back({{"name", upstream.name}, {"addresses", std::move(addresses)}});
  }
  return list;
}

}  // namespace

std::string to_json(const Status& status) {
  const CounterValues& counters = status.counters;
  json::object reasons;
  for (std::size_t i = 0; i < close_reasons; ++i) reasons[close_reason_names[i]] = counters.closed[i];
  const json::object object{
      {"state", status.state},
      {"version", status.version},
      {"pids", {{"supervisor", status.supervisor_pid}, {"worker", status.worker_pid}, {"watcher", status.watcher_pid}}},
      {"worker_restarts", status.worker_restarts},
      {"sessions", counters.sessions},
      {"sessions_max", status.sessions_max},
      {"counters",
       {{"accepted", counters.accepted},
        {"source_port_kept", counters.source_port_kept},
        {"source_address_kept", counters.source_address_kept},
        {"source_not_kept", counters.source_not_kept},
        {"port_unavailable", counters.port_unavailable},
        {"address_unavailable", counters.address_unavailable},
        {"bytes_up", counters.bytes_up},
        {"bytes_down", counters.bytes_down},
        {"log_lines_lost", counters.log_lines_lost},
        {"accept_pauses", counters.accept_pauses},
        {"close_reasons", reasons},
        {"udp",
         {{"flows", counters.flows_seen},
          {"datagrams_up", counters.datagrams_up},
          {"datagrams_down", counters.datagrams_down},
          {"bytes_up", counters.payload_up},
          {"bytes_down", counters.payload_down},
          {"handed_over", status.handed_over},
          {"taken_back", status.taken_back},
          {"evicted_table", counters.evicted_table},
          {"evicted_client", counters.evicted_client},
          {"send_refused", counters.send_refused},
          {"answers_refused", counters.answers_refused},
          {"dropped", counters.datagrams_dropped}}},
        {"dns",
         {{"answers", counters.dns_answers}, {"ignored", counters.dns_ignored}, {"evicted", counters.dns_evicted}}}}},
      {"udp", {{"flows", counters.flows}, {"handed_over", status.kernel_flows}}},
      {"dns", {{"names", counters.dns_names}}},
      {"conditions",
       {{"taking", status.taking}, {"zones", status.zones}, {"early", status.early}, {"cookies", status.cookies}}},
      {"upstreams", list_of(status.upstreams)},
      {"installed", json::value_from(status.installed)},
      {"degraded", json::value_from(status.degraded)}};
  return json::serialize(object);
}

Result<std::string> status_for_people(const std::string& text) {
  boost::system::error_code error;
  const json::value parsed = json::parse(text, error);
  if (error || !parsed.is_object()) return failure("the answer is not a status: " + error.message());
  const json::object& status = parsed.as_object();
  std::string out;
  auto line = [&out](std::string_view name, const std::string& value) {
    fmt::format_to(std::back_inserter(out), "{:<22}{}\n", name, value);
  };
  for (const char* key : {"state", "version", "pids", "sessions", "sessions_max", "worker_restarts", "counters", "udp",
                          "dns", "conditions", "upstreams", "installed", "degraded"})
    if (!status.contains(key)) return failure(fmt::format("the answer is not a status: it has no \"{}\"", key));
  auto plain = [](const json::value& value) {
    return value.is_string() ? std::string(value.as_string()) : json::serialize(value);
  };
  for (const char* key : {"state", "version", "sessions", "sessions_max", "worker_restarts"})
    line(key, plain(status.at(key)));
  for (const char* group : {"pids", "conditions"})
    for (const auto& [name, value] : status.at(group).as_object()) line(name, plain(value));
  for (const auto& [name, value] : status.at("counters").as_object())
    if (!value.is_object()) line(name, plain(value));
  for (const std::string group : {"udp", "dns"}) {
    for (const auto& [name, value] : status.at(group).as_object())
      line(fmt::format("{} {} now", group, std::string_view(name)), plain(value));
    for (const auto& [name, value] : status.at("counters").at(group).as_object())
      line(fmt::format("{} {}", group, std::string_view(name)), plain(value));
  }
  for (const auto& [name, value] : status.at("counters").at("close_reasons").as_object())
    line("closed: " + std::string(name), plain(value));
  for (const json::value& upstream : status.at("upstreams").as_array())
    for (const json::value& one : upstream.at("addresses").as_array())
      line("upstream " + plain(upstream.at("name")),
           fmt::format("{}: {}, {} sessions, {} failures", plain(one.at("address")), plain(one.at("state")),
                       plain(one.at("sessions")), plain(one.at("failures"))));
  for (const char* list : {"installed", "degraded"}) {
    fmt::format_to(std::back_inserter(out), "{}:{}\n", list, status.at(list).as_array().empty() ? " nothing" : "");
    for (const json::value& entry : status.at(list).as_array())
      fmt::format_to(std::back_inserter(out), "  {}\n", plain(entry));
  }
  return out;
}

}  // namespace limpid
