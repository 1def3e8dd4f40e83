// SPDX-License-Identifier: MIT
// The policy as the path uses it: with what is known of its upstreams' addresses. Immutable but for that; all threads
// share it, and a reload replaces it as a whole.
#pragma once
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "policy/policy.h"

namespace limpid {

// One address of an upstream, as all threads see it. It outlives a reload that keeps the address.
struct Member {
  using Clock = std::chrono::steady_clock;

  Endpoint address;
  std::atomic<std::uint64_t> sessions{0};  // alive now, or being opened
  std::atomic<Clock::rep> down_until{0};   // since the clock's beginning: none is sent there until then
  std::atomic<bool> refuses{false};        // down because it refuses us: it is there all the same
  std::atomic<std::uint64_t> failures{0};  // of sessions and checks

  [[nodiscard]] bool is_down(Clock::time_point now) const {
    return now.time_since_epoch().count() < down_until.load(std::memory_order_relaxed);
  }
  enum class Why : std::uint8_t { fails, refuses };
  void eject(Clock::time_point until, Why why = Why::fails) {
    failures.fetch_add(1, std::memory_order_relaxed);
    refuses.store(why == Why::refuses, std::memory_order_relaxed);
    down_until.store(until.time_since_epoch().count(), std::memory_order_relaxed);
  }
  void restore() { down_until.store(0, std::memory_order_relaxed); }
};

// A session on the way through a member, counted as such for as long as this lives.
class MemberUse {
 public:
  MemberUse() = default;
  explicit MemberUse(std::shared_ptr<Member> member) : member_(std::move(member)) { member_->sessions.fetch_add(1); }
  MemberUse(MemberUse&&) = default;
  MemberUse& operator=(MemberUse&& other) noexcept {
    std::swap(member_, other.member_);
    return *this;
  }
  ~MemberUse() {
    if (member_) member_->sessions.fetch_sub(1);
  }

 private:
  std::shared_ptr<Member> member_;
};

// What is known of one address; crosses from the worker to the supervisor as it is.
struct MemberReport {
  enum class State : std::uint8_t { up, down, refuses };
  std::uint32_t upstream = 0;  // its place in the policy
  Endpoint address;
  State state = State::up;
  std::uint64_t sessions = 0;
  std::uint64_t failures = 0;
};

class PathPolicy;

// Whether what was decided by the one policy is not what the other decides. `before` may be null where no upstream was
// chosen.
[[nodiscard]] bool differs(const PathPolicy* before, const Decision& was, const PathPolicy& now, const Decision& is);

class PathPolicy {
 public:
  // `before`: what this one replaces; may be null.
  PathPolicy(PolicySource source, HashSeed seed, const PathPolicy* before);

  [[nodiscard]] const Policy& policy() const { return policy_; }
  [[nodiscard]] std::span<const std::shared_ptr<Member>> members(std::uint32_t upstream) const {
    return members_[upstream];
  }
  // What to make of addresses that are down: none is chosen, or only where no other is left.
  enum class Down : std::uint8_t { never, last };
  // The one to try next for this client: up, with a place, and not among those tried before; null: none.
  [[nodiscard]] std::shared_ptr<Member> choose(std::uint32_t upstream, const Address& client,
                                               std::span<const std::shared_ptr<Member>> tried,
                                               Member::Clock::time_point now, Down down = Down::never) const;
  // One is there, but has as many sessions as it may have, or refuses us: when_down is not about that.
  [[nodiscard]] bool is_there(std::uint32_t upstream, Member::Clock::time_point now) const;
  // Of every address.
  [[nodiscard]] std::vector<MemberReport> report(Member::Clock::time_point now) const;

 private:
  Policy policy_;
  std::vector<std::vector<std::shared_ptr<Member>>> members_;  // of each upstream
};

}  // namespace limpid
