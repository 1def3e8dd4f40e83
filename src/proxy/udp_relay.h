// SPDX-License-Identifier: MIT
// UDP on one path thread: what comes in at the listeners is counted as part of a flow and sent on, requests as the
// client, answers as the destination. Flows that go direct are handed over to the kernel (docs/data-path.md).
#pragma once
#include <deque>
#include <optional>
#include <vector>

#include "net/datagram.h"
#include "net/packet.h"
#include "proxy/reactor.h"
#include "proxy/udp_handover.h"
#include "proxy/udp_table.h"

namespace limpid {

class Worker;

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

class UdpRelay final : private Association::Owner {
 public:
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

  [[nodiscard]] UdpHandover& handover() { return handover_; }

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
  void pass_on(UdpFlow& flow, const Datagram& datagram);
  void pass_direct(UdpFlow& flow, const Datagram& datagram);
  void pass_up(UdpFlow& flow, const Datagram& datagram);
  void pass_on_all(UdpFlow& flow, const std::vector<HeldDatagrams::Held>& waiting);
  // The flow whose association it is; nullptr: it has ended in this turn.
  UdpFlow* flow_of(const Association& association);
  void on_change(Association& association) override { changed_.push_back(association.ends()); }
  void on_answers(Association& association) override;
  void flush_answers(DatagramSender& to_client);
  void settle_associations();
  void decide_what_waits_no_longer();
  bool is_for_ourselves(const Datagram& datagram);
  void flush(DatagramSender& sender);
  void send_error(DatagramSender& sender, const DatagramSender::Refused& refused);
  // Tells the sender of a datagram, on its way by this sender, that it has gone no further.
  void send_icmp(IcmpError error, DatagramSender& sender, const Datagram& datagram, std::uint32_t mtu = 0);
  void count_dropped();
  static CloseReason reason_of(const UdpFlow& flow, CloseReason otherwise);
  void account(UdpFlow& flow, CloseReason reason);
  Senders& senders(int family) { return *senders_[family == AF_INET ? 0 : 1]; }

  Worker& worker_;
  // Before the table, whose flows and associations need them.
  std::size_t held_in_all_ = 0;
  Deadlines identifying_;  // undecided flows
  Deadlines opening_;      // associations
  std::vector<Flow> changed_;
  std::vector<std::unique_ptr<Association>> ended_;  // until no event can be about them any more
  std::uint64_t not_held_ = 0;                       // datagrams for which there was no room while their flow waited
  UdpTable table_;
  UdpHandover handover_;
  std::array<std::optional<Senders>, 2> senders_;  // IPv4, IPv6
  std::vector<std::unique_ptr<Listener>> listeners_;
  DatagramReceiver receiver_;
  std::vector<Datagram> received_;
  std::vector<char> answers_;  // of upstreams, as they are received
  int errors_left_ = 0;        // ICMP errors that may be sent until the next refill
  Reactor::Clock::time_point next_refill_{};
};

}  // namespace limpid
