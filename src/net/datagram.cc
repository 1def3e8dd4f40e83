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
#include "net/segment_sender.h"

namespace limpid {
namespace {

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

constexpr int receive_buffer = 8 << 20;  // bytes: bursts that come in while the thread is busy with others
constexpr int send_buffer = 4 << 20;

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
  sockaddr_storage storage;
  const socklen_t length = at.to_sockaddr(storage);
  if (::bind(fd.raw(), reinterpret_cast<sockaddr*>(&storage), length) != 0)
    return errno_failure(context + ": bind", errno);
  return fd;
}

Result<RawSockets> RawSockets::open(int family, Mark mark) {
  Result<Fd> whole = raw_socket(family, IPPROTO_RAW, mark);  // the IP header is ours: raw(7), "IP_HDRINCL"
  if (!whole) return std::unexpected(whole.error());
  Result<Fd> fragmenting = raw_socket(family, IPPROTO_UDP, mark);
  if (!fragmenting) return std::unexpected(fragmenting.error());
  sockaddr_storage storage;
  const Endpoint at{nobody(family), 0};
  const socklen_t length = at.to_sockaddr(storage);
  if (::bind(fragmenting->raw(), reinterpret_cast<sockaddr*>(&storage), length) != 0)
    return errno_failure("bind a raw socket to " + at.text(), errno);
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

struct DatagramSender::Gathered {
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

}  // namespace

DatagramSender::DatagramSender(int family, RawSockets sockets, Mark mark)
    : family_(family),
      sockets_(std::move(sockets)),
      segments_(std::make_unique<SegmentSender>(family, mark)),
      gathered_(std::make_unique<Gathered>()) {}
DatagramSender::~DatagramSender() = default;
DatagramSender::DatagramSender(DatagramSender&&) noexcept = default;

void DatagramSender::add(const Datagram& datagram) {
  if (datagram.segment == 0) return gather(datagram);
  flush();  // in order
  if (segments_->send(datagram) == 0) return;
  Datagram one = datagram;
  one.segment = 0;
  for (std::span<const char> rest = datagram.payload; !rest.empty(); rest = rest.subspan(one.payload.size())) {
    one.payload = rest.first(std::min<std::size_t>(datagram.segment, rest.size()));
    gather(one);
  }
}

void DatagramSender::gather(const Datagram& datagram) {
  if (gathered_->count == Gathered::most) flush();
  const std::size_t at = gathered_->count++;
  Gathered::One& one = gathered_->ones[at];
  one.datagram = datagram;
  one.pieces[0] = {one.headers.data(), write_headers(one.headers, datagram)};
  one.pieces[1] = {const_cast<char*>(datagram.payload.data()), datagram.payload.size()};
  const socklen_t length = raw_address(datagram.destination.address, one.to);
  one.beside.clear();
  one.beside.add_source(datagram.source.address);
  gathered_->messages[at].msg_hdr = {.msg_name = &one.to,
                                     .msg_namelen = length,
                                     .msg_iov = one.pieces.data(),
                                     .msg_iovlen = one.pieces.size(),
                                     .msg_control = one.beside.bytes(),
                                     .msg_controllen = one.beside.size(),
                                     .msg_flags = 0};
}

void DatagramSender::flush() {
  std::size_t sent = 0;
  while (sent < gathered_->count) {
    const int n = ::sendmmsg(sockets_.whole.raw(), gathered_->messages.data() + sent,
                             static_cast<unsigned>(gathered_->count - sent), MSG_DONTWAIT);
    if (n > 0) {
      sent += static_cast<std::size_t>(n);
      continue;
    }
    int error = errno;
    if (error == EINTR) continue;
    const Datagram& datagram = gathered_->ones[sent++].datagram;
    const std::uint32_t mtu = error == EMSGSIZE ? refused_mtu() : 0;
    if (error == EMSGSIZE && datagram.may_be_fragmented) error = send_fragmented(datagram);
    if (error != 0) refused_.push_back({datagram, error, mtu});
  }
  gathered_->count = 0;
}

int DatagramSender::send_fragmented(const Datagram& datagram) {
  std::array<char, udp_header_size> header;
  write_udp_header(header, datagram);
  std::array<iovec, 2> pieces = {
      {{header.data(), header.size()}, {const_cast<char*>(datagram.payload.data()), datagram.payload.size()}}};
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
