// SPDX-License-Identifier: MIT
#include "protocol/http_connect.h"

#include <gtest/gtest.h>

#include "protocol/in_pieces.h"

namespace limpid {
namespace {

using Kind = Refusal::Kind;

Bytes bytes_of(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

std::string request(const ProxyDestination& destination, const std::optional<Credentials>& credentials = {}) {
  const HttpConnect connect = *HttpConnect::to(destination, credentials);
  return {connect.to_send().begin(), connect.to_send().end()};
}

Outcome outcome_of_answer(std::string_view answer) {
  return outcome_of([] { return *HttpConnect::to(web, {}); }, bytes_of(answer));
}

std::string header_of(std::size_t size) {
  std::string header = "HTTP/1.1 200 OK\r\n";
  while (size - header.size() > 1000) header += "X: " + std::string(900, 'x') + "\r\n";
  header += "Y: ";
  return header + std::string(size - header.size() - 4, 'y') + "\r\n\r\n";
}

TEST(HttpConnect, AsksForAnAddressOrAHost) {
  EXPECT_EQ(request(web), "CONNECT 203.0.113.9:443 HTTP/1.1\r\nHost: 203.0.113.9:443\r\n\r\n");
  EXPECT_EQ(request({{*Address::parse("2001:db8::9"), 80}, {}}),
            "CONNECT [2001:db8::9]:80 HTTP/1.1\r\nHost: [2001:db8::9]:80\r\n\r\n");
  EXPECT_EQ(request({web.endpoint, "example.com"}),
            "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n");
}

TEST(HttpConnect, AsksInSomebodysName) {  // RFC 7617, section 2
  EXPECT_EQ(request(web, Credentials{"Aladdin", "open sesame"}),
            "CONNECT 203.0.113.9:443 HTTP/1.1\r\nHost: 203.0.113.9:443\r\n"
            "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
  EXPECT_TRUE(HttpConnect::check({"name", ""}));
  EXPECT_TRUE(HttpConnect::check({"name", "with:colon"}));
}

TEST(HttpConnect, IsNotMadeOfWhatItCannotCarry) {
  EXPECT_FALSE(HttpConnect::to({web.endpoint, "a\r\nX: y"}, {}));
  for (const Credentials& credentials :
       {Credentials{"na:me", "p"}, Credentials{"n\n", "p"}, Credentials{"n", "p\x7f"},
        Credentials{"n", std::string("p\0", 2)}, Credentials{std::string(1025, 'n'), "p"}}) {
    EXPECT_FALSE(HttpConnect::check(credentials));
    EXPECT_FALSE(HttpConnect::to(web, credentials));
  }
}

TEST(HttpConnect, IsDoneWithTheHeaderAndTakesNothingBehindIt) {
  for (std::string_view header :
       {"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 Connection established\r\n\r\n", "HTTP/1.1 200 \r\n\r\n",
        "HTTP/1.1 204 No Content\r\nVia: 1.1 squid\r\n\r\n", "HTTP/1.1 299 \xc3\xbc\r\n\r\n",
        // No body follows, whatever it says (RFC 9110, section 9.3.6).
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    for (std::string_view behind : {"", "\r\n", "SSH-2.0-x\r\n", "HTTP/1.1 403 Forbidden\r\n\r\n"}) {
      const Outcome outcome = outcome_of_answer(std::string(header) + std::string(behind));
      EXPECT_EQ(outcome.next, Step::Next::done) << header;
      EXPECT_EQ(outcome.consumed, header.size()) << header;
    }
  }
}

TEST(HttpConnect, WaitsForTheFinalAnswer) {
  const std::string_view answer =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
  const Outcome outcome = outcome_of_answer(std::string(answer) + "stream");
  EXPECT_EQ(outcome.next, Step::Next::done);
  EXPECT_EQ(outcome.consumed, answer.size());
  EXPECT_EQ(outcome_of_answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\n\r\n").refusal.kind, Kind::not_allowed);
}

TEST(HttpConnect, GivesEveryStatusAKind) {
  const std::pair<int, Kind> rows[] = {
      {101, Kind::protocol_error}, {301, Kind::failed},      {400, Kind::failed},      {401, Kind::authentication},
      {403, Kind::not_allowed},    {404, Kind::failed},      {405, Kind::unsupported}, {407, Kind::authentication},
      {429, Kind::failed},         {500, Kind::failed},      {501, Kind::unsupported}, {502, Kind::unreachable},
      {503, Kind::unreachable},    {504, Kind::unreachable}, {0, Kind::failed},        {999, Kind::failed}};
  for (const auto& [status, kind] : rows) {
    const Outcome outcome = outcome_of_answer(fmt::format("HTTP/1.1 {:03} Whatever\r\nX: y\r\n\r\nbody", status));
    EXPECT_EQ(outcome.next, Step::Next::refused) << status;
    EXPECT_EQ(outcome.refusal.kind, kind) << status;
  }
}

TEST(HttpConnect, TellsARefusalInOurWords) {
  EXPECT_EQ(outcome_of_answer("HTTP/1.1 403 \x1b[31mYou there\r\n\r\n").refusal.kind, Kind::protocol_error);
  EXPECT_EQ(outcome_of_answer("HTTP/1.1 403 You there\r\n\r\n").refusal.reason, "HTTP CONNECT: 403 Forbidden");
  EXPECT_EQ(outcome_of_answer("HTTP/1.1 477 You there\r\n\r\n").refusal.reason, "HTTP CONNECT: status 477");
}

TEST(HttpConnect, IsRefusedAtTheFirstByteThatIsNotHttp1) {
  for (std::string_view answer : {"S", "h", "HTTP/2", "HTTP 1", "\r", "\n"}) {
    const Outcome outcome = outcome_of_answer(answer);
    EXPECT_EQ(outcome.next, Step::Next::refused) << answer;
    EXPECT_EQ(outcome.refusal.kind, Kind::protocol_error) << answer;
  }
}

TEST(HttpConnect, IsRefusedWhereTheHeaderIsMalformed) {
  for (std::string_view answer :
       {"HTTP/1.1 200 OK\n", "HTTP/1.1 200 OK\r\nX: y\n", "HTTP/1.9 200 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: y\r\n\r\n", "HTTP/1.1 200 OK\r\nX y: z\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n"}) {
    const Outcome outcome = outcome_of_answer(answer);
    EXPECT_EQ(outcome.next, Step::Next::refused) << answer;
    EXPECT_EQ(outcome.refusal.kind, Kind::protocol_error) << answer;
  }
}

TEST(HttpConnect, TakesAHeaderUpToItsLimitAndNoLongerOne) {
  const std::string longest = header_of(HttpConnect::header_limit);
  ASSERT_EQ(longest.size(), HttpConnect::header_limit);
  EXPECT_EQ(outcome_of_answer(longest + "stream").consumed, longest.size());
  const Outcome longer = outcome_of_answer(header_of(HttpConnect::header_limit + 1));
  EXPECT_EQ(longer.next, Step::Next::refused);
  EXPECT_EQ(longer.refusal.reason, "HTTP CONNECT: a header of more than 8192 bytes");
}

TEST(HttpConnect, CountsInterimAnswersTowardsTheLimit) {
  const std::string interim = "HTTP/1.1 100 Continue\r\n\r\n";
  const std::string rest = header_of(HttpConnect::header_limit - interim.size());
  EXPECT_EQ(outcome_of_answer(interim + rest).next, Step::Next::done);
  EXPECT_EQ(outcome_of_answer(interim + interim + rest).next, Step::Next::refused);
  std::string endless;
  while (endless.size() < 2 * HttpConnect::header_limit) endless += interim;
  EXPECT_EQ(outcome_of_answer(endless).next, Step::Next::refused);
}

}  // namespace
}  // namespace limpid
