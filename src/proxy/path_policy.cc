// SPDX-License-Identifier: MIT
#include "proxy/path_policy.h"

#include <algorithm>
#include <cstring>

namespace limpid {
namespace {

// What `before` has of this upstream's address, or a new one.
std::shared_ptr<Member> member_of(const Upstream& upstream, const Endpoint& address, const PathPolicy* before) {
  if (before != nullptr) {
    const std::vector<Upstream>& upstreams = before->policy().upstreams();
    const auto same = std::ranges::find(upstreams, upstream.name, &Upstream::name);
    if (same != upstreams.end())
      for (const auto& member : before->members(static_cast<std::uint32_t>(same - upstreams.begin())))
        if (member->address == address) return member;
  }
  auto member = std::make_shared<Member>();
  member->address = address;
  return member;
}

// Highest random weight (D. G. Thaler, C. V. Ravishankar: Using Name-Based Mappings to Increase Hit Rates, 1998): an
// address that comes or goes moves its own clients alone.
std::uint64_t weight(const Address& client, const Endpoint& member) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  const auto add = [&](const std::uint8_t* bytes, int count) {
    for (int i = 0; i < count; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3;
  };
  add(client.bytes(), client.bits() / 8);
  add(member.address.bytes(), member.address.bits() / 8);
  hash = (hash ^ member.port) * 0x100000001b3;
  hash ^= hash >> 32;  // the last bytes have not reached the high bits
  return hash * 0x9e3779b97f4a7c15;
}

}  // namespace

PathPolicy::PathPolicy(PolicySource source, HashSeed seed, const PathPolicy* before)
    : policy_(std::move(source), seed) {
  for (const Upstream& upstream : policy_.upstreams()) {
    auto& members = members_.emplace_back();
    for (const Endpoint& address : upstream.address) members.push_back(member_of(upstream, address, before));
  }
}

bool PathPolicy::is_there(std::uint32_t upstream, Member::Clock::time_point now) const {
  const std::uint64_t most = policy_.upstream(upstream).sessions;
  return std::ranges::any_of(members_[upstream], [&](const std::shared_ptr<Member>& member) {
    if (member->is_down(now)) return member->refuses.load(std::memory_order_relaxed);
    return most != 0 && member->sessions.load(std::memory_order_relaxed) >= most;
  });
}

std::vector<MemberReport> PathPolicy::report(Member::Clock::time_point now) const {
  using State = MemberReport::State;
  std::vector<MemberReport> reports;
  for (std::uint32_t place = 0; place < members_.size(); ++place)
    for (const std::shared_ptr<Member>& member : members_[place])
      reports.push_back({.upstream = place,
                         .address = member->address,
                         .state = !member->is_down(now) ? State::up
                                  : member->refuses     ? State::refuses
                                                        : State::down,
                         .sessions = member->sessions,
                         .failures = member->failures});
  return reports;
}

bool differs(const PathPolicy* before, const Decision& was, const PathPolicy& now, const Decision& is) {
  if (was.action != is.action) return true;
  return was.action == Action::upstream &&
         before->policy().upstream(was.upstream).name != now.policy().upstream(is.upstream).name;
}

std::shared_ptr<Member> PathPolicy::choose(std::uint32_t upstream, const Address& client,
                                           std::span<const std::shared_ptr<Member>> tried,
                                           Member::Clock::time_point now, Down down) const {
  const Upstream& settings = policy_.upstream(upstream);
  std::shared_ptr<Member> best;
  std::pair<bool, std::uint64_t> best_rank;
  for (const std::shared_ptr<Member>& member : members_[upstream]) {
    const std::uint64_t sessions = member->sessions.load(std::memory_order_relaxed);
    const bool is_up = !member->is_down(now);
    if ((!is_up && down == Down::never) || (settings.sessions != 0 && sessions >= settings.sessions)) continue;
    if (std::ranges::find(tried, member) != tried.end()) continue;
    // The greater, the better; the first of equals.
    const bool in_order = settings.check_interval == std::chrono::milliseconds::zero();
    const std::pair rank(is_up, settings.hash == Hash::client ? weight(client, member->address)
                                : in_order                    ? std::uint64_t{0}
                                                              : ~sessions);
    if (best && rank <= best_rank) continue;
    best = member;
    best_rank = rank;
  }
  return best;
}

}  // namespace limpid
