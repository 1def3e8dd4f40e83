// SPDX-License-Identifier: MIT
#include "proxy/dns_answers.h"

#include <algorithm>

namespace limpid {

bool DnsAnswers::learn(const Address& client, std::string_view host, std::span<const DnsAddress> addresses,
                       std::chrono::milliseconds grace, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  bool is_well = true;
  std::vector<Known>& known = known_.at(client, host, [&](const std::vector<Known>& gone) {
    is_well = std::ranges::none_of(gone, [now](const Known& one) { return now < one.until; });
  });
  for (const DnsAddress& one : addresses) {
    const Clock::time_point until = now + std::min(one.ttl, longest_ttl) + grace;
    const auto same = std::ranges::find(known, one.address, &Known::address);
    if (same != known.end())
      same->until = std::max(same->until, until);
    else if (known.size() < most_addresses)
      known.push_back({one.address, until});
    else
      *std::ranges::min_element(known, {}, &Known::until) = {one.address, until};
  }
  return is_well;
}

bool DnsAnswers::has(const Address& client, std::string_view host, const Address& destination, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const std::vector<Known>* const known = known_.find(client, host);
  return known != nullptr &&
         std::ranges::any_of(*known, [&](const Known& one) { return one.address == destination && now < one.until; });
}

std::size_t DnsAnswers::size() const {
  const std::lock_guard lock(mutex_);
  return known_.size();
}

}  // namespace limpid
