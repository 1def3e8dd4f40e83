// SPDX-License-Identifier: MIT
#include "daemon/kernel_flows.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <string_view>

#include "net/packet.h"

namespace limpid {
namespace {

using SystemClock = std::chrono::system_clock;

// A worker that is alive has seen what it was told.
constexpr std::chrono::seconds knows_of_it_within{10};
// Statements of one transaction.
constexpr std::size_t batch = 512;

Carried payload_of(const DirectCount& count) {
  const std::uint64_t headers = count.packets * (ip_header_size(count.ends.client.family()) + udp_header_size);
  return {count.packets, count.bytes - std::min(count.bytes, headers)};
}

Carried sum(Carried one, const Carried& other) { return one += other; }

}  // namespace

std::size_t KernelFlows::Hash::operator()(const Flow& flow) const {
  // Bounded in number and decided by us: no need for a seed.
  const auto hash = [](const Endpoint& end) {
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(end.address.bytes()), 16}) * 31 + end.port;
  };
  return hash(flow.client) * 1'000'003 ^ hash(flow.destination);
}

KernelFlows::KernelFlows(boost::asio::io_context& io, Interception& interception,
                         std::chrono::milliseconds idle_timeout, Fd log)
    : io_(io), interception_(interception), idle_timeout_(idle_timeout) {
  log_.emplace(std::move(log), counters_);
}

bool KernelFlows::may_be_handed_over(const Flow& flow) const {
  const Plan& plan = interception_.plan();
  const int family = flow.client.family();
  if ((family != AF_INET && family != AF_INET6) || flow.destination.family() != family || plan.ports.of(family) == 0)
    return false;
  return plan.handover && std::ranges::any_of(plan.settings.udp, [&](const PortRange& range) {
           return range.first <= flow.destination.port && flow.destination.port <= range.last;
         });
}

bool KernelFlows::is_watched(const Flow& flow) const {
  return interception_.plan().rules.watches_dns && flow.destination.port == dns_port;
}

std::vector<Flow> KernelFlows::take(const std::vector<Flow>& flows) {
  std::vector<Flow> taken, fresh;
  for (const Flow& flow : flows) {
    if (!may_be_handed_over(flow) || given_back_.contains(flow) || is_watched(flow)) continue;
    (flows_.contains(flow) ? taken : fresh).push_back(flow);
  }
  fresh.resize(room_for(fresh.size()));
  if (fresh.empty()) return taken;
  taken.insert(taken.end(), fresh.begin(), fresh.end());
  if (Result<> added = interception_.change_direct(DirectChange::add, fresh); !added) {
    spdlog::warn("hand UDP flows over to the kernel: {}", added.error().what);
    return {};
  }
  for (const Flow& flow : fresh)
    flows_.try_emplace(flow, State{.time = SystemClock::now(), .moved = SystemClock::now()});
  if (!interception_.forward_drops().empty() && trial_ == Trial::none) {
    trial_ = Trial::running;
    on_trial_ = fresh.front();
  }
  totals_.handed_over += fresh.size();
  return taken;
}

std::vector<FlowAccount> KernelFlows::add(const std::vector<FlowAccount>& accounts) {
  std::vector<FlowAccount> back;
  for (const FlowAccount& account : accounts) {
    if (const auto found = flows_.find(account.ends); found != flows_.end()) {
      found->second.time = std::min(found->second.time, account.time);
      found->second.up += account.up;
      found->second.down += account.down;
      found->second.label = account.label;
    } else if (given_back_.contains(account.ends)) {
      back.push_back(account);
    }
  }
  return back;
}

void KernelFlows::count(const DirectCount& count, SystemClock::time_point now) {
  const Carried carried = payload_of(count);
  const auto grow = [&](const Flow& ends, Carried State::* way) {
    const auto found = flows_.find(ends);
    if (found == flows_.end()) return;
    Carried& known = found->second.*way;
    if (carried.datagrams != known.datagrams) found->second.moved = now;
    known = carried;
  };
  grow(count.ends, &State::kernel_up);
  grow({count.ends.destination, count.ends.client}, &State::kernel_down);
}

Result<> KernelFlows::look() {
  std::erase_if(given_back_, [](const auto& one) { return Clock::now() - one.second > knows_of_it_within; });
  if (flows_.empty()) return {};
  const Result<std::vector<DirectCount>> counts = direct_counts(families(interception_.plan()));
  if (!counts) return std::unexpected(counts.error());
  const SystemClock::time_point now = SystemClock::now();
  for (const DirectCount& one : *counts) count(one, now);
  std::vector<Flow> idle;
  for (const auto& [ends, state] : flows_)
    if (now - state.moved >= idle_timeout_) idle.push_back(ends);
  if (Result<> removed = remove(idle); !removed) return removed;
  for (const Flow& ends : idle) {
    const auto node = flows_.extract(ends);
    tell_end(account_of(ends, node.mapped()), node.mapped().moved - node.mapped().time, CloseReason::idle_timeout);
  }
  if (log_) log_->flush();
  return {};
}

boost::asio::awaitable<void> KernelFlows::follow() {
  using std::chrono::milliseconds;
  for (;;) {
    // Often enough to see a flow's last datagrams before its time is over.
    co_await pause_for(io_, std::clamp(idle_timeout_ / 6, milliseconds(100), milliseconds(15'000)));
    if (Result<> looked = look(); !looked) spdlog::warn("{}", looked.error().what);
  }
}

Result<> KernelFlows::remove(const std::vector<Flow>& flows) {
  for (std::span<const Flow> rest = flows; !rest.empty(); rest = rest.subspan(std::min(rest.size(), batch)))
    if (Result<> removed = interception_.change_direct(DirectChange::remove, rest.first(std::min(rest.size(), batch)));
        !removed)
      return removed;
  return {};
}

std::size_t KernelFlows::room_for(std::size_t count) {
  if (interception_.forward_drops().empty())
    trial_ = Trial::none;
  else if (trial_ == Trial::none && count > 0)
    return 1;
  else if (trial_ != Trial::passed)
    return 0;
  return std::min(count, most - flows_.size());
}

Result<std::vector<FlowAccount>> KernelFlows::judge_trial() {
  if (trial_ != Trial::running) return std::vector<FlowAccount>{};
  if (Result<> looked = look(); !looked) return std::unexpected(looked.error());
  const auto found = flows_.find(on_trial_);
  if (found == flows_.end()) {
    trial_ = Trial::none;
  } else if (found->second.kernel_down.datagrams > 0) {
    trial_ = Trial::passed;
  } else if (found->second.kernel_up.datagrams > 0 && found->second.down.datagrams > 0) {
    trial_ = Trial::failed;
    return give_back({on_trial_});
  }
  return std::vector<FlowAccount>{};
}

Result<std::vector<FlowAccount>> KernelFlows::take_back(const IsMeant& is_meant) {
  if (Result<> looked = look(); !looked) return std::unexpected(looked.error());
  std::vector<Flow> meant;
  for (const auto& [ends, state] : flows_)
    if (is_meant(ends, state.label)) meant.push_back(ends);
  return give_back(meant);
}

Result<std::vector<FlowAccount>> KernelFlows::give_back(const std::vector<Flow>& meant) {
  if (Result<> removed = remove(meant); !removed) return std::unexpected(removed.error());
  std::vector<FlowAccount> accounts;
  for (const Flow& ends : meant) {
    const auto node = flows_.extract(ends);
    accounts.push_back(account_of(ends, node.mapped()));
    given_back_[ends] = Clock::now();
  }
  totals_.taken_back += accounts.size();
  return accounts;
}

void KernelFlows::end() {
  if (Result<> looked = look(); !looked) spdlog::warn("{}", looked.error().what);
  for (const auto& [ends, state] : flows_)
    tell_end(account_of(ends, state), state.moved - state.time, CloseReason::withdrawn);
  flows_.clear();
  if (log_) log_->flush();
  log_.reset();
}

std::vector<FlowAccount> KernelFlows::list() const {
  std::vector<FlowAccount> accounts;
  for (const auto& [ends, state] : flows_) accounts.push_back(account_of(ends, state));
  return accounts;
}

FlowAccount KernelFlows::account_of(const Flow& ends, const State& state) {
  return {ends, state.time, sum(state.up, state.kernel_up), sum(state.down, state.kernel_down), state.label};
}

void KernelFlows::close(const FlowAccount& account, CloseReason reason) {
  tell_end(account, SystemClock::now() - account.time, reason);
}

void KernelFlows::tell_end(const FlowAccount& account, SystemClock::duration duration, CloseReason reason) {
  counters_.closed[static_cast<std::size_t>(reason)].add(1);
  if (!log_) return;
  log_->add({.time = account.time,
             .protocol = Protocol::udp,
             .client = account.ends.client,
             .destination = account.ends.destination,
             .source_kept = SourceKept::port,
             .datagrams_up = account.up.datagrams,
             .datagrams_down = account.down.datagrams,
             .bytes_up = account.up.bytes,
             .bytes_down = account.down.bytes,
             .duration = duration,
             .via = Via::kernel,
             .app = account.label.app,
             .host = account.label.host,
             .rule = account.label.rule,
             .reason = reason});
}

}  // namespace limpid
