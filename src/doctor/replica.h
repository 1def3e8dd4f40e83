// SPDX-License-Identifier: MIT
// A copy of this machine in a network namespace that vanishes with it: interfaces, addresses, nftables rules, and
// listeners where tproxy rules lead. A packet may be let in there without anybody being the wiser. Fib rules and routes
// are not copied: the kernel is asked about them where they are (Fib::way).
#pragma once
#include <map>
#include <string>
#include <vector>

#include "doctor/packet_question.h"
#include "intercept/arrivals.h"
#include "intercept/fib.h"
#include "intercept/judge.h"
#include "intercept/nft.h"
#include "intercept/nft_trace.h"
#include "net/lab.h"
#include "net/sock_diag.h"

namespace limpid {

// One thing that happened to the packet.
struct TraceStep {
  TraceEvent event;
  NftChain chain;    // with its hook, if it has one
  std::string rule;  // its text; empty: the chain's policy
};

// The last hook that is waited for; a packet that is dropped meets none.
enum class Until { prerouting, postrouting, input };

class Replica {
 public:
  // Of the network namespace of the calling thread, which must be the only one. CAP_SYS_ADMIN, and /dev/net/tun.
  [[nodiscard]] static Result<Replica> make(const std::vector<WaitingSocket>& sockets);

  // What could not be copied: a sentence each.
  [[nodiscard]] const std::vector<std::string>& missing() const { return missing_; }
  // Everything that is sent from here on is delivered in the copy; or leaves it by that interface.
  [[nodiscard]] Result<> deliver_here(int family, const std::string& interface, Mark mark);
  [[nodiscard]] Result<> send_onward(int family, const std::string& interface);

  // Lets it in and tells what becomes of it in nftables. Where it is lost without a word on the way to that hook, a
  // second is waited.
  [[nodiscard]] Result<std::vector<TraceStep>> follow(const PacketQuestion& packet, Until until);
  [[nodiscard]] static bool is_own(const TraceStep& step);  // of the copy itself, not of the machine

 private:
  explicit Replica(NetworkNamespace where, Nft nft) : where_(std::move(where)), nft_(std::move(nft)) {}
  [[nodiscard]] Result<> copy_interfaces();
  struct Listing;
  [[nodiscard]] static Result<Listing> list_all(Nft& nft);
  void load_tables(const Listing& listing);
  [[nodiscard]] Result<> read_rules_back();
  void open_listeners(const std::vector<WaitingSocket>& sockets);
  [[nodiscard]] Result<> let_in(const PacketQuestion& packet);
  [[nodiscard]] TraceStep step_of(const TraceEvent& event) const;

  NetworkNamespace where_;
  Nft nft_;                             // in there
  std::map<std::string, Fd> cables_{};  // an interface's other end
  std::vector<Fd> listeners_{};
  std::vector<NftChain> chains_{};  // with handles at the ends of their rules
  std::vector<std::string> missing_{};
};

}  // namespace limpid
