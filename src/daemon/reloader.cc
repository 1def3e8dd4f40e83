// SPDX-License-Identifier: MIT
#include "daemon/reloader.h"

#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <ctime>

#include "daemon/given_back.h"
#include "daemon/policy_file.h"
#include "daemon/reload.h"
#include "daemon/worker_settings.h"
#include "proxy/local_time.h"

namespace limpid {
namespace {
constexpr std::chrono::seconds heard_within{5};
}

boost::asio::awaitable<Result<Reloader::Failures>> Reloader::reload(Config wanted, Enforce enforce) {
  if (const std::vector<std::string> fixed = unchangeable(config_, wanted); !fixed.empty())
    co_return failure(fmt::format("{}", fmt::join(fixed, "\n")));
  const Result<Plan> plan = plan_for(wanted, prepared_.interception->plan());
  if (!plan) co_return std::unexpected(plan.error());
  Result<UserListeners> listeners = prepared_.user_listeners.changed_to(wanted.listeners);
  if (!listeners) co_return std::unexpected(listeners.error());
  Result<Fd> policy = write_policy_file({wanted.rules, wanted.upstreams, wanted.listeners});
  if (!policy) co_return std::unexpected(policy.error());
  if (Result<> moved = prepared_.access_sink->move_to(wanted.log.access); !moved)
    co_return std::unexpected(moved.error());

  // The worker first: it knows what to do with a flow before the kernel hands it over.
  std::swap(prepared_.policy, *policy);
  co_await tell_worker(wanted);
  if (Result<> changed = prepared_.interception->change_plan(*plan); !changed) {
    std::swap(prepared_.policy, *policy);
    co_await tell_worker(config_);
    worker_.add_listeners(prepared_.user_listeners.descriptors_beyond(*listeners));  // those it has let go
    if (Result<> back = prepared_.access_sink->move_to(config_.log.access); !back)
      spdlog::error("{}", back.error().what);
    co_return std::unexpected(changed.error());
  }
  config_ = std::move(wanted);
  change_listeners(std::move(*listeners));
  prepared_.kernel_flows->set_idle_timeout(config_.limits.answered_timeout);
  Failures failures;
  take_back_watched(failures);
  if (enforce == Enforce::yes) co_await enforce_policy(failures);
  co_return failures;
}

// Where a rule verifies hosts now, and none did before.
void Reloader::take_back_watched(Failures& failures) {
  if (!prepared_.interception->plan().rules.watches_dns) return;
  const KernelFlows& flows = *prepared_.kernel_flows;
  take_back([&flows](const Flow& flow, const FlowLabel&) { return flows.is_watched(flow); }, failures);
}

void Reloader::take_back(const KernelFlows::IsMeant& is_meant, Failures& failures) {
  const Result<std::vector<FlowAccount>> back = prepared_.kernel_flows->take_back(is_meant);
  if (back)
    give_back(worker_, *prepared_.kernel_flows, *back);
  else
    failures.push_back("take UDP flows back from the kernel: " + back.error().what);
}

// Those that are no longer wanted have ended with the policy that names them; here go the last who hold them.
void Reloader::change_listeners(UserListeners listeners) {
  std::swap(prepared_.user_listeners, listeners);
  prepared_.worker.places = prepared_.user_listeners.places();
  worker_.expect(prepared_.worker);
  worker_.add_listeners(prepared_.user_listeners.descriptors_beyond(listeners));
}

boost::asio::awaitable<void> Reloader::tell_worker(const Config& config) {
  const bool once = prepared_.worker.path.once;
  prepared_.worker.path = path_settings(config, prepared_.most_sessions, prepared_.listeners->ports());
  prepared_.worker.path.once = once;
  worker_.adopt(prepared_.worker);
  (void)co_await worker_.refresh(heard_within);  // one that does not answer is replaced, and the next has it all
}

// Flows that the kernel has, and would not have if they began now, come back to the worker, which ends them.
boost::asio::awaitable<void> Reloader::enforce_policy(Failures& failures) {
  const Policy policy({config_.rules, config_.upstreams}, HashSeed{});
  ::tzset();
  const std::chrono::minutes now = LocalTime().minute(Clock::now());
  const auto goes_elsewhere = [&](const Flow& flow, const FlowLabel& label) {
    std::optional<Claim> claim;
    if (label.app) claim = Claim{label.host, *label.app};
    const std::optional<Decision> decision =
        policy.decide({.flow = flow, .proto = Protocol::udp, .now = now, .claim = claim});
    return decision && decision->action != Action::direct;
  };
  take_back(goes_elsewhere, failures);
  worker_.enforce();
  (void)co_await worker_.refresh(heard_within);
}

}  // namespace limpid
