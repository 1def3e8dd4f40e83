// SPDX-License-Identifier: MIT
#include <algorithm>

#include "identify/client_hello.h"
#include "identify/identify.h"
#include "identify/initial_packet.h"
#include "identify/reader.h"

namespace limpid {
namespace {

constexpr std::size_t shortest_first_id = 8;  // RFC 9000, 7.2
constexpr int most_packets = 8;               // of one datagram: each may cost the making of keys

enum Frame : std::uint8_t { padding = 0, ping = 1, ack = 2, ack_with_ecn = 3, crypto = 6, connection_close = 0x1c };

void skip_ack(Reader& reader, bool with_ecn) {
  reader.varint();  // largest
  reader.varint();  // delay
  const std::uint64_t ranges = reader.varint();
  reader.varint();  // first range
  for (std::uint64_t range = 0; range < ranges && !reader.is_short(); ++range) {
    reader.varint();
    reader.varint();
  }
  for (int count = 0; with_ecn && count < 3; ++count) reader.varint();
}

void skip_connection_close(Reader& reader) {
  reader.varint();               // error
  reader.varint();               // frame
  reader.take(reader.varint());  // reason
}

}  // namespace

Finding DatagramIdentifier::add(Bytes datagram) {
  if (answer_.progress != Progress::need_more) return answer_;
  answer_ = look(datagram);
  if (answer_.progress == Progress::need_more && ++datagrams_ == most_datagrams)
    answer_ = keys_ ? Finding::without_host(Application::quic) : Finding::none();
  if (answer_.progress != Progress::need_more) crypto_ = {};
  return answer_;
}

Finding DatagramIdentifier::look(Bytes datagram) {
  std::optional<LongHeader> first;
  Bytes rest = datagram;
  for (int packets = 0; packets < most_packets && !rest.empty(); ++packets) {
    const std::optional<LongHeader> header = read_long_header(rest);
    if (!header) break;
    if (!first) first = header;
    // Packets of other connections in one datagram are ignored (RFC 9000, 12.2).
    if (!std::ranges::equal(header->destination_id, first->destination_id)) break;
    const Bytes packet = rest.first(header->size);
    if (header->type == PacketType::initial && !read_initial(*header, packet) && !keys_) return Finding::none();
    rest = rest.subspan(header->size);
  }
  // 0-RTT may overtake the Initial; anything else before it is no client's beginning. After it anything may be sent to
  // us that is of no use.
  if (!keys_ && !(first && first->type == PacketType::zero_rtt)) return Finding::none();

  Finding finding = identify_client_hello(crypto_.contiguous(), Application::quic);
  if (finding.progress == Progress::need_more)
    return Finding::more(0, keys_ ? Application::quic : Application::unknown);
  // The Initial was sealed: it is QUIC, if not one that a server would understand.
  if (finding.progress == Progress::not_it || crypto_.contradicts_itself())
    return Finding::without_host(Application::quic);
  return finding;
}

bool DatagramIdentifier::read_initial(const LongHeader& header, Bytes packet) {
  std::optional<OpenedPacket> opened;
  // Those that follow may be sent to an ID of the server's choice, and keep the keys.
  if (keys_) opened = OpenedPacket::open(*keys_, header, packet, next_packet_number_);
  if (!opened && (keys_ || header.destination_id.size() >= shortest_first_id)) {
    // The first; or, after a Retry, the first of the second attempt, which repeats the same ClientHello (RFC
    // 9001, 5.2).
    const InitialKeys keys = InitialKeys::of_client(header.version, header.destination_id);
    opened = OpenedPacket::open(keys, header, packet, next_packet_number_);
    if (opened) keys_ = keys;
  }
  if (!opened) return false;
  next_packet_number_ = std::max(next_packet_number_, opened->number() + 1);
  read_frames(opened->payload());
  return true;
}

// Those that an Initial may hold (RFC 9000, 12.4). Behind one that it may not, nothing is read.
void DatagramIdentifier::read_frames(Bytes payload) {
  Reader reader(payload);
  while (!reader.is_at_end()) {
    const std::uint64_t type = reader.varint();
    if (type == ack || type == ack_with_ecn) {
      skip_ack(reader, type == ack_with_ecn);
    } else if (type == connection_close) {
      skip_connection_close(reader);
    } else if (type == crypto) {
      const std::uint64_t offset = reader.varint();
      const Bytes data = reader.take(reader.varint());
      crypto_.add(offset, data);
    } else if (type == padding) {
      reader.skip_zeros();  // there are hundreds, as a rule
    } else if (type != ping) {
      return;
    }
  }
}

}  // namespace limpid
