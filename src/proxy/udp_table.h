// SPDX-License-Identifier: MIT
// The UDP flows that are relayed: found by client and destination, bounded in all and for each client. Where there is
// no room, the least recently used goes.
#pragma once
#include <boost/intrusive/list.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "account/access_log.h"
#include "identify/identify.h"
#include "proxy/association.h"
#include "proxy/held_datagrams.h"
#include "proxy/path_policy.h"
#include "proxy/reactor.h"

namespace limpid {

struct UdpLimits {
  std::uint64_t flows = 65536;
  std::uint64_t flows_per_client = 8192;
  std::chrono::milliseconds unanswered_timeout = std::chrono::seconds(30);
  std::chrono::milliseconds answered_timeout = std::chrono::seconds(180);
};

// What has gone one way.
struct Carried {
  std::uint64_t datagrams = 0;
  std::uint64_t bytes = 0;  // of payloads

  Carried& operator+=(const Carried& more) {
    datagrams += more.datagrams;
    bytes += more.bytes;
    return *this;
  }
};

// A flow that no rule can tell about before its datagrams say what it is; until then they wait here.
struct UndecidedFlow : Deadline {
  UndecidedFlow(const Flow& its_ends, std::size_t& held_in_all) : ends(its_ends), waiting(held_in_all) {}

  Flow ends;
  DatagramIdentifier identifier;
  HeldDatagrams waiting;
};

// What was decided for a flow, where that was not the default.
struct UdpVerdict {
  std::shared_ptr<const PathPolicy> policy;
  Decision decision;
  std::optional<Identity> identity;
};

struct UdpFlow : Deadline, boost::intrusive::list_base_hook<boost::intrusive::tag<struct OfOneClient>> {
  Flow ends;
  std::chrono::system_clock::time_point time;  // of its first datagram
  Reactor::Clock::time_point started, used;
  Carried up, down;
  bool is_local = false;  // of this machine: answers go to the program's socket, past us
  std::unique_ptr<UndecidedFlow> undecided;
  std::unique_ptr<const UdpVerdict> verdict;  // none: direct, by default
  std::unique_ptr<Association> association;   // of one that goes through an upstream
  bool without_upstream = false;              // that is down, and the user has chosen "direct" for it
  // To the kernel: not yet, asked for, done (and here for as long as datagrams may still be under way to us), or never
  // (it has refused, or gave the flow back).
  enum class Handover : std::uint8_t { open, asked, done, never } handover = Handover::open;

  // What becomes of its datagrams.
  [[nodiscard]] Action action() const {
    return verdict && !without_upstream ? verdict->decision.action : Action::direct;
  }
  [[nodiscard]] bool is_answered() const { return down.datagrams > 0; }
  // One question, and as far as can be seen its answer.
  [[nodiscard]] bool is_one_shot() const { return (is_answered() || is_local) && up.datagrams == 1; }
};

class UdpTable {
 public:
  // How long a question that has been answered may be followed by another.
  static constexpr std::chrono::milliseconds one_shot_timeout = std::chrono::seconds(5);

  enum class Evicted : std::uint8_t { for_want_of_room, by_its_client };
  struct Ended {
    std::function<void(UdpFlow&, CloseReason)> tell;  // before the flow goes
    std::function<void(Evicted)> count;
  };
  UdpTable(const UdpLimits& limits, Ended ended);
  // Other limits from now on; flows beyond them go as others come.
  void set_limits(const UdpLimits& limits);

  [[nodiscard]] UdpFlow* find(const Flow& ends);
  UdpFlow& add(const Flow& ends, Reactor::Clock::time_point now);
  // Datagrams have gone by: counts them and starts the flow's time anew.
  void use(UdpFlow& flow, Carried UdpFlow::* way, const Carried& more, Reactor::Clock::time_point now);
  // Ends it for this reason.
  void end(UdpFlow& flow, CloseReason reason);
  // Takes it out without a word: somebody else accounts for it.
  void forget(UdpFlow& flow);
  void expire(Reactor::Clock::time_point now);
  void end_all(CloseReason reason);
  void end_if(const std::function<bool(const UdpFlow&)>& doomed, CloseReason reason);

  [[nodiscard]] std::size_t size() const { return flows_.size(); }
  [[nodiscard]] Reactor::Clock::time_point next_deadline(Reactor::Clock::time_point otherwise) const;

 private:
  // Keyed by chance, so that nobody can choose flows that fall into one bucket.
  struct Hash {
    std::uint64_t seed;
    std::size_t operator()(const Address& address) const;
    std::size_t operator()(const Flow& ends) const;
  };
  using Siblings = boost::intrusive::list<
      UdpFlow, boost::intrusive::base_hook<boost::intrusive::list_base_hook<boost::intrusive::tag<OfOneClient>>>>;

  DeadlineQueue& queue_of(const UdpFlow& flow);
  void evict_least_recently_used();

  UdpLimits limits_;
  Ended ended_;
  DeadlineQueue unanswered_, one_shot_, answered_;
  std::unordered_map<Flow, UdpFlow, Hash> flows_;
  std::unordered_map<Address, Siblings, Hash> clients_;  // each client's flows, least recently used first
};

}  // namespace limpid
