// SPDX-License-Identifier: MIT
#include "daemon/preparation.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "daemon/account.h"
#include "daemon/confine.h"
#include "daemon/own_cgroup.h"
#include "daemon/policy_file.h"
#include "daemon/worker_settings.h"

namespace limpid {
namespace {

Result<WorkerAccount> worker_account(const Config& config) {
  Result<WorkerAccount> account = find_worker_account(config.process.user);
  if (account && !account->exists)
    spdlog::warn("there is no user \"{}\": the worker runs as uid {}; scripts/install makes the user",
                 config.process.user, account->account.uid);
  return account;
}

Result<> open_udp(const Config& config, UdpSockets& sockets, Plan& plan) {
  if (plan.settings.udp.empty()) return {};
  const Mark own = plan.settings.own_mark;
  Result<UdpSockets> udp = UdpSockets::open(families(plan), own, own.with(plan.settings.mark));
  if (!udp) return std::unexpected(udp.error());
  sockets = std::move(*udp);
  plan.udp4 = sockets.ports(AF_INET);
  plan.udp6 = sockets.ports(AF_INET6);
  plan.handover = config.transparency.handover == Handover::automatic;
  return {};
}

// The kernel state that is wanted, with the ports of our sockets.
Result<Plan> make_plan(const Config& config, const Account& account, Preparation& prepared) {
  Plan plan{
      .settings = config.intercept, .ports = prepared.listeners->ports(), .worker_uid = account.uid, .cgroup = {}};
  if (Result<> opened = open_udp(config, prepared.udp, plan); !opened) return std::unexpected(opened.error());
  return plan_for(config, std::move(plan));
}

// One for what is intercepted, and what looks back at us; and the user's.
Result<> open_listeners(const Config& config, Preparation& prepared) {
  Result<Listeners> listeners = Listeners();
  const Mark mark = config.intercept.own_mark.with(config.intercept.mark);
  if (wants_kernel(config)) listeners = Listeners::open(path_threads(), mark);
  if (!listeners) return std::unexpected(listeners.error());
  prepared.listeners = std::make_unique<Listeners>(std::move(*listeners));
  Result<UserListeners> user = UserListeners::open(config.listeners, path_threads());
  if (!user) return std::unexpected(user.error());
  prepared.user_listeners = std::move(*user);
  return {};
}

Result<Fd> log_of_kernel_flows(AccessSink& sink, const Plan& plan) {
  if (!sink.is_on() || !plan.handover) return Fd();
  return sink.add_pipe();
}

}  // namespace

Result<Plan> plan_for(const Config& config, Plan plan) {
  plan.held = plan.held.changed(plan.settings, config.intercept);
  plan.settings = config.intercept;
  plan.rules = kernel_rules(config.rules);
  plan.borrows = borrows_addresses(config);
  // Sessions may still go by those of before.
  for (const Endpoint& upstream : upstreams_that_see_clients(config))
    if (std::ranges::find(plan.upstreams, upstream) == plan.upstreams.end()) plan.upstreams.push_back(upstream);
  if (config.intercept.local && !plan.cgroup) {
    Result<Nft> nft = Nft::open();
    if (!nft) return std::unexpected(nft.error());
    plan.cgroup = find_own_cgroup(*nft);
  }
  return plan;
}

Result<Preparation> prepare(boost::asio::io_context& io, const Config& config) {
  Preparation prepared;
  const Result<std::uint64_t> descriptors = raise_descriptor_limit();
  if (!descriptors) return std::unexpected(descriptors.error());
  prepared.pipes = BulkPipes::open(std::min<std::uint64_t>(most_pipes, *descriptors / 32));
  if (Result<> confined = confine_supervisor(); !confined) return std::unexpected(confined.error());
  Result<AccessSink> sink = AccessSink::open(io, config.log.access);
  if (!sink) return std::unexpected(sink.error());
  prepared.access_sink = std::make_unique<AccessSink>(std::move(*sink));
  const Result<WorkerAccount> account = worker_account(config);
  if (!account) return std::unexpected(account.error());

  Result<Fd> policy = write_policy_file({config.rules, config.upstreams, config.listeners});
  if (!policy) return std::unexpected(policy.error());
  prepared.policy = std::move(*policy);

  if (Result<> opened = open_listeners(config, prepared); !opened) return std::unexpected(opened.error());
  const Result<Plan> plan = make_plan(config, account->account, prepared);
  if (!plan) return std::unexpected(plan.error());
  prepared.most_sessions = session_budget(
      *descriptors, 2 * prepared.pipes.count() + prepared.udp.most_descriptors(segment_sockets(*descriptors)) +
                        prepared.user_listeners.descriptors().size());
  prepared.worker = {.path = path_settings(config, prepared.most_sessions, prepared.listeners->ports()),
                     .account = account->account,
                     .threads = path_threads(),
                     .families = prepared.listeners->families(),
                     .places = prepared.user_listeners.places(),
                     .has_udp4 = plan->udp4.request != 0,
                     .has_udp6 = plan->udp6.request != 0,
                     .segment_sockets = segment_sockets(*descriptors),
                     .has_log = prepared.access_sink->is_on(),
                     .pipes = static_cast<std::uint32_t>(prepared.pipes.count())};

  Result<std::unique_ptr<Interception>> interception = Interception::survey(io, *plan);
  if (!interception) return std::unexpected(interception.error());
  prepared.interception = std::move(*interception);
  Result<Fd> log = log_of_kernel_flows(*prepared.access_sink, *plan);
  if (!log) return std::unexpected(log.error());
  prepared.kernel_flows =
      std::make_unique<KernelFlows>(io, *prepared.interception, config.limits.answered_timeout, std::move(*log));
  return prepared;
}

}  // namespace limpid
