// SPDX-License-Identifier: MIT
#include "daemon/interception.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "net/sock_diag.h"

namespace limpid {
namespace {
constexpr std::chrono::milliseconds settle{20};  // after a change of the kernel state, before looking at it
}

Interception::Interception(boost::asio::io_context& io, const Plan& plan, Surveyor surveyor, KernelEvents network,
                           KernelEvents firewall)
    : io_(io),
      plan_(plan),
      surveyor_(std::move(surveyor)),
      network_(std::move(network)),
      firewall_(std::move(firewall)) {}

Result<std::unique_ptr<Interception>> Interception::survey(boost::asio::io_context& io, const Plan& plan) {
  Result<Surveyor> surveyor = Surveyor::open();
  if (!surveyor) return std::unexpected(surveyor.error());
  Result<KernelEvents> network = KernelEvents::network();
  if (!network) return std::unexpected(network.error());
  Result<KernelEvents> firewall = KernelEvents::firewall();
  if (!firewall) return std::unexpected(firewall.error());
  std::unique_ptr<Interception> interception(
      new Interception(io, plan, std::move(*surveyor), std::move(*network), std::move(*firewall)));
  if (plan.is_empty()) return interception;
  Result<Survey> survey = interception->surveyor_.look(plan, {});
  if (!survey) return failure_in("look at the machine", survey);
  if (!survey->conflicts.empty()) {
    for (std::size_t i = 1; i < survey->conflicts.size(); ++i) spdlog::error("{}", survey->conflicts[i].sentence);
    return failure(survey->conflicts[0].sentence);
  }
  for (const Remark& remark : survey->degraded) spdlog::warn("{}", remark.sentence);
  interception->survey_ = std::move(*survey);
  return interception;
}

Result<> Interception::install() {
  if (plan_.is_empty()) return {};
  Result<Installation> installation = Installation::install(plan_, survey_.conditions(false));
  if (!installation) return failure_in("install the interception", installation);
  installation_.emplace(std::move(*installation));
  return {};
}

Result<> Interception::take(bool taking) {
  taking_ = taking;
  return apply();
}

Result<> Interception::change_plan(const Plan& plan) {
  if (plan_.is_empty() && plan.is_empty()) {
    plan_ = plan;
    return {};
  }
  if (!installation_) return failure("nothing is installed any more");
  if (Result<> looked = look_at_machine(plan); !looked) return looked;
  // Conflicts are about marks, the table and the fib rules: these stay what they are.
  if (Result<> changed = installation_->change(plan, survey_.conditions(taking_)); !changed) return changed;
  plan_ = plan;
  trouble_.clear();
  return {};
}

Result<> Interception::look_at_machine(const Plan& plan) {
  Result<Survey> survey = surveyor_.look(plan, installation_->conditions());
  if (!survey) return failure_in("look at the machine", survey);
  for (const Remark& remark : survey->degraded)
    if (std::ranges::find(survey_.degraded, remark) == survey_.degraded.end()) spdlog::warn("{}", remark.sentence);
  survey_ = std::move(*survey);
  return {};
}

Result<> Interception::apply() {
  const Conditions wanted = survey_.conditions(taking_);
  if (!installation_ || installation_->conditions() == wanted) return {};
  trouble_.clear();
  Result<> changed = installation_->change(wanted);
  if (!changed) trouble_ = "change the interception: " + changed.error().what;
  return changed;
}

Result<> Interception::change_direct(DirectChange change, std::span<const Flow> flows) {
  if (!installation_) return failure("nothing is installed");
  return installation_->change_direct(change, flows);
}

void Interception::follow() {
  run_beside(io_, follow(network_));
  run_beside(io_, follow(firewall_));
}

boost::asio::awaitable<void> Interception::follow(KernelEvents& events) {
  Watch watch(io_, events.fd());
  while (co_await watch.readable()) {
    co_await pause_for(io_, settle);
    if (events.drain()) look();
  }
}

void Interception::look() {
  if (!installation_) return;
  const Result<std::vector<std::string>> restored = installation_->restore();
  if (!restored)
    spdlog::error("restore the interception: {}", restored.error().what);
  else
    for (const std::string& line : *restored) spdlog::warn("somebody removed this, it is back: {}", line);
  if (Result<> looked = look_at_machine(plan_); !looked) return spdlog::error("{}", looked.error().what);
  if (Result<> applied = apply(); !applied) spdlog::error("{}", trouble_);
}

void Interception::forget_time_wait() const {
  if (!installation_) return;
  const Result<Destroyed> forgotten = destroy_tcp_sockets(plan_.settings.own_mark, Doomed::time_wait);
  if (!forgotten) spdlog::warn("{}", forgotten.error().what);
}

Removed Interception::withdraw(GuardFate guard) {
  if (!installation_) return {};
  Removed removed = installation_->withdraw(guard);
  installation_.reset();
  return removed;
}

std::vector<std::string> Interception::lines() const {
  return installation_ ? installation_->lines() : std::vector<std::string>{};
}

std::vector<std::string> Interception::degraded() const {
  std::vector<std::string> sentences;
  for (const Remark& remark : survey_.degraded) sentences.push_back(remark.sentence);
  if (installation_ && installation_->destroyed().refused_by_kernel > 0)
    sentences.push_back(
        "this kernel does not destroy TIME_WAIT sockets: for 60 s after an end a client that uses its port again may "
        "get no "
        "answer");
  if (!trouble_.empty()) sentences.push_back(trouble_);
  return sentences;
}

}  // namespace limpid
