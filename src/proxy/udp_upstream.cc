// SPDX-License-Identifier: MIT
// The part of UdpRelay that sends flows through upstreams.
#include "base/check.h"
#include "proxy/udp_relay.h"
#include "proxy/worker.h"

namespace limpid {
namespace {

constexpr std::size_t largest_datagram = 65'536;  // bytes, header and all
// Answers of one flow in a row, so that the others get their turn.
constexpr int answers_in_a_row = 64;

}  // namespace

void UdpRelay::pass_up(UdpFlow& flow, const Datagram& datagram) {
  const UdpVerdict& verdict = *flow.verdict;
  flow.handover = UdpFlow::Handover::never;
  if (!flow.association) {
    if (verdict.policy->policy().upstream(verdict.decision.upstream).carries_datagrams())
      flow.association = std::make_unique<Association>(Association::Parts{worker_, *this, opening_, held_in_all_},
                                                       flow.ends, verdict.policy, verdict.decision.upstream,
                                                       verdict.identity ? verdict.identity->host : std::string_view());
    else
      return send_icmp(IcmpError::prohibited, senders(flow.ends.client.family()).to_upstream, datagram);
  }
  if (!flow.association->send(datagram)) not_held_ += datagram.count();
  const std::optional<Association::Refused> refused = flow.association->refused();
  if (!refused) return;
  switch (*refused) {
    case Association::Refused::rejected:
      return send_icmp(IcmpError::prohibited, senders(flow.ends.client.family()).to_upstream, datagram);
    case Association::Refused::dropped:
      return;
    case Association::Refused::direct: {
      // From now on, as a connection that has begun so; but not by the kernel, where a rule wants an upstream.
      flow.without_upstream = true;
      const std::vector<HeldDatagrams::Held> waiting = flow.association->release();
      ended_.push_back(std::move(flow.association));
      pass_on_all(flow, waiting);
      return pass_direct(flow, datagram);
    }
  }
}

UdpFlow* UdpRelay::flow_of(const Association& association) {
  UdpFlow* const flow = table_.find(association.ends());
  return flow != nullptr && flow->association.get() == &association ? flow : nullptr;
}

void UdpRelay::on_answers(Association& association) {
  answers_.resize(4 * largest_datagram);
  std::span<char> room = answers_;
  DatagramSender& to_client = senders(association.ends().client.family()).to_client;
  for (int i = 0; i < answers_in_a_row && flow_of(association) != nullptr; ++i) {
    std::span<const char> payload;
    const Association::Received received = association.receive(room.first(largest_datagram), payload);
    if (received == Association::Received::nothing) break;
    if (received == Association::Received::other) {
      worker_.counters().answers_refused.add(1);
      continue;
    }
    take_answer({.source = association.ends().destination,
                 .destination = association.ends().client,
                 .payload = payload,
                 .may_be_fragmented = true});
    room = room.subspan(static_cast<std::size_t>(payload.data() + payload.size() - room.data()));
    if (room.size() >= largest_datagram) continue;
    flush_answers(to_client);
    room = answers_;
  }
  flush_answers(to_client);
}

// What goes wrong on the way to a client is no news for the destination, which has never heard of it.
void UdpRelay::flush_answers(DatagramSender& to_client) {
  to_client.flush();
  worker_.counters().send_refused.add(to_client.refused().size());
  to_client.refused().clear();
}

void UdpRelay::settle_associations() {
  while (Deadline* const due = opening_.take_expired(worker_.reactor().now())) static_cast<Association*>(due)->expire();
  for (const Flow& ends : std::exchange(changed_, {})) {
    UdpFlow* const flow = table_.find(ends);
    if (flow == nullptr || !flow->association || flow->association->is_opening()) continue;
    if (flow->association->has_ended())
      table_.end(*flow, CloseReason::upstream_reset);
    else
      pass_on_all(*flow, flow->association->release());
  }
  ended_.clear();
}

// A flow that went nowhere ends for the reason of that.
CloseReason UdpRelay::reason_of(const UdpFlow& flow, CloseReason otherwise) {
  switch (flow.action()) {
    case Action::direct:
      return otherwise;
    case Action::reject:
      return CloseReason::rejected;
    case Action::drop:
      return CloseReason::dropped;
    case Action::unverified:
      return CloseReason::unverified;
    case Action::upstream:
      break;
  }
  if (!flow.association) return CloseReason::upstream_failed;
  const std::optional<Association::Refused> refused = flow.association->refused();
  if (!refused) return otherwise;
  return *refused == Association::Refused::dropped ? CloseReason::dropped : CloseReason::upstream_failed;
}

}  // namespace limpid
