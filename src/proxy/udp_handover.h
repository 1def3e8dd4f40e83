// SPDX-License-Identifier: MIT
// Which UDP flows are handed over to the kernel, and what becomes of those that were (docs/decisions/0010).
#pragma once
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "proxy/udp_table.h"

namespace limpid {

class Worker;

// What the access log has of a flow that goes direct beside its ends and its account.
struct FlowLabel {
  std::optional<Application> app{};
  std::string host{};
  std::string rule{};            // its name
  std::uint32_t rule_place = 0;  // in the policy that has decided
};

// A flow and what it has carried so far; crosses between worker and supervisor (daemon/flow_messages.h).
struct FlowAccount {
  Flow ends;
  std::chrono::system_clock::time_point time{};  // of its first datagram
  Carried up{}, down{};
  FlowLabel label{};
};

// To the supervisor, which is told of the first few at a time; they return of how many, 0: of none now.
struct HandoverCalls {
  std::function<std::size_t(std::span<const Flow>)> ask;             // the kernel is to take these over
  std::function<std::size_t(std::span<const FlowAccount>)> account;  // it has: these are no longer ours
};

class UdpHandover {
 public:
  // A flow with so many datagrams, both ways together, is worth an entry in the kernel's table.
  static constexpr std::uint64_t worth_it_after = 8;

  UdpHandover(Worker& worker, UdpTable& table, HandoverCalls calls)
      : worker_(worker), table_(table), calls_(std::move(calls)) {}

  // A flow has carried something: one that goes direct may be worth it.
  void consider(UdpFlow& flow);
  // What has become of flows that were to be handed over.
  enum class Answer : std::uint8_t { taken, refused, given_back };
  void take(Answer answer, const std::vector<FlowAccount>& flows);
  // A flow that the kernel has has ended here.
  void keep_account(const UdpFlow& flow);

  // Forgets the flows of which no datagram is under way to us any more.
  void forget_handed_over();
  // Tells the supervisor what there is to tell.
  void hand_over();
  [[nodiscard]] std::size_t leaving() const { return leaving_.size(); }
  [[nodiscard]] Reactor::Clock::time_point next_deadline(Reactor::Clock::time_point otherwise) const;

 private:
  void restore(UdpFlow& flow, const FlowLabel& label) const;
  void let_go(UdpFlow& flow);

  Worker& worker_;
  UdpTable& table_;
  HandoverCalls calls_;
  std::vector<Flow> to_hand_over_;
  std::vector<FlowAccount> handed_over_;  // of which the supervisor has not got the account yet
  struct Leaving {
    Flow ends;
    Reactor::Clock::time_point until;
  };
  std::deque<Leaving> leaving_;  // the kernel has them
};

}  // namespace limpid
