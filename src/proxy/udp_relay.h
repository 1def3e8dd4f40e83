// SPDX-License-Identifier: MIT
// UDP on one path thread: what comes in at the listeners is counted as part of a flow and sent on, requests as the
// client, answers as the destination. Flows that go direct are handed over to the kernel (docs/data-path.md).
#pragma once
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "net/datagram.h"
#include "net/packet.h"
#include "proxy/dns_watch.h"
#include "proxy/reactor.h"
#include "proxy/udp_table.h"

namespace limpid {

class Worker;

// What the access log has of a flow that goes direct beside its ends and its account.
struct FlowLabel {
  std::optional<Application> app{};
  std::string host{};
  std::string rule{};            // its name
  std::uint32_t rule_place = 0;  // in the policy that has decided
};

// A flow and what it has carried so far; crosses between worker and supervisor (daemon/flow_messages.h).
struct FlowAccount {
  Flow ends;
  std::chrono::system_clock::time_point time{};  // of its first datagram
  Carried up{}, down{};
  FlowLabel label{};
};

// To the supervisor, which is told of the first few at a time; they return of how many, 0: of none now.
struct HandoverCalls {
  std::function<std::size_t(std::span<const Flow>)> ask;             // the kernel is to take these over
  std::function<std::size_t(std::span<const FlowAccount>)> account;  // it has: these are no longer ours
};

enum class DatagramWay : std::uint8_t { request, request_from_here, answer };

struct UdpParts {
  struct Listener {
    Fd fd;
    DatagramWay way;
    DontFragment dont_fragment;
  };
  // The senders of one family: the first bears the mark of upstream sockets, the second that of accepted ones.
  struct Senders {
    int family;
    RawSockets to_upstream;
    RawSockets to_client;
  };
  std::vector<Listener> listeners;
  std::vector<Senders> senders;
  std::size_t segment_sockets = 0;  // that each of them may open beside, a direction
  HandoverCalls handover;
};

class UdpRelay {
 public:
  // A flow with so many datagrams, both ways together, is worth an entry in the kernel's table.
  static constexpr std::uint64_t handover_after = 8;

  UdpRelay(Worker& worker, UdpParts parts);
  ~UdpRelay();

  [[nodiscard]] Result<> start();
  // Once a turn of the loop.
  void settle();
  [[nodiscard]] Reactor::Clock::time_point next_deadline(Reactor::Clock::time_point otherwise) const;
  void end();  // every flow, as withdrawn
  // The worker's settings and policy are others now.
  void adopt_limits();
  // Ends the flows that the policy as it is now would not have let go where they go.
  void enforce();

  // What has become of flows that were to be handed over.
  enum class Answer : std::uint8_t { taken, refused, given_back };
  void take(Answer answer, const std::vector<FlowAccount>& flows);

 private:
  struct Listener;
  struct Senders {
    DatagramSender to_upstream, to_client;
  };

  void receive(Listener& listener);
  void take_request(const Datagram& datagram, DatagramWay way);
  void take_answer(const Datagram& datagram);
  // Looks at what an undecided flow says; true: it is decided now, and nothing of it waits any more.
  bool look_at(UdpFlow& flow, const Datagram& datagram);
  void decide(UdpFlow& flow, const Identity& identity);
  [[nodiscard]] bool watches_dns(const Endpoint& server) const;
  void pass_on(UdpFlow& flow, const Datagram& datagram);
  void decide_what_waits_no_longer();
  bool is_for_ourselves(const Datagram& datagram);
  void consider_handover(UdpFlow& flow);
  void flush(DatagramSender& sender);
  void send_error(DatagramSender& sender, const DatagramSender::Refused& refused);
  // Tells the sender of a datagram, on its way by this sender, that it has gone no further.
  void send_icmp(IcmpError error, DatagramSender& sender, const Datagram& datagram, std::uint32_t mtu = 0);
  [[nodiscard]] static FlowAccount account_of(const UdpFlow& flow);
  void restore(UdpFlow& flow, const FlowLabel& label) const;
  void let_go(UdpFlow& flow);
  void forget_handed_over();
  void hand_over();
  void count_dropped();
  void account(const UdpFlow& flow, CloseReason reason);
  Senders& senders(int family) { return *senders_[family == AF_INET ? 0 : 1]; }

  Worker& worker_;
  std::size_t bytes_undecided_ = 0;  // before the table, whose flows count it
  std::uint64_t not_held_ = 0;       // datagrams of undecided flows for which there was no room
  UdpTable table_;
  DnsWatch dns_watch_;
  HandoverCalls handover_;
  std::array<std::optional<Senders>, 2> senders_;  // IPv4, IPv6
  std::vector<std::unique_ptr<Listener>> listeners_;
  DatagramReceiver receiver_;
  std::vector<Datagram> received_;
  std::vector<Flow> to_hand_over_;
  std::vector<FlowAccount> handed_over_;  // of which the supervisor has not got the account yet
  struct Until {
    Flow ends;
    Reactor::Clock::time_point until;
  };
  std::deque<Until> leaving_;    // the kernel has them
  std::deque<Until> undecided_;  // or they were, since
  int errors_left_ = 0;          // ICMP errors that may be sent until the next refill
  Reactor::Clock::time_point next_refill_{};
};

}  // namespace limpid
