// SPDX-License-Identifier: MIT
#include "protocol/request.h"

#include <gtest/gtest.h>

#include "protocol/base64.h"

namespace limpid {
namespace {

TEST(HostName, HasLettersDigitsAndLittleElse) {
  for (std::string_view name :
       {"a", "example.com", "example.com.", "xn--bcher-kva.example", "_dns.example", "10.0.0.1"})
    EXPECT_TRUE(is_host_name(name)) << name;
  EXPECT_TRUE(is_host_name(std::string(255, 'a')));
}

TEST(HostName, HasNothingThatMeansSomethingToAProxy) {
  for (std::string_view name :
       {"", ".", ".example", "a b", "a\r\nX: y", "a:1", "[::1]", "a/b", "a@b", "a%00", "b\xc3\xbc"})
    EXPECT_FALSE(is_host_name(name)) << name;
  EXPECT_FALSE(is_host_name(std::string_view("a\0b", 3)));
  EXPECT_FALSE(is_host_name(std::string(256, 'a')));
}

TEST(Base64, IsThatOfTheRfc) {  // RFC 4648, section 10
  const std::pair<std::string_view, std::string_view> rows[] = {{"", ""},
                                                                {"f", "Zg=="},
                                                                {"fo", "Zm8="},
                                                                {"foo", "Zm9v"},
                                                                {"foob", "Zm9vYg=="},
                                                                {"fooba", "Zm9vYmE="},
                                                                {"foobar", "Zm9vYmFy"},
                                                                {"\xff\xfe\xfd", "//79"}};
  for (const auto& [bytes, text] : rows) EXPECT_EQ(to_base64(bytes), text);
}

}  // namespace
}  // namespace limpid
