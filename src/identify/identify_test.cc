// SPDX-License-Identifier: MIT
#include "identify/identify.h"

#include <gtest/gtest.h>

#include <random>

#include "identify/example_hello.h"

namespace limpid {
namespace {

TEST(Identify, NeedsAByte) { EXPECT_EQ(identify_stream({}), Finding::more(1)); }

TEST(Identify, FindsSshByItsBanner) {
  const ByteVector banner = bytes_of("SSH-2.0-OpenSSH_9.2p1\r\n");
  for (std::size_t size = 1; size < 4; ++size)
    EXPECT_EQ(identify_stream(Bytes(banner).first(size)), Finding::more(size + 1));
  for (std::size_t size = 4; size <= banner.size(); ++size)
    EXPECT_EQ(identify_stream(Bytes(banner).first(size)), Finding::without_host(Application::ssh));
}

TEST(Identify, NeverWaitsForMoreThanMostBytes) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    // Garbage behind beginnings that are taken for something.
    constexpr std::string_view beginnings[] = {
        "", "\x16\x03\x01\x40", "GET /", "GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "SSH"};
    ByteVector bytes = bytes_of(beginnings[static_cast<std::size_t>(round) % std::size(beginnings)]);
    const std::size_t kept = bytes.size();
    bytes.resize(65536);
    std::generate(bytes.begin() + static_cast<std::ptrdiff_t>(kept), bytes.end(),
                  [&random] { return static_cast<std::uint8_t>(random()); });
    const Finding whole = identify_stream(bytes);
    EXPECT_NE(whole.progress, Progress::need_more);
    EXPECT_EQ(identify_stream(Bytes(bytes).first(most_bytes)), whole);
  }
}

TEST(Identify, TellsGarbageByAFewBytes) {
  std::mt19937 random(2);
  for (int round = 0; round < 300; ++round) {
    ByteVector bytes(65536);
    std::ranges::generate(bytes, [&random] { return static_cast<std::uint8_t>(random()); });
    EXPECT_EQ(identify_stream(bytes), Finding::none());
    EXPECT_EQ(identify_stream(Bytes(bytes).first(40)), Finding::none());
  }
}

TEST(Identify, TakesServersAndOtherTalkersForUnknown) {
  for (const char* text : {"220 mail.example ESMTP\r\n", "+OK ready\r\n", "* OK IMAP4\r\n", "RFB 003.008\n",
                           "\x03\x00\x00\x13\x0e\xe0", "*1\r\n$4\r\nPING\r\n", "INVITE sip:a@b.example SIP/2.0\r\n\r\n",
                           "DESCRIBE rtsp://a.example/ RTSP/1.0\r\n\r\n"})
    EXPECT_EQ(identify_stream(bytes_of(text)), Finding::none()) << text;
}

}  // namespace
}  // namespace limpid
