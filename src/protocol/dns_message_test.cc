// SPDX-License-Identifier: MIT
#include "protocol/dns_message.h"

#include <gmock/gmock.h>

#include "protocol/example_dns.h"

namespace limpid {
namespace {

namespace dns = example_dns;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

const DnsQuestion asked_a{.id = 7, .type = dns::a, .name = "Www.x.example"};

std::optional<DnsQuestion> question_in(std::string_view message, DnsMessage kind = DnsMessage::query) {
  return read_dns_question(dns::bytes(message), kind);
}

std::vector<DnsAddress> addresses_in(const std::vector<dns::Record>& answers, const DnsQuestion& asked = asked_a,
                                     std::uint16_t flags = dns::response) {
  const std::string message = dns::message(asked.id, flags, asked.name, asked.type, answers);
  return read_dns_addresses(dns::bytes(message), asked);
}

DnsAddress known(std::string_view address, int ttl = 60) { return {*Address::parse(address), seconds(ttl)}; }

TEST(DnsMessage, HasAQuestionAsItWasWritten) {
  EXPECT_EQ(question_in(dns::message(7, dns::query, "Www.x.example", dns::a)), asked_a);
  EXPECT_EQ(question_in(dns::message(7, dns::response, "Www.x.example", dns::a), DnsMessage::response), asked_a);
  const std::string longest =
      std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + "." + std::string(61, 'd');
  EXPECT_EQ(question_in(dns::message(1, 0, longest, dns::aaaa)), (DnsQuestion{1, dns::aaaa, longest}));
}

TEST(DnsMessage, OfAnotherKindHasNone) {
  EXPECT_FALSE(question_in(dns::message(7, dns::response, "x.example", dns::a)));
  EXPECT_FALSE(question_in(dns::message(7, dns::query, "x.example", dns::a), DnsMessage::response));
  EXPECT_FALSE(question_in(dns::message(7, 0x2800, "x.example", dns::a))) << "an update";
  EXPECT_FALSE(question_in(dns::message(7, dns::query, "x.example", dns::txt)));
  for (const std::string_view odd : {"", "a b.example", "a\".example", "\xc3\xbc.example"})
    EXPECT_FALSE(question_in(dns::message(7, dns::query, odd, dns::a))) << odd;
}

TEST(DnsMessage, ThatIsBrokenHasNone) {
  const std::string whole = dns::message(7, dns::query, "x.example", dns::a);
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(question_in(whole.substr(0, size))) << size;
  EXPECT_FALSE(question_in(whole + "and more"));
  const std::string header = dns::number(7, 2) + dns::number(dns::query, 2);
  EXPECT_FALSE(question_in(header + dns::number(0, 8)));
  EXPECT_FALSE(question_in(header + dns::number(0xffff, 2) + dns::number(0, 6) + whole.substr(12)));
  const std::string one = header + dns::number(1, 2) + dns::number(0, 6);
  EXPECT_FALSE(question_in(one + dns::pointer() + dns::number(dns::a, 2) + dns::number(1, 2))) << "a loop";
  EXPECT_FALSE(question_in(one + dns::pointer(0xffff) + dns::number(dns::a, 2) + dns::number(1, 2)));
  EXPECT_FALSE(question_in(one + dns::name("x") + dns::number(dns::a, 2) + dns::number(3, 2))) << "another class";
}

TEST(DnsMessage, HasTheAddressesOfTheNameThatWasAskedFor) {
  EXPECT_THAT(addresses_in({dns::address(dns::pointer(), "203.0.113.9"), dns::address(dns::pointer(), "203.0.113.8", 5),
                            dns::address(dns::name("other.example"), "203.0.113.7"),
                            dns::address(dns::pointer(), "2001:db8::9")}),
              ElementsAre(known("203.0.113.9"), known("203.0.113.8", 5)));
  const DnsQuestion aaaa{.id = 9, .type = dns::aaaa, .name = "x.example"};
  EXPECT_THAT(
      addresses_in({dns::address(dns::pointer(), "2001:db8::9"), dns::address(dns::pointer(), "203.0.113.9")}, aaaa),
      ElementsAre(known("2001:db8::9")));
}

TEST(DnsMessage, IsFollowedAlongItsAliasesInWhateverOrder) {
  EXPECT_THAT(addresses_in({dns::address(dns::name("c.example"), "203.0.113.9", 100),
                            dns::alias(dns::name("B.example"), "C.example", 20),
                            dns::alias(dns::name("www.X.example"), "b.EXAMPLE", 300)}),
              ElementsAre(known("203.0.113.9", 20)));
}

TEST(DnsMessage, WhoseAliasesLeadNowhereHasNoAddress) {
  EXPECT_THAT(addresses_in({dns::alias(dns::pointer(), "b.example"), dns::alias(dns::name("b.example"), asked_a.name),
                            dns::address(dns::pointer(), "203.0.113.9")}),
              IsEmpty());
  EXPECT_THAT(
      addresses_in({dns::alias(dns::pointer(), "b.example"), dns::address(dns::name("c.example"), "203.0.113.9")}),
      IsEmpty());
}

TEST(DnsMessage, ThatTellsOfAnErrorHasNoAddress) {
  EXPECT_THAT(addresses_in({dns::address(dns::pointer(), "203.0.113.9")}, asked_a, dns::response | 3), IsEmpty());
}

TEST(DnsMessage, WithARecordThatIsBrokenHasNoAddress) {
  const dns::Record good = dns::address(dns::pointer(), "203.0.113.9");
  EXPECT_THAT(addresses_in({good, {dns::pointer(0xc000 | 60), dns::a, 60, "1234"}}), IsEmpty());
  EXPECT_THAT(addresses_in({{dns::pointer(), dns::cname, 60,
                             "\x05"
                             "ab"},
                            good}),
              IsEmpty());
  EXPECT_THAT(addresses_in({{dns::pointer(), dns::a, 60, "12345"}}), IsEmpty());
}

TEST(DnsMessage, OfManyRecordsIsReadUpToALimit) {
  std::vector<dns::Record> many(100, dns::address(dns::pointer(), "203.0.113.9"));
  EXPECT_EQ(addresses_in(many).size(), most_dns_records);
  many.resize(300, many.front());
  EXPECT_THAT(addresses_in(many), IsEmpty()) << "more than 4096 bytes";
}

TEST(DnsMessage, WithANegativeTtlIsOverAtOnce) {
  EXPECT_THAT(addresses_in({dns::address(dns::pointer(), "203.0.113.9", 0x80000000)}),
              ElementsAre(known("203.0.113.9", 0)));
}

}  // namespace
}  // namespace limpid
