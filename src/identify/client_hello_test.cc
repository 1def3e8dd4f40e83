// SPDX-License-Identifier: MIT
#include "identify/client_hello.h"

#include <gtest/gtest.h>

#include "identify/example_hello.h"

namespace limpid {
namespace {

Finding look(const ByteVector& message) { return identify_client_hello(message, Application::tls); }
Identity of(const std::vector<ByteVector>& extensions) {
  const Finding finding = look(client_hello(extensions));
  EXPECT_EQ(finding.progress, Progress::found);
  EXPECT_EQ(finding.identity.application, Application::tls);
  return finding.identity;
}

TEST(ClientHello, NamesHostAndProtocols) {
  const Identity identity = of({key_share(36), server_name("Example.COM"), alpn({"h2", "http/1.1"})});
  EXPECT_EQ(identity.host, "example.com");
  EXPECT_EQ(identity.alpn, "h2,http/1.1");
}

TEST(ClientHello, MayNameNothing) {
  EXPECT_EQ(of({}), (Identity{Application::tls, "", ""}));
  ByteVector message = client_hello({});
  message.erase(message.end() - 2, message.end());  // no extensions at all
  message[3] = static_cast<std::uint8_t>(message[3] - 2);
  EXPECT_EQ(look(message), Finding::without_host(Application::tls));
}

TEST(ClientHello, HasNoHostThatIsAnAddressOrNoName) {
  EXPECT_EQ(of({server_name("192.0.2.1")}).host, "");
  EXPECT_EQ(of({server_name("")}).host, "");
  EXPECT_EQ(of({server_name("a b")}).host, "");
  EXPECT_EQ(of({extension(0, {})}).host, "");
  EXPECT_EQ(of({extension(0, ByteVector{0, 9, 0, 0, 1, 'a'})}).host, "");     // its list is longer than it
  EXPECT_EQ(of({extension(0, ByteVector{0, 4, 0, 0, 9, 'a'})}).host, "");     // so is its name
  EXPECT_EQ(of({extension(0, ByteVector{0, 4, 0, 0, 1, 'a', 0})}).host, "");  // bytes behind the list
  EXPECT_EQ(of({extension(0, ByteVector{0, 4, 7, 0, 1, 'a'})}).host, "");     // no host_name
}

TEST(ClientHello, HasNoHostIfItNamesTwo) {
  EXPECT_EQ(of({server_name("a.example"), server_name("b.example")}).host, "");
  EXPECT_EQ(of({server_name("a.example"), extension(0, {})}).host, "");
  EXPECT_EQ(of({extension(0, ByteVector{0, 8, 0, 0, 1, 'a', 0, 0, 1, 'b'})}).host, "");
}

TEST(ClientHello, ShowsProtocolsThatAreTextAndNotGrease) {
  EXPECT_EQ(of({alpn({"ZZ", "h2", "\n\n", "a,b", "", "http/1.1"})}).alpn, "h2,http/1.1");
  EXPECT_EQ(of({alpn({std::string(200, 'a'), "h2"})}).alpn, "");
  EXPECT_EQ(of({alpn({std::string(31, 'a'), std::string(30, 'b'), "h2"})}).alpn,
            std::string(31, 'a') + "," + std::string(30, 'b'));
  EXPECT_EQ(of({extension(16, ByteVector{0, 9, 2, 'h', '2'})}).alpn, "");
  EXPECT_EQ(of({extension(16, ByteVector{0, 5, 2, 'h', '2', 9, 'x'})}).alpn, "h2");
}

TEST(ClientHello, IsNotItWhenItIsNotInOrder) {
  const ByteVector good = client_hello({server_name("a.example")});
  const std::pair<std::size_t, int> damages[] = {
      {0, 2},     // ServerHello
      {1, 3},     // longer than any
      {4, 2},     // SSLv2
      {38, 33},   // session ID
      {38, 255},  // the same, beyond the end
      {72, 3},    // cipher suites
      {72, 0},    //
      {77, 0},    // compression methods
      {80, 255},  // extensions
      {80, 1},    //
      {84, 255},  // server_name
  };
  for (const auto& [at, value] : damages) {
    ByteVector bad = good;
    bad[at] = static_cast<std::uint8_t>(value);
    EXPECT_EQ(look(bad).progress, Progress::not_it) << at << " " << value;
  }
}

TEST(ClientHello, IsFoundWithoutAHostIfItIsLongerThanWeWait) {
  const ByteVector longest = client_hello({server_name("a.example"), key_share(most_bytes - 4 - 77 - 18 - 4)});
  ASSERT_EQ(longest.size(), most_bytes);
  EXPECT_EQ(look(longest).identity.host, "a.example");
  const ByteVector longer = client_hello({server_name("a.example"), key_share(most_bytes - 4 - 77 - 18 - 3)});
  EXPECT_EQ(look(longer), Finding::without_host(Application::tls));
  EXPECT_EQ(identify_client_hello(Bytes(longer).first(4), Application::tls), look(longer));
}

}  // namespace
}  // namespace limpid
