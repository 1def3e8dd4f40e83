// SPDX-License-Identifier: MIT
// The kernel state over time: surveyed, installed, kept in step with what others change, withdrawn.
#pragma once
#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/waiting.h"
#include "intercept/installation.h"
#include "intercept/survey.h"
#include "net/netlink.h"

namespace limpid {

class Interception {
 public:
  // Looks at the machine, touching nothing. A conflict is an Error; what is only less than it could be is logged.
  [[nodiscard]] static Result<std::unique_ptr<Interception>> survey(boost::asio::io_context& io, const Plan& plan);

  // All or nothing; takes no connection yet. An empty plan installs nothing and takes no lock.
  [[nodiscard]] Result<> install();
  // New connections are ours, or are let go.
  [[nodiscard]] Result<> take(bool taking);
  // Another plan from now on, in one transaction; refused, the one before stays.
  [[nodiscard]] Result<> change_plan(const Plan& plan);
  // UDP flows that the kernel is to forward by itself, or not any longer.
  [[nodiscard]] Result<> change_direct(DirectChange change, std::span<const Flow> flows);
  // From now on: look() whenever the kernel tells of a change.
  void follow();
  // Follows conntrack, bridges and SYN cookies; puts back what others took away of ours.
  void look();
  // While it drains, clients go direct, and one that uses a port again which waits in a socket of ours would get no
  // answer: a packet that belongs to a socket is not forwarded.
  void forget_time_wait() const;
  [[nodiscard]] Removed withdraw(GuardFate guard);

  [[nodiscard]] const Plan& plan() const { return plan_; }
  // Chains that may drop UDP flows left to the kernel, a sentence each: their policy does, and what else they accept is
  // not ours to judge.
  [[nodiscard]] const std::vector<std::string>& forward_drops() const { return survey_.forward_drops; }
  [[nodiscard]] bool has_adopted_guard() const { return installation_ && installation_->has_adopted_guard(); }
  [[nodiscard]] Conditions conditions() const { return installation_ ? installation_->conditions() : Conditions{}; }
  [[nodiscard]] std::vector<std::string> lines() const;     // what is installed
  [[nodiscard]] std::vector<std::string> degraded() const;  // a sentence each

 private:
  Interception(boost::asio::io_context& io, const Plan& plan, Surveyor surveyor, KernelEvents network,
               KernelEvents firewall);
  boost::asio::awaitable<void> follow(KernelEvents& events);
  [[nodiscard]] Result<> look_at_machine(const Plan& plan);
  [[nodiscard]] Result<> apply();

  boost::asio::io_context& io_;
  Plan plan_;
  Surveyor surveyor_;
  KernelEvents network_, firewall_;
  Survey survey_;
  std::optional<Installation> installation_;
  bool taking_ = false;
  std::string trouble_;  // the last refusal to change what is installed
};

}  // namespace limpid
