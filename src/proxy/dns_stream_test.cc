// SPDX-License-Identifier: MIT
#include "proxy/dns_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace limpid {
namespace {

using testing::ElementsAre;

std::string framed(const std::string& message) {
  return std::string{static_cast<char>(message.size() >> 8), static_cast<char>(message.size() & 0xff)} + message;
}

// What is seen of the stream in pieces of that size.
std::vector<std::string> seen(std::string_view stream, std::size_t piece) {
  std::vector<std::string> messages;
  DnsStream dns;
  for (; !stream.empty(); stream.remove_prefix(std::min(piece, stream.size())))
    dns.take(stream.substr(0, piece), [&](Bytes message) { messages.emplace_back(message.begin(), message.end()); });
  return messages;
}

TEST(DnsStream, IsCutIntoItsMessagesHoweverItComes) {
  const std::string longest(most_dns_bytes, 'x'), stream = framed("one") + framed("") + framed(longest) + framed("two");
  for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{1000}, stream.size()})
    EXPECT_THAT(seen(stream, piece), ElementsAre("one", "", longest, "two")) << piece;
}

TEST(DnsStream, PassesOverWhatIsTooLarge) {
  const std::string stream =
      framed(std::string(most_dns_bytes + 1, 'x')) + framed("two") + framed(std::string(65535, 'y')) + framed("three");
  for (const std::size_t piece : {std::size_t{1}, std::size_t{700}, stream.size()})
    EXPECT_THAT(seen(stream, piece), ElementsAre("two", "three")) << piece;
}

TEST(DnsStream, SaysNothingOfAMessageThatHasNotEnded) {
  EXPECT_THAT(seen(framed("one").substr(0, 4), 1), ElementsAre());
}

}  // namespace
}  // namespace limpid
