// SPDX-License-Identifier: MIT
#include "config/check.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>

namespace limpid {
namespace {

void check_something_to_intercept(const Config& config, const Origins& origins, ConfigErrors& errors) {
  const bool interfaces_known = origins.is_usable("intercept.interfaces") && origins.is_usable("intercept.local");
  if (interfaces_known && config.intercept.interfaces.empty() && !config.intercept.local)
    errors.push_back(
        {origins.place_of("intercept.interfaces"),
         "nothing to intercept: name the interfaces where clients come in, interfaces = [\"lan0\"] under "
         "[intercept] or --interface lan0, or take this machine's own connections, local = true or --local"});
  const bool ports_known = origins.is_usable("intercept.tcp") && origins.is_usable("intercept.udp");
  if (ports_known && config.intercept.tcp.empty() && config.intercept.udp.empty())
    errors.push_back({origins.place_of("intercept.tcp"),
                      "nothing to intercept: name the destination ports, tcp = [\"80\", \"443\"] under [intercept] or "
                      "--tcp 80,443, and udp or --udp likewise; \"all\" for every port"});
}

void check_marks(const Config& config, const Origins& origins, ConfigErrors& errors) {
  struct Named {
    const char* key;
    Mark mark;
  };
  const std::array<Named, 3> marks = {{{"intercept.mark", config.intercept.mark},
                                       {"intercept.local_mark", config.intercept.local_mark},
                                       {"intercept.own_mark", config.intercept.own_mark}}};
  for (std::size_t second = 1; second < marks.size(); ++second) {
    for (std::size_t first = 0; first < second; ++first) {
      const Named& a = marks[first];
      const Named& b = marks[second];
      if ((a.mark.mask & b.mark.mask) == 0 || !origins.is_usable(a.key) || !origins.is_usable(b.key)) continue;
      errors.push_back({origins.place_of(origins.has(b.key) ? b.key : a.key),
                        fmt::format("{} {} and {} {} overlap: each mark needs bits of its own", b.key, b.mark.text(),
                                    a.key, a.mark.text())});
    }
  }
}

void check_keep_port(const Config& config, const Origins& origins, ConfigErrors& errors) {
  constexpr const char* keep_port = "transparency.keep_port";
  if (!origins.is_usable(keep_port) || config.transparency.keep_port != KeepPort::require) return;
  if (origins.is_usable("intercept.local") && config.intercept.local)
    errors.push_back(
        {origins.place_of(keep_port),
         "keep_port = \"require\" cannot go with local = true: a local connection has its address and port "
         "in use itself, so that only its address can be kept"});
  if (origins.is_usable("transparency.source") && config.transparency.source != Source::client)
    errors.push_back({origins.place_of(keep_port),
                      "keep_port = \"require\" needs source = \"client\": the other sources do not keep the port"});
}

void check_udp_source(const Config& config, const Origins& origins, ConfigErrors& errors) {
  if (!origins.is_usable("transparency.source") || !origins.is_usable("intercept.udp")) return;
  if (!config.intercept.udp.empty() && config.transparency.source == Source::self)
    errors.push_back(
        {origins.place_of("transparency.source"),
         "source = \"self\" is for tcp alone: datagrams keep their client's address and port. Take udp out, "
         "or choose \"client\" or \"address\""});
}

}  // namespace

ConfigErrors check(const Config& config, const Origins& origins) {
  ConfigErrors errors;
  check_something_to_intercept(config, origins, errors);
  check_marks(config, origins, errors);
  check_keep_port(config, origins, errors);
  check_udp_source(config, origins, errors);
  return errors;
}

}  // namespace limpid
