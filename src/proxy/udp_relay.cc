// SPDX-License-Identifier: MIT
#include "proxy/udp_relay.h"

#include <netinet/in.h>

#include <cerrno>

#include "base/check.h"
#include "net/packet.h"
#include "net/socket.h"
#include "proxy/worker.h"

namespace limpid {
namespace {

// Batches of a listener in a row, so that the others get their turn.
constexpr int batches = 4;
// ICMP errors of ours, as the kernel limits its own (net.ipv4.icmp_msgs_per_sec).
constexpr int errors_a_second = 1000;

// This machine's address on the way to `to`.
std::optional<Address> address_towards(const Address& to, Mark mark) {
  const std::expected<Fd, int> fd = datagram_socket(to.family(), mark);
  if (!fd || start_connect(fd->raw(), {to, dns_port}) != 0) return std::nullopt;
  const Result<Endpoint> endpoint = local_endpoint(fd->raw());
  return endpoint ? std::optional(endpoint->address) : std::nullopt;
}

// As a router would pass it on. The rules leave those alone that have but one hop left.
Datagram one_hop_on(Datagram datagram) {
  if (datagram.hops > 1) --datagram.hops;
  return datagram;
}

}  // namespace

struct UdpRelay::Listener final : Pollable {
  Listener(UdpRelay& its_relay, UdpParts::Listener part)
      : relay(its_relay), fd(std::move(part.fd)), way(part.way), dont_fragment(part.dont_fragment) {
    const Result<Endpoint> bound = local_endpoint(fd.raw());
    CHECK(bound.has_value());
    endpoint = *bound;
  }
  void on_events(std::uint32_t) override { relay.receive(*this); }

  UdpRelay& relay;
  Fd fd;
  DatagramWay way;
  DontFragment dont_fragment;
  Endpoint endpoint;
};

UdpRelay::UdpRelay(Worker& worker, UdpParts parts)
    : worker_(worker),
      table_(worker.settings().udp,
             {.tell = [this](UdpFlow& flow, CloseReason reason) { account(flow, reason); },
              .count =
                  [this](UdpTable::Evicted why) {
                    Counters& counters = worker_.counters();
                    (why == UdpTable::Evicted::by_its_client ? counters.evicted_client : counters.evicted_table).add(1);
                  }}),
      handover_(worker, table_, std::move(parts.handover)) {
  for (UdpParts::Senders& part : parts.senders)
    senders_[part.family == AF_INET ? 0 : 1].emplace(Senders{
        DatagramSender(part.family, std::move(part.to_upstream), worker.settings().own_mark, parts.segment_sockets),
        DatagramSender(part.family, std::move(part.to_client), worker.settings().accepted_mark,
                       parts.segment_sockets)});
  for (UdpParts::Listener& part : parts.listeners)
    listeners_.push_back(std::make_unique<Listener>(*this, std::move(part)));
}

UdpRelay::~UdpRelay() = default;

Result<> UdpRelay::start() {
  for (const auto& listener : listeners_)
    if (const int refusal = worker_.reactor().watch(listener->fd.raw(), EPOLLIN, *listener))
      return errno_failure("epoll_ctl of a UDP listener", refusal);
  return {};
}

void UdpRelay::receive(Listener& listener) {
  bool is_more = true;
  for (int i = 0; i < batches && is_more; ++i) {
    // An error is somebody's who has aborted the socket: it goes on (udp_abort()).
    if (receiver_.receive(listener.fd.raw(), listener.dont_fragment, received_, is_more) != 0) return;
    for (const Datagram& datagram : received_) {
      if (datagram.destination == listener.endpoint) continue;  // sent to the listener itself: nobody's
      if (listener.way == DatagramWay::answer)
        take_answer(datagram);
      else
        take_request(datagram, listener.way);
    }
    Senders& of_family = senders(listener.endpoint.family());
    flush(of_family.to_upstream);
    flush(of_family.to_client);
  }
}

void UdpRelay::take_request(const Datagram& datagram, DatagramWay way) {
  const bool from_here = way == DatagramWay::request_from_here;
  if (from_here && is_for_ourselves(datagram)) return;
  const Flow ends{datagram.source, datagram.destination};
  const Reactor::Clock::time_point now = worker_.reactor().now();
  UdpFlow* flow = table_.find(ends);
  if (flow == nullptr) {
    flow = &table_.add(ends, now);
    flow->is_local = from_here;
    worker_.counters().flows_seen.add(1);
    const std::optional<Decision> decision = worker_.decide(ends, Protocol::udp, std::nullopt);
    if (decision && !worker_.wants_host(*decision)) {
      if (decision->rule) flow->verdict = std::make_unique<UdpVerdict>(worker_.policy(), *decision, std::nullopt);
    } else {
      flow->undecided = std::make_unique<UndecidedFlow>(ends, held_in_all_);
      identifying_.of(worker_.settings().identify_timeout).arm(*flow->undecided, now);
    }
  }
  table_.use(*flow, &UdpFlow::up, {datagram.count(), datagram.payload.size()}, now);
  worker_.counters().datagrams_up.add(datagram.count());
  worker_.counters().payload_up.add(datagram.payload.size());
  if (DnsWatch* const watch = worker_.dns_watch(ends.destination))
    for (std::size_t place = 0; place < datagram.count(); ++place) watch->see_query(ends, datagram.at(place), now);
  if (!flow->undecided || look_at(*flow, datagram)) pass_on(*flow, datagram);
}

bool UdpRelay::look_at(UdpFlow& flow, const Datagram& datagram) {
  UndecidedFlow& undecided = *flow.undecided;
  Finding finding = Finding::none();
  for (std::size_t place = 0; place < datagram.count(); ++place) {
    finding = undecided.identifier.add(datagram.at(place));
    if (finding.progress != Progress::need_more) break;
  }
  if (finding.progress == Progress::need_more && undecided.waiting.fits(datagram)) {
    // Lost, where there is no room: not to be sent on undecided, and its client will send it again.
    if (!undecided.waiting.hold(datagram)) not_held_ += datagram.count();
    return false;
  }
  decide(flow, finding.identity);
  return true;
}

void UdpRelay::decide(UdpFlow& flow, const Identity& identity) {
  const Decision decision = worker_.verify(
      *worker_.decide(flow.ends, Protocol::udp, Claim{identity.host, identity.application}), flow.ends, identity.host);
  flow.verdict = std::make_unique<UdpVerdict>(worker_.policy(), decision, identity);
  const std::unique_ptr<UndecidedFlow> undecided = std::move(flow.undecided);
  pass_on_all(flow, undecided->waiting.release());
}

void UdpRelay::pass_on_all(UdpFlow& flow, const std::vector<HeldDatagrams::Held>& waiting) {
  for (const HeldDatagrams::Held& held : waiting) pass_on(flow, held.datagram);
  flush(senders(flow.ends.client.family()).to_upstream);  // before their bytes go
}

void UdpRelay::decide_what_waits_no_longer() {
  while (Deadline* const due = identifying_.take_expired(worker_.reactor().now()))
    decide(*table_.find(static_cast<UndecidedFlow*>(due)->ends), Identity());
}

void UdpRelay::pass_on(UdpFlow& flow, const Datagram& datagram) {
  switch (flow.action()) {
    case Action::direct:
      return pass_direct(flow, datagram);
    case Action::reject:
    case Action::unverified:
      return send_icmp(IcmpError::prohibited, senders(flow.ends.client.family()).to_upstream, datagram);
    case Action::upstream:
      return pass_up(flow, datagram);
    case Action::drop:
      return;
  }
}

void UdpRelay::pass_direct(UdpFlow& flow, const Datagram& datagram) {
  Datagram onward = one_hop_on(datagram);
  // A program of this machine that forbids fragments has been refused by its own send(2) already.
  onward.may_be_fragmented |= flow.is_local && flow.ends.client.family() == AF_INET6;
  senders(flow.ends.client.family()).to_upstream.add(onward);
  handover_.consider(flow);
}

void UdpRelay::take_answer(const Datagram& datagram) {
  const Flow ends{datagram.destination, datagram.source};
  if (DnsWatch* const watch = worker_.dns_watch(ends.destination))
    for (std::size_t place = 0; place < datagram.count(); ++place)
      watch->see_response(ends, datagram.at(place), worker_.settings().verify_host_grace, worker_.reactor().now());
  senders(datagram.source.family()).to_client.add(one_hop_on(datagram));
  worker_.counters().datagrams_down.add(datagram.count());
  worker_.counters().payload_down.add(datagram.payload.size());
  // Late, and its flow is forgotten: it has been sent on all the same.
  UdpFlow* const flow = table_.find(ends);
  if (flow == nullptr) return;
  table_.use(*flow, &UdpFlow::down, {datagram.count(), datagram.payload.size()}, worker_.reactor().now());
  if (flow->is_one_shot() && flow->ends.destination.port == dns_port)  // one question, one answer
    table_.end(*flow, CloseReason::done);
  else
    handover_.consider(*flow);
}

bool UdpRelay::is_for_ourselves(const Datagram& datagram) {
  const int family = datagram.source.family();
  if (datagram.source.address != Address::loopback(family) || datagram.destination != probe_destination(family))
    return false;
  if (worker_.is_probe(datagram.source))
    senders(family).to_client.add(
        {.source = datagram.destination, .destination = datagram.source, .payload = probe_answer});
  return true;
}

void UdpRelay::flush(DatagramSender& sender) {
  sender.flush();
  for (const DatagramSender::Refused& refused : sender.refused()) {
    worker_.counters().send_refused.add(1);
    send_error(sender, refused);
  }
  sender.refused().clear();
}

// What the kernel would have told the sender had it forwarded the datagram. It goes by the socket of its own direction:
// the mark decides where to the routes are looked up, and a client is not at the end of an upstream's.
void UdpRelay::send_error(DatagramSender& sender, const DatagramSender::Refused& refused) {
  IcmpError error = IcmpError::too_big;
  if (refused.error == ENETUNREACH)
    error = IcmpError::no_route;
  else if (refused.error == EHOSTUNREACH)
    error = IcmpError::host_unreachable;
  else if (refused.error != EMSGSIZE || refused.mtu == 0)
    return;
  send_icmp(error, sender, refused.datagram, refused.mtu);
}

void UdpRelay::send_icmp(IcmpError error, DatagramSender& sender, const Datagram& datagram, std::uint32_t mtu) {
  if (errors_left_ <= 0) return;
  --errors_left_;
  const Address& to = datagram.source.address;
  Senders& of_family = senders(to.family());
  const bool up = &sender == &of_family.to_upstream;
  const Mark mark = up ? worker_.settings().accepted_mark : worker_.settings().own_mark;
  if (const std::optional<Address> from = address_towards(to, mark))
    (void)(up ? of_family.to_client : of_family.to_upstream).send_packet(icmp_error(error, *from, datagram, mtu), to);
}

void UdpRelay::settle() {
  const Reactor::Clock::time_point now = worker_.reactor().now();
  decide_what_waits_no_longer();
  handover_.forget_handed_over();
  table_.expire(now);
  settle_associations();
  handover_.hand_over();
  worker_.counters().flows.set(table_.size() - std::min(table_.size(), handover_.leaving()));
  if (now < next_refill_) return;
  next_refill_ = now + std::chrono::milliseconds(250);
  errors_left_ = errors_a_second / 4;
  count_dropped();
}

Reactor::Clock::time_point UdpRelay::next_deadline(Reactor::Clock::time_point otherwise) const {
  if (!changed_.empty()) otherwise = worker_.reactor().now();
  return handover_.next_deadline(identifying_.next(opening_.next(table_.next_deadline(otherwise))));
}

void UdpRelay::end() {
  table_.end_all(CloseReason::withdrawn);
  ended_.clear();
  handover_.hand_over();
}

void UdpRelay::adopt_limits() { table_.set_limits(worker_.settings().udp); }

void UdpRelay::enforce() {
  table_.end_if(
      [this](const UdpFlow& flow) {
        if (flow.undecided) return false;
        const Identity* const identity = flow.verdict && flow.verdict->identity ? &*flow.verdict->identity : nullptr;
        const std::optional<Decision> now =
            worker_.decide(flow.ends, Protocol::udp,
                           identity ? std::optional(Claim{identity->host, identity->application}) : std::nullopt);
        if (!now) return false;
        return flow.verdict ? differs(flow.verdict->policy.get(), flow.verdict->decision, *worker_.policy(), *now)
                            : differs(nullptr, Decision(), *worker_.policy(), *now);
      },
      CloseReason::rejected);
}

void UdpRelay::count_dropped() {
  std::uint64_t dropped = not_held_;
  for (const auto& listener : listeners_) dropped += dropped_datagrams(listener->fd.raw());
  worker_.counters().datagrams_dropped.set(dropped);
}

void UdpRelay::account(UdpFlow& flow, CloseReason reason) {
  if (flow.handover == UdpFlow::Handover::done) {
    handover_.keep_account(flow);
    return;
  }
  AccessRecord record{.time = flow.time,
                      .protocol = Protocol::udp,
                      .client = flow.ends.client,
                      .destination = flow.ends.destination,
                      .source_kept = flow.action() == Action::upstream ? SourceKept::no : SourceKept::port,
                      .datagrams_up = flow.up.datagrams,
                      .datagrams_down = flow.down.datagrams,
                      .down_is_known = !flow.is_local || flow.is_answered(),
                      .bytes_up = flow.up.bytes,
                      .bytes_down = flow.down.bytes,
                      .duration = flow.used - flow.started,
                      .reason = reason_of(flow, reason)};
  if (const UdpVerdict* const verdict = flow.verdict.get()) {
    const Policy& policy = verdict->policy->policy();
    if (verdict->decision.rule) record.rule = policy.rule(*verdict->decision.rule).name;
    if (flow.action() == Action::upstream) record.upstream = policy.upstream(verdict->decision.upstream).name;
    if (verdict->identity) record.app = verdict->identity->application;
    if (verdict->identity) record.host = verdict->identity->host;
  }
  worker_.account(record);
  if (flow.association) ended_.push_back(std::move(flow.association));
}

}  // namespace limpid
