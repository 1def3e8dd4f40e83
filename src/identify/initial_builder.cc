// SPDX-License-Identifier: MIT
#include "identify/initial_builder.h"

#include <nettle/gcm.h>

#include <initializer_list>

namespace limpid {
namespace {

constexpr std::size_t number_size = 4;

void append(std::vector<std::uint8_t>& bytes, Bytes more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

void append_number(std::vector<std::uint8_t>& bytes, std::size_t value, int size) {
  for (int byte = size - 1; byte >= 0; --byte) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * byte)));
}

// Below 16,384.
void append_varint(std::vector<std::uint8_t>& bytes, std::size_t value) {
  if (value < 64) return append_number(bytes, value, 1);
  append_number(bytes, value | 0x4000, 2);
}

}  // namespace

std::vector<std::uint8_t> crypto_frame(std::size_t offset, Bytes data) {
  std::vector<std::uint8_t> frame{6};
  append_varint(frame, offset);
  append_varint(frame, data.size());
  append(frame, data);
  return frame;
}

std::vector<std::uint8_t> build_initial(const InitialFields& fields, Bytes payload) {
  return build_initial(InitialKeys::of_client(fields.version, fields.destination_id), fields, payload);
}

std::vector<std::uint8_t> build_initial(const InitialKeys& keys, const InitialFields& fields, Bytes payload) {
  std::vector<std::uint8_t> packet;
  packet.push_back(fields.version == QuicVersion::v2 ? 0xd3 : 0xc3);  // Initial, number of four bytes
  append_number(packet, static_cast<std::uint32_t>(fields.version), 4);
  append_number(packet, fields.destination_id.size(), 1);
  append(packet, fields.destination_id);
  append_number(packet, 0, 1);  // source ID
  append_varint(packet, fields.token.size());
  append(packet, fields.token);
  append_varint(packet, number_size + payload.size() + GCM_DIGEST_SIZE);
  const std::size_t number_at = packet.size();
  append_number(packet, fields.number, number_size);
  const std::size_t payload_at = packet.size();
  packet.resize(payload_at + payload.size() + GCM_DIGEST_SIZE);

  gcm_aes128_ctx aead;
  gcm_aes128_set_key(&aead, keys.key.data());
  const auto nonce = keys.nonce(fields.number);
  gcm_aes128_set_iv(&aead, nonce.size(), nonce.data());
  gcm_aes128_update(&aead, payload_at, packet.data());
  gcm_aes128_encrypt(&aead, payload.size(), &packet[payload_at], payload.data());
  gcm_aes128_digest(&aead, GCM_DIGEST_SIZE, &packet[payload_at + payload.size()]);

  aes128_ctx cipher;
  aes128_set_encrypt_key(&cipher, keys.header_protection.data());
  std::array<std::uint8_t, AES_BLOCK_SIZE> mask;
  aes128_encrypt(&cipher, mask.size(), mask.data(), &packet[number_at + 4]);
  packet[0] ^= static_cast<std::uint8_t>(mask[0] & 0x0f);
  for (std::size_t byte = 0; byte < number_size; ++byte) packet[number_at + byte] ^= mask[1 + byte];
  return packet;
}

}  // namespace limpid
