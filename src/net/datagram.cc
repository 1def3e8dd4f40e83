// SPDX-License-Identifier: MIT
#include "net/datagram.h"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "net/ancillary.h"
#include "net/packet.h"
#include "net/runs.h"
#include "net/segment_sender.h"
#include "net/socket.h"

namespace limpid {
namespace {

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

constexpr int receive_buffer = 8 << 20;  // bytes: bursts that come in while the thread is busy with others
constexpr int send_buffer = 4 << 20;
// So many datagrams of one flow go faster in one call through a socket opened for it than one by one.
constexpr std::size_t worth_a_socket = 4;

struct Option {
  int level;
  int name;
  int value;
};

Result<> set_options(int fd, std::string_view context, std::span<const Option> options) {
  for (const Option& option : options)
    if (::setsockopt(fd, option.level, option.name, &option.value, sizeof option.value) != 0)
      return errno_failure(fmt::format("{}: setsockopt {}/{}", context, option.level, option.name), errno);
  return {};
}

Result<Fd> raw_socket(int family, int protocol, Mark mark) {
  const std::string context = fmt::format("open a raw socket for {}", family == AF_INET ? "IPv4" : "IPv6");
  Fd fd(::socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  if (!fd.is_open()) return errno_failure(context, errno);
  const bool v4 = family == AF_INET;
  const Option options[] = {
      {SOL_SOCKET, SO_MARK, static_cast<int>(mark.bits)},
      {SOL_SOCKET, SO_SNDBUFFORCE, send_buffer},
      {v4 ? SOL_IP : SOL_IPV6, v4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, 1},
      // The link's MTU comes with EMSGSIZE.
      {v4 ? SOL_IP : SOL_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR, 1},
      {v4 ? SOL_IP : SOL_IPV6, v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, v4 ? IP_PMTUDISC_DONT : IPV6_PMTUDISC_DONT},
  };
  if (Result<> set = set_options(fd.raw(), context, options); !set) return std::unexpected(set.error());
  return fd;
}

Result<std::uint16_t> free_port(const Address& address) {
  const Fd fd(::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return errno_failure("socket", errno);
  if (const int refusal = bind_to(fd.raw(), {address, 0})) return errno_failure("bind", refusal);
  const Result<Endpoint> bound = local_endpoint(fd.raw());
  if (!bound) return std::unexpected(bound.error());
  return bound->port;
}

// ---- receiving

constexpr std::size_t largest = 65'535;
constexpr std::size_t control_size = 256;

int integer(const cmsghdr& header) {
  int value = 0;
  std::memcpy(&value, CMSG_DATA(&header), sizeof value);
  return value;
}

// What came with a packet beside its bytes.
struct Beside {
  std::optional<Endpoint> destination;
  std::uint8_t hops = 64;
  std::uint8_t traffic_class = 0;
  bool was_fragmented = false;
  std::uint16_t segment = 0;  // of UDP_GRO: the size of each datagram but the last
};

Endpoint endpoint_at(const cmsghdr& header, std::size_t size) {
  sockaddr_storage storage{};
  std::memcpy(&storage, CMSG_DATA(&header), size);
  return Endpoint::from_sockaddr(storage);
}

Beside read_control(msghdr& message) {
  Beside beside;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == SOL_IP) {
      if (header->cmsg_type == IP_ORIGDSTADDR) beside.destination = endpoint_at(*header, sizeof(sockaddr_in));
      if (header->cmsg_type == IP_TTL) beside.hops = static_cast<std::uint8_t>(integer(*header));
      if (header->cmsg_type == IP_TOS) std::memcpy(&beside.traffic_class, CMSG_DATA(header), 1);
      if (header->cmsg_type == IP_RECVFRAGSIZE) beside.was_fragmented = true;
    } else if (header->cmsg_level == SOL_IPV6) {
      if (header->cmsg_type == IPV6_ORIGDSTADDR) beside.destination = endpoint_at(*header, sizeof(sockaddr_in6));
      if (header->cmsg_type == IPV6_HOPLIMIT) beside.hops = static_cast<std::uint8_t>(integer(*header));
      if (header->cmsg_type == IPV6_TCLASS) beside.traffic_class = static_cast<std::uint8_t>(integer(*header));
      if (header->cmsg_type == IPV6_RECVFRAGSIZE) beside.was_fragmented = true;
    } else if (header->cmsg_level == SOL_UDP && header->cmsg_type == UDP_GRO) {
      beside.segment = static_cast<std::uint16_t>(integer(*header));
    }
  }
  return beside;
}

}  // namespace

Result<Fd> listen_for_datagrams(const Endpoint& at, Mark mark) {
  const std::string context = "receive datagrams on " + at.text();
  // A port that was asked for by its number stays with the socket even if somebody aborts it (udp_abort() in
  // net/ipv4/udp.c); one that bind(2) chose does not.
  if (at.port == 0) {
    const Result<std::uint16_t> port = free_port(at.address);
    if (!port) return failure_in(context, port);
    return listen_for_datagrams({at.address, *port}, mark);
  }
  Fd fd(::socket(at.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) return errno_failure(context + ": socket", errno);
  std::vector<Option> options = {{SOL_SOCKET, SO_MARK, static_cast<int>(mark.bits)},
                                 {SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer},
                                 {SOL_UDP, UDP_GRO, 1}};
  if (at.family() == AF_INET)
    for (const int name : {IP_TRANSPARENT, IP_RECVORIGDSTADDR, IP_RECVTTL, IP_RECVTOS, IP_RECVFRAGSIZE})
      options.push_back({SOL_IP, name, 1});
  else
    for (const int name :
         {IPV6_TRANSPARENT, IPV6_V6ONLY, IPV6_RECVORIGDSTADDR, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS, IPV6_RECVFRAGSIZE})
      options.push_back({SOL_IPV6, name, 1});
  if (Result<> set = set_options(fd.raw(), context, options); !set) return std::unexpected(set.error());
  if (const int refusal = bind_to(fd.raw(), at)) return errno_failure(context + ": bind", refusal);
  return fd;
}

Result<RawSockets> RawSockets::open(int family, Mark mark) {
  Result<Fd> whole = raw_socket(family, IPPROTO_RAW, mark);  // the IP header is ours: raw(7), "IP_HDRINCL"
  if (!whole) return std::unexpected(whole.error());
  Result<Fd> fragmenting = raw_socket(family, IPPROTO_UDP, mark);
  if (!fragmenting) return std::unexpected(fragmenting.error());
  const Endpoint at{nobody(family), 0};
  if (const int refusal = bind_to(fragmenting->raw(), at))
    return errno_failure("bind a raw socket to " + at.text(), refusal);
  return RawSockets{std::move(*whole), std::move(*fragmenting)};
}

struct DatagramReceiver::Buffers {
  std::array<mmsghdr, batch> messages{};
  std::array<iovec, batch> pieces;
  std::array<sockaddr_storage, batch> sources;
  alignas(cmsghdr) std::array<std::array<char, control_size>, batch> controls;
  std::array<std::array<char, largest>, batch> bytes;

  void prepare() {
    for (std::size_t i = 0; i < batch; ++i) {
      pieces[i] = {bytes[i].data(), bytes[i].size()};
      messages[i].msg_hdr = {.msg_name = &sources[i],
                             .msg_namelen = sizeof sources[i],
                             .msg_iov = &pieces[i],
                             .msg_iovlen = 1,
                             .msg_control = controls[i].data(),
                             .msg_controllen = controls[i].size(),
                             .msg_flags = 0};
    }
  }
};

DatagramReceiver::DatagramReceiver() : buffers_(std::make_unique_for_overwrite<Buffers>()) {}
DatagramReceiver::~DatagramReceiver() = default;

int DatagramReceiver::receive(int fd, DontFragment dont_fragment, std::vector<Datagram>& datagrams, bool& is_more) {
  datagrams.clear();
  is_more = false;
  buffers_->prepare();
  const int count = ::recvmmsg(fd, buffers_->messages.data(), batch, MSG_DONTWAIT, nullptr);
  if (count < 0) return errno;
  is_more = count == batch;
  for (int i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    mmsghdr& message = buffers_->messages[at];
    const Beside beside = read_control(message.msg_hdr);
    // Without its destination, or cut short, it is nothing that could be sent on; neither happens with tproxy and 64
    // KiB.
    if (!beside.destination || (message.msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) continue;
    datagrams.push_back({.source = Endpoint::from_sockaddr(buffers_->sources[at]),
                         .destination = *beside.destination,
                         .payload = {buffers_->bytes[at].data(), message.msg_len},
                         .hops = beside.hops,
                         .traffic_class = beside.traffic_class,
                         .may_be_fragmented = beside.was_fragmented || (dont_fragment == DontFragment::clear &&
                                                                        beside.destination->family() == AF_INET),
                         .segment = beside.segment < message.msg_len ? beside.segment : std::uint16_t{0}});
  }
  return 0;
}

// ---- sending

// Those that go one by one, by the raw socket.
struct DatagramSender::Batch {
  static constexpr std::size_t most = 64;

  struct One {
    Datagram datagram;
    HeaderBytes headers;
    sockaddr_storage to;
    std::array<iovec, 2> pieces;
    Ancillary beside;
  };
  std::array<One, most> ones;
  std::array<mmsghdr, most> messages;
  std::size_t count = 0;
};

namespace {

socklen_t raw_address(const Address& address, sockaddr_storage& storage) {
  return Endpoint{address, 0}.to_sockaddr(storage);  // a raw IPv6 socket refuses another port (rawv6_sendmsg())
}

iovec piece_of(const Datagram& datagram) {
  return {const_cast<char*>(datagram.payload.data()), datagram.payload.size()};
}

}  // namespace

DatagramSender::DatagramSender(int family, RawSockets sockets, Mark mark, std::size_t segment_sockets)
    : family_(family),
      sockets_(std::move(sockets)),
      segments_(std::make_unique<SegmentSender>(family, mark, segment_sockets)),
      batch_(std::make_unique<Batch>()),
      runs_(std::make_unique<Runs>()) {}
DatagramSender::~DatagramSender() = default;
DatagramSender::DatagramSender(DatagramSender&&) noexcept = default;

void DatagramSender::add(const Datagram& datagram) {
  if (gathered_.size() == Runs::most) flush();
  gathered_.push_back(datagram);
}

void DatagramSender::flush() {
  for (const Run& run : runs_->find(gathered_)) {
    if (run.follows) flush_whole();  // what came before it in its flow goes before it
    send_run(runs_->order().subspan(run.first, run.count));
  }
  flush_whole();
  segments_->close();
  gathered_.clear();
}

// As one, or else one by one.
void DatagramSender::send_run(std::span<const std::uint16_t> run) {
  const Datagram& first = gathered_[run.front()];
  const std::size_t count = first.segment != 0 ? first.count() : run.size();
  if (count < worth_a_socket) return add_one_by_one(run);
  std::array<iovec, Runs::longest> payloads;
  for (std::size_t i = 0; i < run.size(); ++i) payloads[i] = piece_of(gathered_[run[i]]);
  const auto segment = first.segment != 0 ? first.segment : static_cast<std::uint16_t>(first.payload.size());
  if (segments_->send(first, std::span(payloads).first(run.size()), segment) != 0) add_one_by_one(run);
}

void DatagramSender::add_one_by_one(std::span<const std::uint16_t> run) {
  for (const std::uint16_t at : run) {
    Datagram one = gathered_[at];
    const std::size_t most = one.segment == 0 ? one.payload.size() : one.segment;
    one.segment = 0;
    std::span<const char> rest = gathered_[at].payload;
    do {
      one.payload = rest.first(std::min(most, rest.size()));
      add_whole(one);
      rest = rest.subspan(one.payload.size());
    } while (!rest.empty());
  }
}

void DatagramSender::add_whole(const Datagram& datagram) {
  if (batch_->count == Batch::most) flush_whole();
  const std::size_t at = batch_->count++;
  Batch::One& one = batch_->ones[at];
  one.datagram = datagram;
  one.pieces = {{{one.headers.data(), write_headers(one.headers, datagram)}, piece_of(datagram)}};
  const socklen_t length = raw_address(datagram.destination.address, one.to);
  one.beside.clear();
  one.beside.add_source(datagram.source.address);
  batch_->messages[at].msg_hdr = {.msg_name = &one.to,
                                  .msg_namelen = length,
                                  .msg_iov = one.pieces.data(),
                                  .msg_iovlen = one.pieces.size(),
                                  .msg_control = one.beside.bytes(),
                                  .msg_controllen = one.beside.size(),
                                  .msg_flags = 0};
}

void DatagramSender::flush_whole() {
  std::size_t sent = 0;
  while (sent < batch_->count) {
    const int n = ::sendmmsg(sockets_.whole.raw(), batch_->messages.data() + sent,
                             static_cast<unsigned>(batch_->count - sent), MSG_DONTWAIT);
    if (n > 0) {
      sent += static_cast<std::size_t>(n);
      continue;
    }
    int error = errno;
    if (error == EINTR) continue;
    const Datagram& datagram = batch_->ones[sent++].datagram;
    const std::uint32_t mtu = error == EMSGSIZE ? refused_mtu() : 0;
    if (error == EMSGSIZE && datagram.may_be_fragmented) error = send_fragmented(datagram);
    if (error != 0) refused_.push_back({datagram, error, mtu});
  }
  batch_->count = 0;
}

int DatagramSender::send_fragmented(const Datagram& datagram) {
  std::array<char, udp_header_size> header;
  write_udp_header(header, datagram);
  std::array<iovec, 2> pieces = {{{header.data(), header.size()}, piece_of(datagram)}};
  sockaddr_storage to;
  const socklen_t length = raw_address(datagram.destination.address, to);
  Ancillary beside;
  beside.add_source(datagram.source.address);
  beside.add_hops(family_, datagram.hops);
  beside.add_traffic_class(family_, datagram.traffic_class);
  const msghdr message{.msg_name = &to,
                       .msg_namelen = length,
                       .msg_iov = pieces.data(),
                       .msg_iovlen = pieces.size(),
                       .msg_control = beside.bytes(),
                       .msg_controllen = beside.size(),
                       .msg_flags = 0};
  return ::sendmsg(sockets_.fragmenting.raw(), &message, MSG_DONTWAIT) >= 0 ? 0 : errno;
}

// The kernel leaves the MTU in the socket's error queue (ip_local_error(), ipv6_local_error()).
std::uint32_t DatagramSender::refused_mtu() {
  std::uint32_t mtu = 0;
  alignas(cmsghdr) std::array<char, control_size> control;
  msghdr message{};
  for (;;) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(sockets_.whole.raw(), &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return mtu;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
      const bool is_error = (header->cmsg_level == SOL_IP && header->cmsg_type == IP_RECVERR) ||
                            (header->cmsg_level == SOL_IPV6 && header->cmsg_type == IPV6_RECVERR);
      if (!is_error) continue;
      sock_extended_err error;
      std::memcpy(&error, CMSG_DATA(header), sizeof error);
      if (error.ee_errno == EMSGSIZE) mtu = error.ee_info;
    }
  }
}

int DatagramSender::send_packet(std::span<const char> packet, const Address& to) {
  sockaddr_storage storage;
  const socklen_t length = raw_address(to, storage);
  return ::sendto(sockets_.whole.raw(), packet.data(), packet.size(), MSG_DONTWAIT,
                  reinterpret_cast<const sockaddr*>(&storage), length) >= 0
             ? 0
             : errno;
}

}  // namespace limpid
