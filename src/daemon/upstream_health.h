// SPDX-License-Identifier: MIT
// What the worker has last said of the upstreams' addresses. It may say anything: no more is kept than there are.
#pragma once
#include <map>
#include <utility>
#include <vector>

#include "api/status.h"
#include "policy/rule.h"
#include "proxy/path_policy.h"

namespace limpid {

class UpstreamHealth {
 public:
  // `upstreams`: as configured; what is said of others is passed over.
  void hear(const std::vector<MemberReport>& reports, const std::vector<Upstream>& upstreams);
  // The worker is gone, or has other upstreams.
  void forget() { known_.clear(); }
  [[nodiscard]] std::vector<UpstreamStatus> status(const std::vector<Upstream>& upstreams) const;

 private:
  std::map<std::pair<std::uint32_t, Endpoint>, MemberReport> known_;
};

}  // namespace limpid
