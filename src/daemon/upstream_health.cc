// SPDX-License-Identifier: MIT
#include "daemon/upstream_health.h"

#include <algorithm>

namespace limpid {
namespace {

std::string_view word_for(MemberReport::State state) {
  switch (state) {
    case MemberReport::State::up:
      return "up";
    case MemberReport::State::refuses:
      return "refuses";
    case MemberReport::State::down:
      break;
  }
  return "down";
}

}  // namespace

void UpstreamHealth::hear(const std::vector<MemberReport>& reports, const std::vector<Upstream>& upstreams) {
  for (const MemberReport& report : reports) {
    if (report.upstream >= upstreams.size()) continue;
    const std::vector<Endpoint>& addresses = upstreams[report.upstream].address;
    if (std::ranges::find(addresses, report.address) == addresses.end()) continue;
    known_[{report.upstream, report.address}] = report;
  }
}

std::vector<UpstreamStatus> UpstreamHealth::status(const std::vector<Upstream>& upstreams) const {
  std::vector<UpstreamStatus> all;
  for (std::uint32_t place = 0; place < upstreams.size(); ++place) {
    UpstreamStatus& upstream = all.emplace_back(UpstreamStatus{.name = upstreams[place].name, .addresses = {}});
    for (const Endpoint& address : upstreams[place].address) {
      UpstreamStatus::Address& one = upstream.addresses.emplace_back();
      one.address = address.text();
      const auto known = known_.find({place, address});
      if (known == known_.end()) continue;
      one.state = word_for(known->second.state);
      one.sessions = known->second.sessions;
      one.failures = known->second.failures;
    }
  }
  return all;
}

}  // namespace limpid
