// SPDX-License-Identifier: MIT
// The way of one UDP flow through an upstream (docs/decisions/0013): to the UDP relay of a SOCKS5 proxy (RFC 1928,
// sections 4, 6 and 7), which is there as long as the TCP connection on which it was asked for, or to a fixed address.
// From a socket of this machine's own, connected, so that nobody else is heard.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proxy/held_datagrams.h"
#include "proxy/path_policy.h"
#include "proxy/upstream_connection.h"

namespace limpid {

class Worker;

class Association final : public Deadline {
 public:
  // Told while events are dispatched: an association may not be destroyed there.
  class Owner {
   public:
    virtual void on_change(Association& association) = 0;   // is_opening() or has_ended() is another than before
    virtual void on_answers(Association& association) = 0;  // there is something to receive()

   protected:
    ~Owner() = default;
  };
  struct Parts {
    Worker& worker;
    Owner& owner;
    Deadlines& deadlines;      // for attempts; whoever sees one expire calls expire()
    std::size_t& held_in_all;  // HeldDatagrams
  };

  // `upstream`: its place in the policy; it carries datagrams. `host`: what the client claims to mean.
  Association(const Parts& parts, const Flow& ends, std::shared_ptr<const PathPolicy> policy, std::uint32_t upstream,
              std::string_view host);
  Association(const Association&) = delete;
  Association& operator=(const Association&) = delete;
  ~Association();

  [[nodiscard]] const Flow& ends() const { return ends_; }
  [[nodiscard]] bool is_opening() const { return state_ == State::opening; }
  // The proxy has ended it: it will carry nothing any more.
  [[nodiscard]] bool has_ended() const { return state_ == State::ended; }
  // No address has taken it on. What then becomes of datagrams, until it tries again.
  enum class Refused : std::uint8_t { rejected, dropped, direct };
  [[nodiscard]] std::optional<Refused> refused() const;

  // Sends it, or keeps it until that can be done, or (refused()) does neither. The first one begins to open it. False:
  // there was no room to keep it.
  [[nodiscard]] bool send(const Datagram& datagram);
  // What has been kept: to be sent again, or not, after a change.
  [[nodiscard]] std::vector<HeldDatagrams::Held> release() { return held_.release(); }

  // A datagram that waits: nothing, one that is not for the client, or an answer, whose payload lies in `room`, which
  // has place for the largest.
  enum class Received : std::uint8_t { nothing, other, answer };
  Received receive(std::span<char> room, std::span<const char>& payload);

  // The time of the attempt under way is over.
  void expire();

 private:
  enum class State : std::uint8_t { idle, opening, open, refused, ended };
  struct Socket final : Pollable {
    explicit Socket(Association& its_association) : association(its_association) {}
    void on_events(std::uint32_t) override { association.parts_.owner.on_answers(association); }
    Association& association;
    Fd fd;
  };

  [[nodiscard]] const Upstream& upstream() const { return policy_->policy().upstream(place_); }
  void start();
  void try_next();
  // Whether this address takes it on, or may yet.
  bool try_address(const Endpoint& address);
  void on_connection();
  void count_out(Member& member, UpstreamConnection::State state);
  int open_socket(const Endpoint& relay, std::optional<Endpoint> from);  // 0 or errno
  void send_one(std::span<const char> payload);
  void give_up();
  void become(State state);
  void release_place();
  [[nodiscard]] bool is_from_destination(const Socks5Datagram& datagram) const;

  Parts parts_;
  Flow ends_;
  std::shared_ptr<const PathPolicy> policy_;
  std::uint32_t place_;
  std::string host_;                  // empty: the proxy is told the address
  std::vector<std::uint8_t> header_;  // before each payload
  State state_ = State::idle;
  bool has_place_ = false;  // among the sessions
  bool was_refused_ = false;
  Refused refused_ = Refused::rejected;
  Reactor::Clock::time_point again_{};  // when a refused one is tried again
  std::vector<std::shared_ptr<Member>> tried_;
  MemberUse use_;
  UpstreamConnection connection_;
  Socket socket_{*this};
  HeldDatagrams held_;
};

}  // namespace limpid
