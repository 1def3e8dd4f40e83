// SPDX-License-Identifier: MIT
#include "identify/initial_packet.h"

#include <nettle/gcm.h>
#include <nettle/memops.h>

#include "identify/reader.h"

namespace limpid {
namespace {

constexpr std::size_t longest_id = 20;
constexpr std::size_t longest_number = 4;
constexpr std::size_t tag_size = GCM_DIGEST_SIZE;

std::optional<PacketType> type_of(QuicVersion version, std::uint8_t first_byte) {
  // Version 2 numbers the types from Retry on, which only servers send (RFC 9369, 3.2).
  const unsigned number = (first_byte >> 4) + (version == QuicVersion::v2 ? 3U : 0U);
  switch (number & 3) {
    case 0:
      return PacketType::initial;
    case 1:
      return PacketType::zero_rtt;
    case 2:
      return PacketType::handshake;
    default:
      return std::nullopt;
  }
}

// The number that ends in `bits` bits of `truncated` and is next to `next` (RFC 9000, A.3).
std::uint64_t full_number(std::uint64_t next, std::uint64_t truncated, unsigned bits) {
  const std::uint64_t window = std::uint64_t{1} << bits;
  const std::uint64_t candidate = (next & ~(window - 1)) | truncated;
  if (candidate + window / 2 <= next && candidate + window < std::uint64_t{1} << 62) return candidate + window;
  if (candidate > next + window / 2 && candidate >= window) return candidate - window;
  return candidate;
}

}  // namespace

std::optional<LongHeader> read_long_header(Bytes datagram) {
  Reader reader(datagram);
  const auto first_byte = static_cast<std::uint8_t>(reader.number(1));
  const auto version = static_cast<QuicVersion>(reader.number(4));
  if ((first_byte & 0xc0) != 0xc0) return std::nullopt;  // long, and fixed bit
  if (version != QuicVersion::v1 && version != QuicVersion::v2) return std::nullopt;
  const std::optional<PacketType> type = type_of(version, first_byte);
  const Bytes destination_id = reader.vector(1), source_id = reader.vector(1);
  if (!type || destination_id.size() > longest_id || source_id.size() > longest_id) return std::nullopt;
  if (*type == PacketType::initial) reader.take(reader.varint());  // token
  const std::uint64_t length = reader.varint();
  const std::size_t number_at = datagram.size() - reader.rest().size();
  reader.take(length);
  if (reader.is_short()) return std::nullopt;
  return LongHeader{*type, version, destination_id, number_at, number_at + length};
}

std::optional<OpenedPacket> OpenedPacket::open(const InitialKeys& keys, const LongHeader& header, Bytes packet,
                                               std::uint64_t next_number) {
  // The mask of the header is made from what follows a number of the longest size (RFC 9001, 5.4.2).
  const std::size_t sample_at = header.number_at + longest_number;
  if (packet.size() < sample_at + AES_BLOCK_SIZE) return std::nullopt;
  aes128_ctx cipher;
  aes128_set_encrypt_key(&cipher, keys.header_protection.data());
  std::array<std::uint8_t, AES_BLOCK_SIZE> mask;
  aes128_encrypt(&cipher, mask.size(), mask.data(), &packet[sample_at]);

  OpenedPacket opened;
  opened.bytes_.assign(packet.begin(), packet.end());
  std::uint8_t* bytes = opened.bytes_.data();
  bytes[0] ^= static_cast<std::uint8_t>(mask[0] & 0x0f);
  const std::size_t number_size = (bytes[0] & 3U) + 1;
  for (std::size_t byte = 0; byte < number_size; ++byte) bytes[header.number_at + byte] ^= mask[1 + byte];
  const std::uint64_t truncated = Reader(Bytes(opened.bytes_).subspan(header.number_at)).number(number_size);
  opened.number_ = full_number(next_number, truncated, static_cast<unsigned>(8 * number_size));
  opened.begin_ = header.number_at + number_size;
  opened.size_ = packet.size() - opened.begin_ - tag_size;

  gcm_aes128_ctx aead;
  gcm_aes128_set_key(&aead, keys.key.data());
  const auto nonce = keys.nonce(opened.number_);
  gcm_aes128_set_iv(&aead, nonce.size(), nonce.data());
  gcm_aes128_update(&aead, opened.begin_, bytes);
  gcm_aes128_decrypt(&aead, opened.size_, bytes + opened.begin_, bytes + opened.begin_);
  std::array<std::uint8_t, tag_size> tag;
  gcm_aes128_digest(&aead, tag.size(), tag.data());
  if (memeql_sec(tag.data(), bytes + opened.begin_ + opened.size_, tag.size()) == 0) return std::nullopt;
  return opened;
}

}  // namespace limpid
