// SPDX-License-Identifier: MIT
#include "proxy/udp_handover.h"

#include "proxy/worker.h"

namespace limpid {
namespace {

// Of flows that wait for the supervisor, or for its answer.
constexpr std::size_t most_waiting = 4096;
constexpr std::size_t most_a_message = 40;
// Datagrams of a flow that was handed over, which the rules had sent to us before.
constexpr std::chrono::seconds still_under_way{1};

}  // namespace

void UdpHandover::consider(UdpFlow& flow) {
  if (!worker_.settings().handover || flow.handover != UdpFlow::Handover::open) return;
  if (flow.up.datagrams + flow.down.datagrams < worth_it_after || to_hand_over_.size() >= most_waiting) return;
  flow.handover = UdpFlow::Handover::asked;
  to_hand_over_.push_back(flow.ends);
}

void UdpHandover::hand_over() {
  const auto send = [](auto& waiting, const auto& call) {
    while (!waiting.empty()) {
      const auto some = std::span(waiting).first(std::min(waiting.size(), most_a_message));
      if (!call(some)) return;
      waiting.erase(waiting.begin(), waiting.begin() + static_cast<long>(some.size()));
    }
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
        if (flow == nullptr) flow = &table_.add(account.ends, now);
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
