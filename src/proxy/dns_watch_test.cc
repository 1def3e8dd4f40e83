// SPDX-License-Identifier: MIT
#include "proxy/dns_watch.h"

#include <gtest/gtest.h>

#include "protocol/example_dns.h"

namespace limpid {
namespace {

namespace dns = example_dns;
using std::chrono::seconds;

class Watch : public testing::Test {
 protected:
  void ask(std::uint16_t id, std::string_view name, std::uint16_t type = dns::a) {
    watch.see_query(lookup, dns::bytes(dns::message(id, dns::query, name, type)), now);
  }
  void answer(const Flow& flow, std::uint16_t id, std::string_view name, std::string_view address = "203.0.113.9") {
    const dns::Record record = dns::address(dns::pointer(), address);
    watch.see_response(flow, dns::bytes(dns::message(id, dns::response, name, record.type, {record})), seconds(10),
                       now);
  }
  [[nodiscard]] bool is_known(std::string_view host, std::string_view address = "203.0.113.9") {
    return answers.has(lookup.client.address, host, *Address::parse(address), now);
  }

  const Flow lookup{*Endpoint::parse("10.1.0.2:40000"), *Endpoint::parse("192.0.2.53:53")};
  DnsAnswers answers;
  Counters counters;
  DnsWatch watch{answers, counters, {.entries = 8, .entries_per_client = 3}};
  DnsAnswers::Clock::time_point now = DnsAnswers::Clock::now();
};

TEST_F(Watch, LearnsWhatAnswersAQuestion) {
  ask(7, "X.example");
  answer(lookup, 7, "X.example");
  EXPECT_TRUE(is_known("x.example"));
  EXPECT_EQ(counters.dns_answers.value(), 1u);
  EXPECT_EQ(answers.size(), 1u);
}

TEST_F(Watch, LearnsFromTheFirstAnswerAlone) {
  ask(7, "x.example");
  answer(lookup, 7, "x.example");
  answer(lookup, 7, "x.example", "203.0.113.66");
  EXPECT_FALSE(is_known("x.example", "203.0.113.66"));
  EXPECT_EQ(counters.dns_ignored.value(), 1u);
}

TEST_F(Watch, KeepsTwoQuestionsOfOneFlowApart) {
  ask(7, "x.example");
  ask(8, "x.example", dns::aaaa);
  answer(lookup, 8, "x.example", "2001:db8::9");
  answer(lookup, 7, "x.example");
  EXPECT_TRUE(is_known("x.example") && is_known("x.example", "2001:db8::9"));
}

TEST_F(Watch, IgnoresWhatAnswersNoQuestion) {
  ask(7, "x.example");
  Flow other_client = lookup, other_port = lookup, other_server = lookup, other_server_port = lookup;
  other_client.client.address = *Address::parse("10.1.0.3");
  other_port.client.port = 40001;
  other_server.destination.address = *Address::parse("192.0.2.54");
  other_server_port.destination.port = 54;
  for (const Flow& flow : {other_client, other_port, other_server, other_server_port}) answer(flow, 7, "x.example");
  answer(lookup, 8, "x.example");
  answer(lookup, 7, "y.example");
  answer(lookup, 7, "X.example");
  answer(lookup, 7, "x.example", "2001:db8::9");
  EXPECT_EQ(answers.size(), 0u);
  EXPECT_EQ(counters.dns_ignored.value(), 8u);
  answer(lookup, 7, "x.example");
  EXPECT_TRUE(is_known("x.example"));
}

TEST_F(Watch, IgnoresWhatIsNoMessage) {
  ask(7, "x.example");
  watch.see_response(lookup, dns::bytes("?"), seconds(10), now);
  watch.see_query(lookup, {}, now);
  answer(lookup, 7, "x.example");
  EXPECT_TRUE(is_known("x.example"));
  EXPECT_EQ(counters.dns_ignored.value(), 0u);
}

TEST_F(Watch, IgnoresAnAnswerThatComesTooLate) {
  ask(7, "x.example");
  now += DnsWatch::answered_within + seconds(1);
  answer(lookup, 7, "x.example");
  EXPECT_EQ(answers.size(), 0u);
}

TEST_F(Watch, RemembersSoManyQuestionsOfAClient) {
  for (std::uint16_t id = 1; id <= 4; ++id) ask(id, "x.example");
  answer(lookup, 1, "x.example");
  EXPECT_EQ(answers.size(), 0u);
  answer(lookup, 2, "x.example");
  EXPECT_EQ(answers.size(), 1u);
}

}  // namespace
}  // namespace limpid
