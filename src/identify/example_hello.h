// SPDX-License-Identifier: MIT
// For tests and fuzzing: first bytes as clients make them, and what must hold for every beginning of them.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "identify/identify.h"

namespace limpid {

using ByteVector = std::vector<std::uint8_t>;

inline ByteVector bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

inline void append(ByteVector& bytes, Bytes more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

inline void append_number(ByteVector& bytes, std::size_t value, int size) {
  for (int byte = size - 1; byte >= 0; --byte) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * byte)));
}

// With its length before it, of `size` bytes.
inline ByteVector vector_of(Bytes content, int size) {
  ByteVector bytes;
  append_number(bytes, content.size(), size);
  append(bytes, content);
  return bytes;
}

inline ByteVector extension(std::size_t type, Bytes content) {
  ByteVector bytes;
  append_number(bytes, type, 2);
  append(bytes, vector_of(content, 2));
  return bytes;
}

inline ByteVector server_name(std::string_view host) {
  ByteVector entry{0};
  append(entry, vector_of(bytes_of(host), 2));
  return extension(0, vector_of(entry, 2));
}

inline ByteVector alpn(const std::vector<std::string>& protocols) {
  ByteVector list;
  for (const std::string& protocol : protocols) append(list, vector_of(bytes_of(protocol), 1));
  return extension(16, vector_of(list, 2));
}

// A key share of some size: what makes ClientHellos long.
inline ByteVector key_share(std::size_t size) { return extension(51, ByteVector(size, 0x5a)); }

// A ClientHello with these extensions, one behind the other.
inline ByteVector client_hello(const std::vector<ByteVector>& extensions) {
  ByteVector body{3, 3};
  body.resize(2 + 32, 0xaa);
  append(body, vector_of(ByteVector(32, 0xbb), 1));          // session
  append(body, vector_of(ByteVector{0x13, 1, 0x13, 2}, 2));  // cipher suites
  append(body, vector_of(ByteVector{0}, 1));                 // compression methods
  ByteVector all;
  for (const ByteVector& one : extensions) append(all, one);
  append(body, vector_of(all, 2));
  ByteVector message{1};
  append(message, vector_of(body, 3));
  return message;
}

inline ByteVector record(Bytes fragment) {
  ByteVector bytes{22, 3, 1};
  append(bytes, vector_of(fragment, 2));
  return bytes;
}

inline ByteVector in_records(Bytes message, std::size_t longest_fragment) {
  ByteVector stream;
  for (; !message.empty(); message = message.subspan(std::min(longest_fragment, message.size())))
    append(stream, record(message.first(std::min(longest_fragment, message.size()))));
  return stream;
}

// Byte by byte: nothing before the end, all of it there, and the same whatever follows.
inline void expect_found_at_the_end_of(ByteVector stream, const Identity& identity) {
  std::size_t wanted = 0;
  for (std::size_t size = 0; size < stream.size(); ++size) {
    const Finding finding = identify_stream(Bytes(stream).first(size));
    ASSERT_EQ(finding.progress, Progress::need_more) << size;
    ASSERT_GT(finding.wanted, size);
    ASSERT_GE(finding.wanted, wanted) << size;
    ASSERT_LE(finding.wanted, stream.size()) << size;
    wanted = finding.wanted;
  }
  for (int more = 0; more < 2; ++more) {
    const Finding finding = identify_stream(stream);
    EXPECT_EQ(finding.progress, Progress::found);
    EXPECT_EQ(finding.identity.application, identity.application);
    EXPECT_EQ(finding.identity.host, identity.host);
    EXPECT_EQ(finding.identity.alpn, identity.alpn);
    stream.resize(stream.size() + 70'000, 0xff);
  }
}

}  // namespace limpid
