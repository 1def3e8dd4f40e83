// SPDX-License-Identifier: MIT
#include "identify/http2.h"

#include <gtest/gtest.h>

#include "identify/example_hello.h"

namespace limpid {
namespace {

const Identity page{Application::http, "example.com", ""};

struct Frame {
  std::uint8_t type;
  std::uint8_t flags = 0;
  ByteVector payload = {};
};
constexpr std::uint8_t data = 0, headers = 1, priority = 2, settings = 4, ping = 6, window_update = 8, continuation = 9;
constexpr std::uint8_t end_headers = 4, with_padding = 8, with_priority = 0x20;

ByteVector stream_of(const std::vector<Frame>& frames) {
  ByteVector stream = bytes_of(http2_preface);
  for (const Frame& frame : frames) {
    append_number(stream, frame.payload.size(), 3);
    append(stream,
           ByteVector{frame.type, frame.flags, 0, 0, 0, frame.type == settings ? std::uint8_t{0} : std::uint8_t{1}});
    append(stream, frame.payload);
  }
  return stream;
}

// A literal field without indexing, its name new (RFC 7541, 6.2.2).
ByteVector literal(std::string_view name, std::string_view value) {
  ByteVector field{0};
  append(field, vector_of(bytes_of(name), 1));
  append(field, vector_of(bytes_of(value), 1));
  return field;
}

// RFC 7541, C.4.1: GET http://www.example.com/, with Huffman coding.
const ByteVector rfc7541_request = {0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5,
                                    0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff};

ByteVector block_of(const std::vector<ByteVector>& fields) {
  ByteVector block{0x82, 0x86, 0x84};  // GET, http, /
  for (const ByteVector& field : fields) append(block, field);
  return block;
}

std::string host_of(const std::vector<Frame>& frames) {
  const Finding finding = identify_stream(stream_of(frames));
  EXPECT_EQ(finding.progress, Progress::found);
  EXPECT_EQ(finding.identity.application, Application::http);
  return finding.identity.host;
}

TEST(Http2, IsFoundAtTheEndOfTheFirstRequestsHeader) {
  expect_found_at_the_end_of(stream_of({{settings, 0, ByteVector(18)}, {headers, end_headers, rfc7541_request}}),
                             {Application::http, "www.example.com", ""});
}

TEST(Http2, SkipsOtherFrames) {
  expect_found_at_the_end_of(stream_of({{settings, 0, ByteVector(12)},
                                        {window_update, 0, ByteVector(4)},
                                        {priority, 0, ByteVector(5)},
                                        {settings, 1},
                                        {ping, 0, ByteVector(8)},
                                        {0xbb, 0xff, ByteVector(50)},
                                        {headers, end_headers, block_of({literal(":authority", "Example.com:80")})}}),
                             page);
}

TEST(Http2, ReadsPaddingPriorityAndContinuations) {
  const ByteVector block = block_of({literal(":authority", "example.com"), literal("x", "y")});
  ByteVector payload{3};
  payload.resize(1 + 5, 0x11);
  append(payload, block);
  payload.resize(payload.size() + 3);
  expect_found_at_the_end_of(stream_of({{settings}, {headers, end_headers | with_padding | with_priority, payload}}),
                             page);
  for (std::size_t at = 0; at <= block.size(); ++at) {
    const auto middle = block.begin() + static_cast<std::ptrdiff_t>(at);
    expect_found_at_the_end_of(stream_of({{settings},
                                          {headers, 0, {block.begin(), middle}},
                                          {continuation},
                                          {continuation, end_headers, {middle, block.end()}}}),
                               page);
  }
}

TEST(Http2, TakesHostWithoutAuthority) {
  EXPECT_EQ(host_of({{headers, end_headers, block_of({literal("host", "a.example")})}}), "a.example");
  EXPECT_EQ(
      host_of({{headers, end_headers, block_of({literal(":authority", "a.example"), literal("host", "b.example")})}}),
      "a.example");
  EXPECT_EQ(
      host_of({{headers, end_headers, block_of({literal(":authority", "192.0.2.1"), literal("host", "b.example")})}}),
      "");
  EXPECT_EQ(host_of({{headers, end_headers, block_of({})}}), "");
}

TEST(Http2, HasNoHostIfItNamesTwo) {
  const ByteVector a = literal(":authority", "a.example"), b = literal(":authority", "b.example");
  EXPECT_EQ(host_of({{headers, end_headers, block_of({a, b})}}), "");
  EXPECT_EQ(host_of({{headers, end_headers, block_of({a, a})}}), "");
  const ByteVector host = literal("host", "a.example");
  EXPECT_EQ(host_of({{headers, end_headers, block_of({host, host})}}), "");
}

TEST(Http2, HasNoHostIfItsFramesAreNotInOrder) {
  const ByteVector block = block_of({literal(":authority", "a.example")});
  EXPECT_EQ(host_of({{continuation, end_headers, block}}), "");
  EXPECT_EQ(host_of({{headers, 0, block}, {data}}), "");
  EXPECT_EQ(host_of({{headers, 0, block}, {headers, end_headers, block}}), "");
  EXPECT_EQ(host_of({{headers, end_headers | with_padding, {200, 0x82}}}), "");
  EXPECT_EQ(host_of({{headers, end_headers | with_padding}}), "");
  EXPECT_EQ(host_of({{headers, end_headers | with_priority, {1, 2, 3}}}), "");
  EXPECT_EQ(host_of({{headers, end_headers, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}}), "");
  EXPECT_EQ(host_of({{headers, end_headers, ByteVector(block.begin(), block.end() - 1)}}), "");
  ByteVector stream = bytes_of(http2_preface);
  append(stream, ByteVector{0xff, 0xff, 0xff, settings, 0, 0, 0, 0, 0});
  EXPECT_EQ(identify_stream(stream), Finding::without_host(Application::http));
}

TEST(Http2, IsFoundWithoutAHostIfTheRequestComesLaterThanWeWait) {
  EXPECT_EQ(
      host_of({{data, 0, ByteVector(10'000)}, {data, 0, ByteVector(10'000)}, {headers, end_headers, rfc7541_request}}),
      "");
}

}  // namespace
}  // namespace limpid
