// SPDX-License-Identifier: MIT
#include "proxy/udp_handover.h"

#include "proxy/worker.h"

namespace limpid {
namespace {

// Of flows that wait for the supervisor, or for its answer.
constexpr std::size_t most_waiting = 4096;
// Datagrams of a flow that was handed over, which the rules had sent to us before.
constexpr std::chrono::seconds still_under_way{1};

}  // namespace

void UdpHandover::consider(UdpFlow& flow) {
  if (flow.undecided || flow.action() != Action::direct) return;
  if (!worker_.settings().handover || flow.handover != UdpFlow::Handover::open) return;
  if (flow.up.datagrams + flow.down.datagrams < worth_it_after || to_hand_over_.size() >= most_waiting) return;
  flow.handover = UdpFlow::Handover::asked;
  to_hand_over_.push_back(flow.ends);
}

void UdpHandover::hand_over() {
  const auto send = [](auto& waiting, const auto& call) {
    std::size_t sent = 0;
    while (sent < waiting.size()) {
      const std::size_t more = call(std::span(waiting).subspan(sent));
      if (more == 0) break;
      sent += more;
    }
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<long>(sent));
  };
  send(handed_over_, calls_.account);
  send(to_hand_over_, calls_.ask);
}

void UdpHandover::take(Answer answer, const std::vector<FlowAccount>& flows) {
  const Reactor::Clock::time_point now = worker_.reactor().now();
  for (const FlowAccount& account : flows) {
    UdpFlow* flow = table_.find(account.ends);
    switch (answer) {
      case Answer::taken:
        if (flow == nullptr) break;  // its time has run out meanwhile, and it is accounted for
        flow->handover = UdpFlow::Handover::done;
        let_go(*flow);
        leaving_.push_back({flow->ends, now + std::min<std::chrono::milliseconds>(
                                                  still_under_way, worker_.settings().udp.answered_timeout / 4)});
        break;
      case Answer::refused:
        if (flow != nullptr) flow->handover = UdpFlow::Handover::never;
        break;
      case Answer::given_back:
        // A datagram of the flow may have been faster, and have begun it anew without what was known of it.
        if (flow == nullptr) flow = &table_.add(account.ends, now);
        if (flow->handover != UdpFlow::Handover::done) restore(*flow, account.label);
        flow->time = account.time;
        flow->started = now - (std::chrono::system_clock::now() - account.time);
        table_.use(*flow, &UdpFlow::up, account.up, now);
        table_.use(*flow, &UdpFlow::down, account.down, now);
        flow->handover = UdpFlow::Handover::never;
        std::erase_if(leaving_, [&](const Leaving& leaving) { return leaving.ends == account.ends; });
        break;
    }
  }
}

void UdpHandover::keep_account(const UdpFlow& flow) {
  FlowAccount& account = handed_over_.emplace_back(FlowAccount{flow.ends, flow.time, flow.up, flow.down});
  const UdpVerdict* const verdict = flow.verdict.get();
  if (verdict == nullptr) return;
  if (verdict->decision.rule) {
    account.label.rule_place = *verdict->decision.rule;
    account.label.rule = verdict->policy->policy().rule(*verdict->decision.rule).name;
  }
  if (verdict->identity) account.label.app = verdict->identity->application;
  if (verdict->identity) account.label.host = verdict->identity->host;
}

// As it was decided, as far as the policy still has that rule.
void UdpHandover::restore(UdpFlow& flow, const FlowLabel& label) const {
  if (label.rule.empty() && !label.app) return;
  flow.undecided.reset();
  Decision decision;
  const std::vector<Rule>& rules = worker_.policy()->policy().rules();
  if (label.rule_place < rules.size() && rules[label.rule_place].name == label.rule) decision.rule = label.rule_place;
  std::optional<Identity> identity;
  if (label.app) identity = Identity{.application = *label.app, .host = label.host, .alpn = {}};
  flow.verdict = std::make_unique<UdpVerdict>(worker_.policy(), decision, std::move(identity));
}

// The supervisor has the flow's account; what it carries from now on, too.
void UdpHandover::let_go(UdpFlow& flow) {
  if (flow.up.datagrams + flow.down.datagrams > 0) keep_account(flow);
  flow.up = flow.down = {};
}

void UdpHandover::forget_handed_over() {
  for (; !leaving_.empty() && leaving_.front().until <= worker_.reactor().now(); leaving_.pop_front()) {
    UdpFlow* const flow = table_.find(leaving_.front().ends);
    if (flow == nullptr || flow->handover != UdpFlow::Handover::done) continue;
    let_go(*flow);
    table_.forget(*flow);
  }
}

Reactor::Clock::time_point UdpHandover::next_deadline(Reactor::Clock::time_point otherwise) const {
  return leaving_.empty() ? otherwise : std::min(otherwise, leaving_.front().until);
}

}  // namespace limpid
