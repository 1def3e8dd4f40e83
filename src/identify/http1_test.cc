// SPDX-License-Identifier: MIT
#include "identify/http1.h"

#include <gtest/gtest.h>

#include "identify/example_hello.h"

namespace limpid {
namespace {

std::string host_of(std::string_view request) {
  const Finding finding = identify_stream(bytes_of(request));
  EXPECT_EQ(finding.progress, Progress::found) << request;
  EXPECT_EQ(finding.identity.application, Application::http) << request;
  return finding.identity.host;
}

TEST(Http1, IsFoundAtTheEmptyLine) {
  const Identity example{Application::http, "example.com", ""};
  for (const char* request :
       {"GET / HTTP/1.1\r\nHost: Example.com\r\n\r\n", "GET / HTTP/1.0\r\nhost:example.com:80\r\n\r\n",
        "M-SEARCH * HTTP/1.1\r\nA: b\r\nHOST: \texample.com \r\nC: d\r\n\r\n",
        "POST /x?y HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n",
        "PRI * HTTP/1.1\r\nHost: example.com\r\n\r\n", "SSH / HTTP/1.1\r\nHost: example.com\r\n\r\n"})
    expect_found_at_the_end_of(bytes_of(request), example);
  expect_found_at_the_end_of(
      bytes_of("GET / HTTP/1.1\r\nHost: example.com\r\nCookie: " + std::string(8000, 'a') + "\r\n\r\n"), example);
}

TEST(Http1, TakesTheHostOfTheTargetBeforeThatOfTheHeader) {
  EXPECT_EQ(host_of("GET http://a.example/x HTTP/1.1\r\nHost: b.example\r\n\r\n"), "a.example");
  EXPECT_EQ(host_of("GET HTTP://A.example:81 HTTP/1.1\r\nHost: b.example\r\n\r\n"), "a.example");
  EXPECT_EQ(host_of("GET http://a.example?x HTTP/1.1\r\n\r\n"), "a.example");
  EXPECT_EQ(host_of("CONNECT a.example:443 HTTP/1.1\r\nHost: b.example\r\n\r\n"), "a.example");
  EXPECT_EQ(host_of("GET http://192.0.2.1/ HTTP/1.1\r\nHost: b.example\r\n\r\n"), "");
  EXPECT_EQ(host_of("GET http:///x HTTP/1.1\r\nHost: b.example\r\n\r\n"), "");
  EXPECT_EQ(host_of("GET http://user@a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n"), "");
  EXPECT_EQ(host_of("GET /?u=http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n"), "b.example");
  EXPECT_EQ(host_of("GET x?u=http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n"), "b.example");
  EXPECT_EQ(host_of("OPTIONS * HTTP/1.1\r\nHost: b.example\r\n\r\n"), "b.example");
}

TEST(Http1, HasNoHostThatIsAnAddressOrNoName) {
  for (const char* host : {"192.0.2.1", "192.0.2.1:80", "[::1]:80", "[2001:db8::1]", "", "a b", "a/b", "a,b", "user@a"})
    EXPECT_EQ(host_of("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n"), "") << host;
  EXPECT_EQ(host_of("GET / HTTP/1.0\r\n\r\n"), "");
}

TEST(Http1, HasNoHostIfItNamesTwo) {
  EXPECT_EQ(host_of("GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n"), "");
  EXPECT_EQ(host_of("GET / HTTP/1.1\r\nHost: a.example\r\nX: y\r\nhost: A.example\r\n\r\n"), "a.example");
}

TEST(Http1, HasNoHostIfItsHeaderIsNotInOrder) {
  for (const char* rest :
       {"\r\nHost : a.example\r\n\r\n", "\r\nHost: a.example\r\nno colon\r\n\r\n", "\nHost: a.example\n\n",
        "\r\nHost: a.example\r\n\n", "\nHost: a.example\r\n\r\n", "\r\nHost: a.example\r\nX: \x01\r\n\r\n",
        "\r\nHost: a.example\r\n .b.example\r\n\r\n", "\r\n\nHost: a.example\r\n\r\n"})
    EXPECT_EQ(host_of("GET / HTTP/1.1" + std::string(rest)), "") << rest;
}

TEST(Http1, IsNotItAtTheFirstByteThatShowsIt) {
  // The last byte of each.
  for (const std::string_view text : {std::string_view("\0", 1),
                                      std::string_view("\r"),
                                      std::string_view(" "),
                                      std::string_view("G\0", 2),
                                      std::string_view("EHLO example.com\r"),
                                      std::string_view("USER me\n"),
                                      std::string_view("*\n"),
                                      std::string_view("GET /\r"),
                                      std::string_view("GET  "),
                                      std::string_view("GET / F"),
                                      std::string_view("GET / HTTP/2"),
                                      std::string_view("GET / HTTP/1.x"),
                                      std::string_view("GET / HTTP/1.10"),
                                      std::string_view("OPTIONS * R"),
                                      std::string_view("GET /\x7f"),
                                      std::string_view("{"),
                                      std::string_view("\x80"),
                                      std::string_view("PRI * HTTP/2.0\r\n\r\nX"),
                                      std::string_view("SSH\r"),
                                      std::string_view("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")}) {
    const ByteVector bytes = bytes_of(text);
    EXPECT_EQ(identify_stream(Bytes(bytes).first(bytes.size() - 1)).progress, Progress::need_more) << text;
    EXPECT_EQ(identify_stream(bytes), Finding::none()) << text;
  }
}

TEST(Http1, IsFoundWithoutAHostIfItsHeaderIsLongerThanWeWait) {
  const std::string start = "GET / HTTP/1.1\r\nHost: a.example\r\nX: ";
  const std::string longest = start + std::string(most_bytes - start.size() - 4, 'x') + "\r\n\r\n";
  EXPECT_EQ(host_of(longest), "a.example");
  EXPECT_EQ(host_of(start + "x" + longest.substr(start.size())), "");
  EXPECT_EQ(host_of(longest.substr(0, most_bytes - 4) + std::string(100'000, 'x')), "");
}

TEST(Http1, IsNotItIfItsTargetIsLongerThanWeWait) {
  EXPECT_EQ(identify_stream(bytes_of("GET /" + std::string(most_bytes, 'x'))), Finding::none());
}

}  // namespace
}  // namespace limpid
