// SPDX-License-Identifier: MIT
// What real clients send first (fixtures/README), byte by byte and datagram by datagram.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "identify/example_hello.h"

namespace limpid {
namespace {

ByteVector fixture(const std::string& name) {
  std::ifstream file(LIMPID_FIXTURES "/" + name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Client {
  const char* file;
  Identity identity;
};

TEST(Fixtures, StreamsAreFoundAtTheEndOfTheirFirstMessage) {
  const Client clients[] = {
      {"curl_tls13", {Application::tls, "www.example.com", "h2,http/1.1"}},
      {"curl_tls12", {Application::tls, "www.example.com", "http/1.1"}},
      {"curl_address", {Application::tls, "", "h2,http/1.1"}},
      {"openssl", {Application::tls, "www.example.com", ""}},
      {"openssl_no_name", {Application::tls, "", ""}},
      {"openssl_large_share", {Application::tls, "www.example.com", "h2,http/1.1"}},
      {"openssl_two_records", {Application::tls, "www.example.com", "h2"}},
      {"gnutls", {Application::tls, "www.example.com", "h2"}},
      {"chromium", {Application::tls, "www.example.com", "h2,http/1.1"}},
      {"curl_http1", {Application::http, "www.example.com", ""}},
      {"curl_http1_proxied", {Application::http, "www.example.com", ""}},
      {"curl_http1_connect", {Application::http, "www.example.com", ""}},
  };
  for (const auto& [file, identity] : clients) {
    SCOPED_TRACE(file);
    expect_found_at_the_end_of(fixture(file), identity);
  }
}

TEST(Fixtures, StreamsAreFoundBeforeTheirEnd) {
  const Client clients[] = {
      {"curl_http2", {Application::http, "www.example.com", ""}},  // it allows the server to send more
      {"openssh", {Application::ssh, "", ""}},
  };
  for (const auto& [file, identity] : clients) EXPECT_EQ(identify_stream(fixture(file)), Finding::of(identity)) << file;
}

TEST(Fixtures, DatagramsAreFoundAtTheLastThatIsNeeded) {
  const Client clients[] = {
      {"ngtcp2", {Application::quic, "localhost", "h3"}},
      {"chromium_quic", {Application::quic, "www.example.com", "h3"}},
  };
  for (const auto& [file, identity] : clients) {
    SCOPED_TRACE(file);
    DatagramIdentifier identifier;
    Finding finding = Finding::more(0);
    for (int number = 0; finding.progress == Progress::need_more; ++number) {
      const std::string name = std::string(file) + "." + std::to_string(number);
      ASSERT_TRUE(std::filesystem::exists(LIMPID_FIXTURES "/" + name)) << name;
      finding = identifier.add(fixture(name));
    }
    EXPECT_EQ(finding, Finding::of(identity));
  }
}

}  // namespace
}  // namespace limpid
