// SPDX-License-Identifier: MIT
#include "daemon/reloader.h"

#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <ctime>

#include "daemon/policy_file.h"
#include "daemon/reload.h"
#include "daemon/worker_settings.h"
#include "proxy/local_time.h"

namespace limpid {
namespace {
constexpr std::chrono::seconds heard_within{5};
}

boost::asio::awaitable<Result<>> Reloader::reload(Config wanted, Enforce enforce) {
  if (const std::vector<std::string> fixed = unchangeable(config_, wanted); !fixed.empty())
    co_return failure(fmt::format("{}", fmt::join(fixed, "\n")));
  const Result<Plan> plan = plan_for(wanted, prepared_.interception->plan());
  if (!plan) co_return std::unexpected(plan.error());
  Result<UserListeners> listeners = prepared_.user_listeners.changed_to(wanted.listeners);
  if (!listeners) co_return std::unexpected(listeners.error());
  Result<Fd> policy = write_policy_file({wanted.rules, wanted.upstreams, wanted.listeners});
  if (!policy) co_return std::unexpected(policy.error());
  if (Result<> moved = prepared_.access_sink->move_to(wanted.log.access); !moved) co_return moved;

  // The worker first: it knows what to do with a flow before the kernel hands it over.
  std::swap(prepared_.policy, *policy);
  co_await tell_worker(wanted);
  if (Result<> changed = prepared_.interception->change_plan(*plan); !changed) {
    std::swap(prepared_.policy, *policy);
    co_await tell_worker(config_);
    add_listeners(prepared_.user_listeners.descriptors_beyond(*listeners));  // those it has let go
    if (Result<> back = prepared_.access_sink->move_to(config_.log.access); !back)
      spdlog::error("{}", back.error().what);
    co_return changed;
  }
  config_ = std::move(wanted);
  change_listeners(std::move(*listeners));
  prepared_.kernel_flows->set_idle_timeout(config_.limits.answered_timeout);
  if (Result<> back = take_back_watched(); !back) co_return back;
  if (enforce == Enforce::no) co_return Result<>{};
  co_return co_await enforce_policy();
}

// Where a rule verifies hosts now, and none did before.
Result<> Reloader::take_back_watched() {
  if (!prepared_.interception->plan().rules.watches_dns) return {};
  const KernelFlows& flows = *prepared_.kernel_flows;
  return give_back([&flows](const Flow& flow, const FlowLabel&) { return flows.is_watched(flow); });
}

Result<> Reloader::give_back(const KernelFlows::IsMeant& is_meant) {
  const Result<std::vector<FlowAccount>> back = prepared_.kernel_flows->take_back(is_meant);
  if (!back) return std::unexpected(back.error());
  if (!worker_.is_ready() || back->empty()) return {};  // what the worker had has ended with it
  return worker_.tell(MessageKind::flows_given_back, *back);
}

// Those that are no longer wanted have ended with the policy that names them; here go the last who hold them.
void Reloader::change_listeners(UserListeners listeners) {
  std::swap(prepared_.user_listeners, listeners);
  prepared_.worker.places = prepared_.user_listeners.places();
  worker_.expect(prepared_.worker);
  add_listeners(prepared_.user_listeners.descriptors_beyond(listeners));
}

void Reloader::add_listeners(const std::vector<int>& listeners) {
  if (Result<> added = worker_.add_listeners(listeners); !added)
    spdlog::error("hand the worker its listeners: {}", added.error().what);
}

boost::asio::awaitable<void> Reloader::tell_worker(const Config& config) {
  const bool once = prepared_.worker.path.once;
  prepared_.worker.path = path_settings(config, prepared_.most_sessions, prepared_.listeners->ports());
  prepared_.worker.path.once = once;
  if (Result<> told = worker_.adopt(prepared_.worker); !told) spdlog::warn("tell the worker: {}", told.error().what);
  (void)co_await worker_.refresh(heard_within);  // one that does not answer is replaced, and the next has it all
}

// Flows that the kernel has, and would not have if they began now, come back to the worker, which ends them.
boost::asio::awaitable<Result<>> Reloader::enforce_policy() {
  const Policy policy({config_.rules, config_.upstreams}, HashSeed{});
  ::tzset();
  const std::chrono::minutes now = LocalTime().minute(Clock::now());
  const Result<> given = give_back([&](const Flow& flow, const FlowLabel& label) {
    std::optional<Claim> claim;
    if (label.app) claim = Claim{label.host, *label.app};
    const std::optional<Decision> decision =
        policy.decide({.flow = flow, .proto = Protocol::udp, .now = now, .claim = claim});
    return decision && decision->action != Action::direct;
  });
  if (!given) co_return given;
  if (!worker_.is_ready()) co_return Result<>{};
  if (Result<> told = worker_.enforce(); !told) co_return told;
  (void)co_await worker_.refresh(heard_within);
  co_return Result<>{};
}

}  // namespace limpid
