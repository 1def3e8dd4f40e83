// SPDX-License-Identifier: MIT
// The UDP flows that the kernel forwards by itself: handed over by the worker, accounted for by the kernel's counters,
// forgotten when they are idle, taken back when somebody wants it.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <optional>
#include <unordered_map>

#include "account/access_log.h"
#include "daemon/interception.h"
#include "daemon/waiting.h"
#include "policy/flow.h"
#include "proxy/udp_relay.h"

namespace limpid {

class KernelFlows {
 public:
  // More are refused, and stay with the worker.
  static constexpr std::size_t most = 1 << 16;

  struct Totals {
    std::uint64_t handed_over = 0;
    std::uint64_t taken_back = 0;
  };

  // `log`: the write end of a pipe to the access log's sink; none where nothing is logged.
  KernelFlows(boost::asio::io_context& io, Interception& interception, std::chrono::milliseconds idle_timeout, Fd log);

  // Hands them over, all or none, but for those that the worker has been given back and may not know of yet, and for
  // those whose answers it has to see, or that we would not have taken: what the worker asks for is not trusted.
  // Returns what the kernel has now.
  [[nodiscard]] std::vector<Flow> take(const std::vector<Flow>& flows);
  // What the worker has carried of flows that it has handed over, or has carried besides. Returns what belongs to flows
  // that it has been given back meanwhile.
  [[nodiscard]] std::vector<FlowAccount> add(const std::vector<FlowAccount>& accounts);
  // Where a firewall may drop what is left to the kernel (Interception::forward_drops), one flow is tried first. If
  // nothing comes back to it any more, it is returned, for the worker to have again, and no more are taken.
  [[nodiscard]] Result<std::vector<FlowAccount>> judge_trial();
  [[nodiscard]] bool are_dropped() const { return trial_ == Trial::failed; }
  // Reads the counters; ends what is idle.
  [[nodiscard]] Result<> look();
  // look(), from time to time.
  boost::asio::awaitable<void> follow();
  // The kernel has them no longer; what they have carried.
  using IsMeant = std::function<bool(const Flow&, const FlowLabel&)>;
  [[nodiscard]] Result<std::vector<FlowAccount>> take_back(const IsMeant& is_meant);
  // The access log's line of one that nobody else will tell of.
  void close(const FlowAccount& account, CloseReason reason);
  // limpid ends, and its sets with it. Tells of every flow.
  void end();
  void set_idle_timeout(std::chrono::milliseconds timeout) { idle_timeout_ = timeout; }

  [[nodiscard]] std::vector<FlowAccount> list() const;
  [[nodiscard]] std::size_t size() const { return flows_.size(); }
  // Of DNS, while a rule verifies hosts: stays with the worker.
  [[nodiscard]] bool is_watched(const Flow& flow) const;
  [[nodiscard]] const Totals& totals() const { return totals_; }
  [[nodiscard]] CounterValues counters() const { return counters_.values(); }  // of flows that have ended

 private:
  struct State {
    std::chrono::system_clock::time_point time;  // of the first datagram
    Carried up{}, down{};                        // by the worker
    Carried kernel_up{}, kernel_down{};
    std::chrono::system_clock::time_point moved;  // when the counters were last seen to have grown
    FlowLabel label{};                            // as the worker tells it
  };
  struct Hash {
    std::size_t operator()(const Flow& flow) const;
  };

  [[nodiscard]] bool may_be_handed_over(const Flow& flow) const;
  // How many of so many new flows the kernel may have now.
  [[nodiscard]] std::size_t room_for(std::size_t count);
  [[nodiscard]] Result<std::vector<FlowAccount>> give_back(const std::vector<Flow>& flows);
  void count(const DirectCount& count, std::chrono::system_clock::time_point now);
  [[nodiscard]] static FlowAccount account_of(const Flow& ends, const State& state);
  void tell_end(const FlowAccount& account, std::chrono::system_clock::duration duration, CloseReason reason);
  [[nodiscard]] Result<> remove(const std::vector<Flow>& flows);

  boost::asio::io_context& io_;
  Interception& interception_;
  std::chrono::milliseconds idle_timeout_;
  Counters counters_;
  std::optional<AccessLog> log_;  // until end()
  std::unordered_map<Flow, State, Hash> flows_;
  std::unordered_map<Flow, Clock::time_point, Hash> given_back_;  // lately: when
  Totals totals_;
  enum class Trial : std::uint8_t { none, running, passed, failed } trial_ = Trial::none;
  Flow on_trial_;
};

}  // namespace limpid
