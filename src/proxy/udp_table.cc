// SPDX-License-Identifier: MIT
#include "proxy/udp_table.h"

#include <cstring>
#include <random>

#include "base/check.h"

namespace limpid {
namespace {

std::uint64_t chance() {
  std::random_device device;
  return static_cast<std::uint64_t>(device()) << 32 | device();
}

// Multiplies and folds, 128 bits to 64.
std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a ^ 0x9e3779b97f4a7c15) * (b ^ 0xd6e8feb86659fd93);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace

std::size_t UdpTable::Hash::operator()(const Address& address) const {
  std::uint64_t halves[2];
  std::memcpy(halves, address.bytes(), sizeof halves);  // those of IPv4 end in zeros
  return mix(halves[0] ^ seed, halves[1] + static_cast<std::uint64_t>(address.family()));
}

std::size_t UdpTable::Hash::operator()(const Flow& ends) const {
  const std::uint64_t ports = static_cast<std::uint64_t>(ends.client.port) << 16 | ends.destination.port;
  return mix((*this)(ends.client.address) + ports, (*this)(ends.destination.address) ^ seed);
}

UdpTable::UdpTable(const UdpLimits& limits, Ended ended)
    : limits_(limits),
      ended_(std::move(ended)),
      unanswered_(limits.unanswered_timeout),
      one_shot_(std::min(one_shot_timeout, limits.answered_timeout)),
      answered_(limits.answered_timeout),
      flows_(0, Hash{chance()}),
      clients_(0, Hash{chance()}) {}

void UdpTable::set_limits(const UdpLimits& limits) {
  limits_ = limits;
  unanswered_.set_duration(limits.unanswered_timeout);
  one_shot_.set_duration(std::min(one_shot_timeout, limits.answered_timeout));
  answered_.set_duration(limits.answered_timeout);
}

UdpFlow* UdpTable::find(const Flow& ends) {
  const auto found = flows_.find(ends);
  return found == flows_.end() ? nullptr : &found->second;
}

UdpFlow& UdpTable::add(const Flow& ends, Reactor::Clock::time_point now) {
  if (const auto client = clients_.find(ends.client.address);
      client != clients_.end() && client->second.size() >= limits_.flows_per_client) {
    ended_.count(Evicted::by_its_client);
    end(client->second.front(), CloseReason::evicted);
  }
  if (flows_.size() >= limits_.flows) evict_least_recently_used();
  const auto [place, is_new] = flows_.try_emplace(ends);
  CHECK(is_new);
  UdpFlow& flow = place->second;
  flow.ends = ends;
  flow.time = std::chrono::system_clock::now();
  flow.started = flow.used = now;
  clients_[ends.client.address].push_back(flow);
  unanswered_.arm(flow, now);
  return flow;
}

void UdpTable::use(UdpFlow& flow, Carried UdpFlow::* way, const Carried& more, Reactor::Clock::time_point now) {
  flow.*way += more;
  flow.used = now;
  queue_of(flow).arm(flow, now);
  Siblings& siblings = clients_.find(flow.ends.client.address)->second;
  siblings.splice(siblings.end(), siblings, siblings.iterator_to(flow));
}

void UdpTable::end(UdpFlow& flow, CloseReason reason) {
  ended_.tell(flow, reason);
  forget(flow);
}

void UdpTable::forget(UdpFlow& flow) {
  const auto client = clients_.find(flow.ends.client.address);
  client->second.erase(client->second.iterator_to(flow));
  if (client->second.empty()) clients_.erase(client);
  flows_.erase(Flow(flow.ends));  // a copy: the flow's own goes on the way
}

void UdpTable::expire(Reactor::Clock::time_point now) {
  const auto expire = [&](DeadlineQueue& queue, CloseReason reason) {
    while (Deadline* due = queue.take_expired(now)) end(*static_cast<UdpFlow*>(due), reason);
  };
  expire(unanswered_, CloseReason::unanswered);
  expire(one_shot_, CloseReason::done);
  expire(answered_, CloseReason::idle_timeout);
}

void UdpTable::end_all(CloseReason reason) {
  while (!flows_.empty()) end(flows_.begin()->second, reason);
}

void UdpTable::end_if(const std::function<bool(const UdpFlow&)>& doomed, CloseReason reason) {
  for (auto next = flows_.begin(); next != flows_.end();) {
    UdpFlow& flow = (next++)->second;
    if (doomed(flow)) end(flow, reason);
  }
}

Reactor::Clock::time_point UdpTable::next_deadline(Reactor::Clock::time_point otherwise) const {
  return unanswered_.next(one_shot_.next(answered_.next(otherwise)));
}

DeadlineQueue& UdpTable::queue_of(const UdpFlow& flow) {
  if (!flow.is_answered() && !flow.is_local) return unanswered_;
  return flow.is_one_shot() ? one_shot_ : answered_;
}

void UdpTable::evict_least_recently_used() {
  UdpFlow* oldest = nullptr;
  for (DeadlineQueue* queue : {&unanswered_, &one_shot_, &answered_}) {
    auto* const flow = static_cast<UdpFlow*>(queue->front());
    if (flow != nullptr && (oldest == nullptr || flow->used < oldest->used)) oldest = flow;
  }
  CHECK(oldest != nullptr);
  ended_.count(Evicted::for_want_of_room);
  end(*oldest, CloseReason::evicted);
}

}  // namespace limpid
