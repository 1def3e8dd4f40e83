// SPDX-License-Identifier: MIT
#include "net/runs.h"

#include <cstring>

#include "base/check.h"

namespace limpid {
namespace {

constexpr std::uint16_t none = 0xffff;

std::size_t slot_of(const Datagram& datagram, std::size_t slots) {
  std::uint64_t hash = static_cast<std::uint64_t>(datagram.source.port) << 16 | datagram.destination.port;
  for (const Endpoint* end : {&datagram.source, &datagram.destination}) {
    std::uint64_t halves[2];
    std::memcpy(halves, end->address.bytes(), sizeof halves);
    hash = (hash ^ halves[0] ^ (halves[1] << 7)) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 29;
  }
  return hash % slots;
}

bool is_alike(const Datagram& one, const Datagram& other) {
  return one.hops == other.hops && one.traffic_class == other.traffic_class &&
         one.may_be_fragmented == other.may_be_fragmented && one.segment == 0 && other.segment == 0;
}

}  // namespace

// The place of its flow's first datagram.
std::uint16_t Runs::flow_of(std::span<const Datagram> datagrams, std::uint16_t at) {
  const Datagram& datagram = datagrams[at];
  for (std::size_t slot = slot_of(datagram, slots);; slot = (slot + 1) % slots) {
    std::uint16_t& first = first_of_flow_[slot];
    if (first == none) first = at;
    if (datagrams[first].source == datagram.source && datagrams[first].destination == datagram.destination)
      return first;
  }
}

std::span<const Run> Runs::find(std::span<const Datagram> datagrams) {
  CHECK(datagrams.size() <= most);
  const auto count = static_cast<std::uint16_t>(datagrams.size());
  first_of_flow_.assign(slots, none);
  next_.assign(datagrams.size(), none);
  flow_.resize(datagrams.size());
  last_.resize(datagrams.size());
  for (std::uint16_t at = 0; at < count; ++at) {
    const std::uint16_t first = flow_[at] = flow_of(datagrams, at);
    if (first != at) next_[last_[first]] = at;
    last_[first] = at;
  }
  runs_.clear();
  order_.clear();
  for (std::uint16_t first = 0; first < count; ++first) {
    if (flow_[first] != first) continue;
    std::size_t bytes = 0;
    bool is_open = false;  // the run may go on
    for (std::uint16_t at = first; at != none; at = next_[at]) {
      const Datagram& datagram = datagrams[at];
      const std::size_t size = datagram.payload.size();
      const std::size_t whole = is_open ? datagrams[order_[runs_.back().first]].payload.size() : 0;
      if (is_open && is_alike(datagrams[order_.back()], datagram) && size > 0 && size <= whole &&
          runs_.back().count < longest && bytes + size <= most_bytes) {
        ++runs_.back().count;
        bytes += size;
        is_open = size == whole;
      } else {
        runs_.push_back({.first = order_.size(), .count = 1, .follows = at != first});
        bytes = size;
        is_open = size > 0;
      }
      order_.push_back(at);
    }
  }
  return runs_;
}

}  // namespace limpid
