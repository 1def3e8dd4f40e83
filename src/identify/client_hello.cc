// SPDX-License-Identifier: MIT
#include "identify/client_hello.h"

#include <string_view>

#include "identify/host_name.h"
#include "identify/reader.h"

namespace limpid {
namespace {

constexpr std::uint8_t client_hello_type = 1;
constexpr std::size_t header_size = 4;  // type, length
// Every field at its longest: version, random, session ID, cipher suites, compression methods, extensions.
constexpr std::size_t longest_body = 2 + 32 + (1 + 32) + (2 + 65534) + (1 + 255) + (2 + 65535);
constexpr std::uint64_t server_name_extension = 0, alpn_extension = 16;
constexpr std::size_t longest_alpn = 64;

std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// ServerNameList: entries of type host_name (0), of which there may be one.
void add_server_name(Bytes extension, OneHost& host) {
  Reader outer(extension);
  Reader list(outer.vector(2));
  if (outer.is_short() || !outer.is_at_end() || list.is_at_end()) return host.add({});
  while (!list.is_at_end()) {
    const std::uint64_t type = list.number(1);
    const Bytes name = list.vector(2);
    if (list.is_short()) return host.add({});
    if (type == 0) host.add(host_name(text_of(name)));
  }
}

// Names for the log: GREASE (RFC 8701), which is two equal bytes like "ZZ", and what is not plain text say nothing.
bool is_shown(std::string_view protocol) {
  if (protocol.size() == 2 && protocol[0] == protocol[1] && (protocol[0] & 0x0f) == 0x0a) return false;
  for (const char byte : protocol)
    if (byte <= 0x20 || byte >= 0x7f || byte == ',' || byte == '"' || byte == '\\') return false;
  return !protocol.empty();
}

// ProtocolNameList (RFC 7301, 3.1), as far as it is in order.
std::string alpn_of(Bytes extension) {
  Reader outer(extension);
  Reader list(outer.vector(2));
  std::string joined;
  while (!list.is_at_end()) {
    const std::string_view protocol = text_of(list.vector(1));
    if (!is_shown(protocol)) continue;
    if (joined.size() + 1 + protocol.size() > longest_alpn) break;
    if (!joined.empty()) joined += ',';
    joined += protocol;
  }
  return joined;
}

Finding read_body(Bytes body, Application application) {
  Reader reader(body);
  const std::uint64_t version = reader.number(2);
  reader.take(32);  // random
  const Bytes session = reader.vector(1);
  const Bytes suites = reader.vector(2);
  const Bytes compressions = reader.vector(1);
  if (reader.is_short() || version >> 8 != 3 || session.size() > 32) return Finding::none();
  if (suites.empty() || suites.size() % 2 != 0 || compressions.empty()) return Finding::none();
  Identity identity{application, {}, {}};
  if (reader.is_at_end())
    return Finding::of(std::move(identity));  // TLS 1.0 to 1.2 know ClientHellos without extensions

  Reader extensions(reader.vector(2));
  if (reader.is_short() || !reader.is_at_end()) return Finding::none();
  OneHost host;
  while (!extensions.is_at_end()) {
    const std::uint64_t type = extensions.number(2);
    const Bytes extension = extensions.vector(2);
    if (extensions.is_short()) return Finding::none();
    if (type == server_name_extension) add_server_name(extension, host);
    if (type == alpn_extension) identity.alpn = alpn_of(extension);
  }
  identity.host = host.take();
  return Finding::of(std::move(identity));
}

}  // namespace

Finding identify_client_hello(Bytes handshake, Application application) {
  if (handshake.empty()) return Finding::more(1);
  if (handshake[0] != client_hello_type) return Finding::none();
  if (handshake.size() < header_size) return Finding::more(header_size);
  const std::size_t length = Reader(handshake.subspan(1)).number(3);
  if (length > longest_body) return Finding::none();
  if (header_size + length > most_bytes) return Finding::without_host(application);
  if (handshake.size() < header_size + length) return Finding::more(header_size + length, application);
  return read_body(handshake.subspan(header_size, length), application);
}

}  // namespace limpid
