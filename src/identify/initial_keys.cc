// SPDX-License-Identifier: MIT
#include "identify/initial_keys.h"

#include <nettle/hmac.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace limpid {
namespace {

using Secret = std::array<std::uint8_t, SHA256_DIGEST_SIZE>;

constexpr std::array<std::uint8_t, 20> salt_v1 = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
                                                  0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
constexpr std::array<std::uint8_t, 20> salt_v2 = {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
                                                  0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9};

struct Labels {
  std::string_view key, iv, header_protection;
};
constexpr Labels labels_v1 = {"tls13 quic key", "tls13 quic iv", "tls13 quic hp"};
constexpr Labels labels_v2 = {"tls13 quicv2 key", "tls13 quicv2 iv", "tls13 quicv2 hp"};

// HKDF is used for one block at a time, which makes it HMAC: nettle's own hkdf_extract and hkdf_expand want the
// functions of a hash as pointers of another type.
Secret hmac(Bytes key, Bytes text) {
  hmac_sha256_ctx context;
  hmac_sha256_set_key(&context, key.size(), key.data());
  hmac_sha256_update(&context, text.size(), text.data());
  Secret digest;
  hmac_sha256_digest(&context, digest.size(), digest.data());
  return digest;
}

// HKDF-Expand-Label (RFC 8446, 7.1) without a context, of up to 32 bytes (RFC 5869, 2.3).
template <std::size_t size>
std::array<std::uint8_t, size> expand(const Secret& secret, std::string_view label) {
  static_assert(size <= SHA256_DIGEST_SIZE);
  std::array<std::uint8_t, 32> info{0, size, static_cast<std::uint8_t>(label.size())};
  std::ranges::copy(label, info.begin() + 3);
  info[3 + label.size()] = 0;      // length of the context
  info[3 + label.size() + 1] = 1;  // number of the block
  const Secret block = hmac(secret, Bytes(info).first(3 + label.size() + 2));
  std::array<std::uint8_t, size> expanded;
  std::copy_n(block.begin(), size, expanded.begin());
  return expanded;
}

}  // namespace

InitialKeys InitialKeys::of_client(QuicVersion version, Bytes destination_id) {
  const bool is_v2 = version == QuicVersion::v2;
  const Labels& labels = is_v2 ? labels_v2 : labels_v1;
  const Secret initial = hmac(is_v2 ? salt_v2 : salt_v1, destination_id);  // HKDF-Extract
  const Secret client = expand<SHA256_DIGEST_SIZE>(initial, "tls13 client in");
  return {expand<16>(client, labels.key), expand<12>(client, labels.iv), expand<16>(client, labels.header_protection)};
}

std::array<std::uint8_t, 12> InitialKeys::nonce(std::uint64_t packet_number) const {
  std::array<std::uint8_t, 12> nonce = iv;
  for (std::size_t byte = nonce.size(); packet_number != 0; packet_number >>= 8)
    nonce[--byte] ^= static_cast<std::uint8_t>(packet_number);
  return nonce;
}

}  // namespace limpid
