// SPDX-License-Identifier: MIT
// The plan made real, and taken back. Remembers what was done, not what was meant; undoes it in reverse and goes on
// past failures. Not to be used by two threads at a time. CAP_NET_ADMIN.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "intercept/direct_flows.h"
#include "intercept/fib.h"
#include "intercept/leftovers.h"
#include "intercept/nft.h"
#include "intercept/plan.h"

namespace limpid {

class Installation {
 public:
  // All or nothing: a refused step undoes the earlier ones and is named in the error. First the lock is taken (an
  // instance that lives is an error), then what a dead one left goes, its sockets too; a guard that stood before is
  // adopted, and stays if this fails. The table comes last.
  [[nodiscard]] static Result<Installation> install(const Plan& plan, const Conditions& conditions,
                                                    std::chrono::milliseconds patience = std::chrono::seconds(2));
  Installation(Installation&&) noexcept;
  Installation& operator=(Installation&&) = delete;
  ~Installation();  // withdraws; the guard stays if the plan says closed

  // One transaction. Where only `taking` differs, only the port sets change. The plan may differ in all but the marks,
  // the table, the priorities and the sockets; of upstreams there may be more, never fewer.
  [[nodiscard]] Result<> change(const Plan& plan, const Conditions& conditions);
  [[nodiscard]] Result<> change(const Conditions& conditions) { return change(plan(), conditions); }

  // Flows that the kernel is to forward by itself from now on, or not any longer. All of them or none.
  [[nodiscard]] Result<> change_direct(DirectChange change, std::span<const Flow> flows);

  // Puts back what others have taken away of the guard, the fib rules and the routes. Returns what that was.
  [[nodiscard]] Result<std::vector<std::string>> restore();

  // Table, sockets of ours, fib rules, routes, and the guard if so told. A second call finds nothing to do.
  Removed withdraw(GuardFate guard);

  [[nodiscard]] const Plan& plan() const;
  [[nodiscard]] const Conditions& conditions() const;
  // Sockets of a dead instance that went at the start.
  [[nodiscard]] const Destroyed& destroyed() const;
  // A guard stood already: it is not this start's to take away should that fail.
  [[nodiscard]] bool has_adopted_guard() const;
  // What is installed, in ip(8)'s and nft(8)'s words.
  [[nodiscard]] std::vector<std::string> lines() const;

 private:
  struct State;
  explicit Installation(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;  // null once moved from
};

}  // namespace limpid
