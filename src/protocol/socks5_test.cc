// SPDX-License-Identifier: MIT
#include "protocol/socks5.h"

#include <gtest/gtest.h>

#include "protocol/in_pieces.h"

namespace limpid {
namespace {

using Kind = Refusal::Kind;
using Message = std::vector<std::uint8_t>;

const Credentials user = {"user", "pass"};
const ProxyDestination named = {{*Address::parse("203.0.113.9"), 443}, "example.com"};

Message joined(std::initializer_list<Message> parts) {
  Message all;
  for (const Message& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

Message text(std::string_view bytes) { return {bytes.begin(), bytes.end()}; }

const Message no_authentication = {5, 0}, by_password = {5, 2}, welcome = {1, 0};
const Message connected = {5, 0, 0, 1, 10, 0, 0, 1, 0x1f, 0x90};

Outcome outcome_of_connect(const Message& stream, const std::optional<Credentials>& credentials = {},
                           const ProxyDestination& destination = web) {
  return outcome_of([&] { return *Socks5::connect(destination, credentials); }, stream);
}

TEST(Socks5, ConnectsToAnAddressWithoutAuthentication) {
  const Message stream = joined({no_authentication, connected, text("SSH-2.0-x\r\n")});
  const Outcome outcome = outcome_of_connect(stream);
  EXPECT_EQ(outcome.next, Step::Next::done);
  EXPECT_EQ(outcome.consumed, 12U);
  const std::vector<Message> sent = {{5, 1, 0}, {5, 1, 0, 1, 203, 0, 113, 9, 1, 0xbb}};
  EXPECT_EQ(outcome.sent, sent);
}

TEST(Socks5, ConnectsToAnIpv6Address) {
  const Outcome outcome =
      outcome_of_connect(joined({no_authentication, connected}), {}, {{*Address::parse("2001:db8::9"), 80}, {}});
  ASSERT_EQ(outcome.next, Step::Next::done);
  const Message request = {5, 1, 0, 4, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 80};
  EXPECT_EQ(outcome.sent.back(), request);
}

TEST(Socks5, ConnectsToAHostByItsName) {
  const Outcome outcome = outcome_of_connect(joined({no_authentication, connected}), {}, named);
  ASSERT_EQ(outcome.next, Step::Next::done);
  EXPECT_EQ(outcome.sent.back(), joined({{5, 1, 0, 3, 11}, text("example.com"), {1, 0xbb}}));
}

TEST(Socks5, SaysNameAndPasswordWhereTheProxyWantsThem) {
  const Outcome outcome = outcome_of_connect(joined({by_password, welcome, connected, text("x")}), user);
  EXPECT_EQ(outcome.next, Step::Next::done);
  EXPECT_EQ(outcome.consumed, 14U);
  ASSERT_EQ(outcome.sent.size(), 3U);
  EXPECT_EQ(outcome.sent[0], (Message{5, 2, 0, 2}));
  EXPECT_EQ(outcome.sent[1], joined({{1, 4}, text("user"), {4}, text("pass")}));
}

TEST(Socks5, SaysNoPasswordWhereTheProxyWantsNone) {
  const Outcome outcome = outcome_of_connect(joined({no_authentication, connected}), user);
  EXPECT_EQ(outcome.next, Step::Next::done);
  EXPECT_EQ(outcome.sent.size(), 2U);
}

TEST(Socks5, TellsWhereItIsBound) {
  const std::pair<Message, std::string_view> rows[] = {
      {connected, "10.0.0.1:8080"},
      {{5, 0, 0, 4, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 80}, "[2001:db8::9]:80"},
      {{5, 0, 0, 3, 1, 'a', 0, 80}, "0.0.0.0:0"},
      {{5, 0, 0, 3, 0, 0, 80}, "0.0.0.0:0"},
  };
  for (const auto& [reply, bound] : rows) {
    const Message stream = joined({no_authentication, reply});
    EXPECT_EQ(outcome_of_connect(stream).next, Step::Next::done) << bound;
    Socks5 socks5 = *Socks5::connect(web, {});
    EXPECT_EQ(run_in_pieces(socks5, stream, 1).consumed, stream.size());
    EXPECT_EQ(socks5.bound().text(), bound);
  }
}

TEST(Socks5, TakesALongNameInTheReply) {
  const Message reply = joined({{5, 0, 0, 3, 255}, Message(255, 'a'), {0, 80}});
  const Outcome outcome = outcome_of_connect(joined({no_authentication, reply, Message(1000, 'x')}));
  EXPECT_EQ(outcome.next, Step::Next::done);
  EXPECT_EQ(outcome.consumed, 2U + 262U);
}

TEST(Socks5, GivesEveryReplyAKind) {
  const Kind kinds[] = {Kind::failed,          Kind::not_allowed, Kind::unreachable, Kind::unreachable,
                        Kind::connect_refused, Kind::unreachable, Kind::unsupported, Kind::unsupported};
  for (unsigned code = 1; code < 256; ++code) {
    // Two bytes say it, whatever follows.
    const Outcome outcome = outcome_of_connect(joined({no_authentication, {5, static_cast<std::uint8_t>(code)}}));
    EXPECT_EQ(outcome.next, Step::Next::refused) << code;
    EXPECT_EQ(outcome.refusal.kind, code <= std::size(kinds) ? kinds[code - 1] : Kind::failed) << code;
  }
  EXPECT_EQ(outcome_of_connect(joined({no_authentication, {5, 5}})).refusal.reason, "SOCKS5: connection refused");
  EXPECT_EQ(outcome_of_connect(joined({no_authentication, {5, 77}})).refusal.reason, "SOCKS5: unknown reply 77");
}

TEST(Socks5, IsRefusedForWantOfTheRightCredentials) {
  for (const auto& [stream, credentials] :
       {std::pair<Message, std::optional<Credentials>>{{5, 0xff}, {}}, {{5, 0xff}, user}, {{5, 2, 1, 1}, user}}) {
    const Outcome outcome = outcome_of_connect(stream, credentials);
    EXPECT_EQ(outcome.next, Step::Next::refused);
    EXPECT_EQ(outcome.refusal.kind, Kind::authentication);
  }
}

TEST(Socks5, IsRefusedAtTheFirstByteThatIsNotSocks5) {
  const std::pair<Message, std::optional<Credentials>> rows[] = {
      {{4}, {}},                                        // SOCKS4
      {text("H"), {}},                                  // HTTP
      {{5, 2}, {}},                                     // not offered
      {{5, 1}, user},                                   // GSSAPI, not offered
      {{5, 2, 5}, user},                                // of RFC 1929 there is version 1 only
      {joined({no_authentication, {4}}), {}},           // no reply
      {joined({no_authentication, {5, 0, 0, 2}}), {}},  // no address type
      {joined({no_authentication, {5, 0, 0, 0}}), {}},
  };
  for (const auto& [stream, credentials] : rows) {
    const Outcome outcome = outcome_of_connect(stream, credentials);
    EXPECT_EQ(outcome.next, Step::Next::refused) << ::testing::PrintToString(stream);
    EXPECT_EQ(outcome.refusal.kind, Kind::protocol_error) << ::testing::PrintToString(stream);
    const Message before(stream.begin(), stream.end() - 1);
    EXPECT_EQ(outcome_of_connect(before, credentials).next, Step::Next::receive) << ::testing::PrintToString(stream);
  }
}

TEST(Socks5, IsNotMadeOfWhatItCannotCarry) {
  EXPECT_TRUE(Socks5::connect(web, Credentials{std::string(255, 'n'), std::string(255, 'p')}));
  for (const Credentials& credentials :
       {Credentials{"", "p"}, Credentials{"n", ""}, Credentials{std::string(256, 'n'), "p"},
        Credentials{"n", std::string(256, 'p')}}) {
    EXPECT_FALSE(Socks5::check(credentials));
    EXPECT_FALSE(Socks5::connect(web, credentials));
    EXPECT_FALSE(Socks5::udp_associate({}, credentials));
  }
  EXPECT_FALSE(Socks5::connect({web.endpoint, "a b"}, {}));
  EXPECT_FALSE(Socks5::connect({web.endpoint, std::string(256, 'a')}, {}));
}

TEST(UdpAssociate, TellsWhereDatagramsGo) {
  Socks5 socks5 = *Socks5::udp_associate({}, {});
  const Outcome outcome = run_in_pieces(socks5, joined({no_authentication, connected}), 1);
  EXPECT_EQ(outcome.next, Step::Next::done);
  EXPECT_EQ(outcome.sent.back(), (Message{5, 3, 0, 1, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(socks5.bound().text(), "10.0.0.1:8080");
}

TEST(UdpAssociate, IsRefusedWhereTheRelayIsNamed) {
  const Message stream = joined({no_authentication, {5, 0, 0, 3, 1, 'a', 0, 80}});
  const Outcome outcome = outcome_of([] { return *Socks5::udp_associate({}, {}); }, stream);
  EXPECT_EQ(outcome.next, Step::Next::refused);
  EXPECT_EQ(outcome.refusal.kind, Kind::unsupported);
}

TEST(UdpAssociate, HasItsRelayWhereTheReplySaysOrAtTheProxy) {
  const auto relay = [](std::string_view bound, std::uint16_t port, std::string_view proxy = "192.0.2.7:1080") {
    const std::optional<Endpoint> at = socks5_relay({*Address::parse(bound), port}, *Endpoint::parse(proxy));
    return at ? at->text() : "none";
  };
  EXPECT_EQ(relay("192.0.2.9", 5000), "192.0.2.9:5000");
  EXPECT_EQ(relay("2001:db8::9", 5000), "[2001:db8::9]:5000");
  EXPECT_EQ(relay("0.0.0.0", 5000), "192.0.2.7:5000");
  EXPECT_EQ(relay("::", 5000), "192.0.2.7:5000");
  EXPECT_EQ(relay("0.0.0.0", 5000, "[2001:db8::7]:1080"), "[2001:db8::7]:5000");
  EXPECT_EQ(relay("127.0.0.1", 5000, "127.0.0.1:1080"), "127.0.0.1:5000");
  EXPECT_EQ(relay("192.0.2.9", 0), "none");
  for (const std::string_view bound : {"127.0.0.1", "127.9.9.9", "::1", "224.0.0.1", "255.255.255.255", "ff02::1",
                                       "::ffff:127.0.0.1", "::ffff:192.0.2.9"})
    EXPECT_EQ(relay(bound, 5000), "none") << bound;
}

TEST(LogIn, IsDoneBeforeARequest) {
  const auto outcome_of_log_in = [](const Message& stream, const std::optional<Credentials>& credentials) {
    return outcome_of([&] { return *Socks5::log_in(credentials); }, stream);
  };
  const Outcome open = outcome_of_log_in(no_authentication, {});
  EXPECT_EQ(open.next, Step::Next::done);
  EXPECT_EQ(open.sent, (std::vector<Message>{{5, 1, 0}}));
  const Outcome closed = outcome_of_log_in(joined({by_password, welcome, text("x")}), user);
  EXPECT_EQ(closed.next, Step::Next::done);
  EXPECT_EQ(closed.consumed, 4U);
  EXPECT_EQ(closed.sent.size(), 2U);
  EXPECT_EQ(outcome_of_log_in({5, 2, 1, 1}, user).refusal.kind, Kind::authentication);
  EXPECT_EQ(outcome_of_log_in(text("HTTP"), {}).refusal.kind, Kind::protocol_error);
  EXPECT_FALSE(Socks5::log_in(Credentials{"", "p"}));
}

TEST(Socks5Datagram, HasThisHeader) {
  EXPECT_EQ(*socks5_udp_header(web), (Message{0, 0, 0, 1, 203, 0, 113, 9, 1, 0xbb}));
  EXPECT_EQ(*socks5_udp_header(named), joined({{0, 0, 0, 3, 11}, text("example.com"), {1, 0xbb}}));
  EXPECT_FALSE(socks5_udp_header({web.endpoint, "a b"}));
}

TEST(Socks5Datagram, IsReadAsItWasWritten) {
  const ProxyDestination six = {{*Address::parse("2001:db8::9"), 53}, {}};
  for (const ProxyDestination& from : {web, named, six, ProxyDestination{{}, std::string(255, 'a')}}) {
    for (std::string_view payload : {"", "x", "hello"}) {
      const Message datagram = joined({*socks5_udp_header(from), text(payload)});
      const auto read = parse_socks5_datagram(datagram);
      ASSERT_TRUE(read);
      EXPECT_EQ(read->host, from.host);
      EXPECT_EQ(read->source, from.host.empty() ? from.endpoint : (Endpoint{{}, from.endpoint.port}));
      EXPECT_EQ(Message(read->payload.begin(), read->payload.end()), text(payload));
      for (std::size_t size = 0; size < datagram.size() - payload.size(); ++size)
        EXPECT_FALSE(parse_socks5_datagram(Bytes(datagram).first(size))) << size;
    }
  }
}

TEST(Socks5Datagram, IsDroppedWhereItIsNoneOrAFragment) {
  const Message good = joined({*socks5_udp_header(web), text("x")});
  for (const auto& [at, byte] :
       {std::pair<std::size_t, std::uint8_t>{0, 1}, {1, 1}, {2, 1}, {2, 0x81}, {3, 0}, {3, 2}, {3, 5}, {3, 0xff}}) {
    Message bad = good;
    bad[at] = byte;
    EXPECT_FALSE(parse_socks5_datagram(bad)) << at;
  }
  EXPECT_FALSE(parse_socks5_datagram(Message{0, 0, 0, 3, 0, 0, 53, 'x'}));
}

}  // namespace
}  // namespace limpid
