// SPDX-License-Identifier: MIT
// UDP datagrams that were never addressed to this machine, and datagrams sent on in somebody else's name. Received on
// transparent sockets that tproxy fills; sent through raw sockets (raw(7)), so that no socket of ours is ever bound to
// the port of a client or destination: none can be in the way of a local service, nor swallow what is not for us.
#pragma once
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "net/address.h"

namespace limpid {

// One, or several of one size and a last one that may be smaller, one behind the other (`segment`).
struct Datagram {
  Endpoint source;
  Endpoint destination;
  std::span<const char> payload;
  std::uint8_t hops = 64;          // time to live, hop limit
  std::uint8_t traffic_class = 0;  // DSCP and ECN
  bool may_be_fragmented = false;  // no DF; in IPv6: its sender has fragmented it
  std::uint16_t segment = 0;       // of several: the size of each but the last; 0: it is one

  [[nodiscard]] std::size_t count() const { return segment == 0 ? 1 : (payload.size() + segment - 1) / segment; }
  // What one of them carries; `place` below count().
  [[nodiscard]] std::span<const std::uint8_t> at(std::size_t place) const {
    const std::size_t begin = place * segment;
    const std::size_t size = segment == 0 ? payload.size() : std::min<std::size_t>(segment, payload.size() - begin);
    return {reinterpret_cast<const std::uint8_t*>(payload.data()) + begin, size};
  }
};

// What is known of the datagrams of a listener beforehand: the kernel does not tell a receiver whether DF was set, so
// the rules send those with it to another listener.
enum class DontFragment : std::uint8_t { clear, set };

// A transparent UDP socket for tproxy, non-blocking; port 0 takes a free one. Needs CAP_NET_ADMIN.
[[nodiscard]] Result<Fd> listen_for_datagrams(const Endpoint& at, Mark mark);

// Two raw sockets of one family: one for datagrams that fit the link, whose IP header is ours, and one that has the
// kernel fragment what is larger. Non-blocking, marked, transparent; they receive nothing. Needs CAP_NET_RAW and
// CAP_NET_ADMIN.
struct RawSockets {
  Fd whole;
  Fd fragmenting;
  [[nodiscard]] static Result<RawSockets> open(int family, Mark mark);
};

// Receives many at a time. One may serve any number of sockets in turn.
class DatagramReceiver {
 public:
  static constexpr std::size_t batch = 256;  // packets of the kernel; each may hold several datagrams (UDP_GRO, udp(7))

  DatagramReceiver();
  ~DatagramReceiver();

  // What waits at the socket, at most a batch; valid until the next call. 0 or errno; `is_more`: there may be more.
  int receive(int fd, DontFragment dont_fragment, std::vector<Datagram>& datagrams, bool& is_more);

 private:
  struct Buffers;
  std::unique_ptr<Buffers> buffers_;
};

class Runs;
class SegmentSender;

// Gathers datagrams of one family and direction and sends them, many at a time, as if their source had.
class DatagramSender {
 public:
  // The kernel would not send it. EMSGSIZE: it is larger than the link, and must not be fragmented; `mtu` is the
  // link's, 0 if unknown.
  struct Refused {
    Datagram datagram;
    int error;
    std::uint32_t mtu;
  };

  // `mark`: that of the sockets; `segment_sockets`: more that may be opened, to send many datagrams of a flow at once.
  DatagramSender(int family, RawSockets sockets, Mark mark, std::size_t segment_sockets);
  ~DatagramSender();
  DatagramSender(DatagramSender&&) noexcept;

  // The payload must stay until flush(). Flushes by itself when there are many.
  void add(const Datagram& datagram);
  // Sends what has been gathered. What was refused can be taken from refused(), until the next add().
  void flush();
  [[nodiscard]] std::vector<Refused>& refused() { return refused_; }

  // Sends an IP packet as it is to an address; 0 or errno. For ICMP errors.
  int send_packet(std::span<const char> packet, const Address& to);

 private:
  struct Batch;
  void send_run(std::span<const std::uint16_t> run);
  void add_one_by_one(std::span<const std::uint16_t> run);
  void add_whole(const Datagram& datagram);
  void flush_whole();
  int send_fragmented(const Datagram& datagram);
  std::uint32_t refused_mtu();

  int family_;
  RawSockets sockets_;
  std::unique_ptr<SegmentSender> segments_;
  std::unique_ptr<Batch> batch_;
  std::unique_ptr<Runs> runs_;
  std::vector<Datagram> gathered_;
  std::vector<Refused> refused_;
};

}  // namespace limpid
