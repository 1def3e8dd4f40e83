// SPDX-License-Identifier: MIT
#include "identify/crypto_stream.h"

#include <gtest/gtest.h>

#include <random>

#include "identify/example_hello.h"

namespace limpid {
namespace {

std::string text_of(const CryptoStream& stream) {
  const Bytes bytes = stream.contiguous();
  return {bytes.begin(), bytes.end()};
}

TEST(CryptoStream, EndsAtTheFirstGap) {
  CryptoStream stream;
  EXPECT_EQ(text_of(stream), "");
  stream.add(4, bytes_of("ef"));
  EXPECT_EQ(text_of(stream), "");
  stream.add(0, bytes_of("ab"));
  EXPECT_EQ(text_of(stream), "ab");
  stream.add(1, bytes_of("bcde"));
  EXPECT_EQ(text_of(stream), "abcdef");
  stream.add(0, bytes_of("abc"));
  EXPECT_EQ(text_of(stream), "abcdef");
  EXPECT_FALSE(stream.contradicts_itself());
}

TEST(CryptoStream, IsTheSameInAnyOrder) {
  std::mt19937 random(3);
  std::string whole;
  for (int byte = 0; byte < 3000; ++byte) whole += static_cast<char>('a' + random() % 26);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::pair<std::size_t, std::size_t>> pieces;
    for (std::size_t at = 0; at < whole.size();) {
      const std::size_t size = std::min<std::size_t>(1 + random() % 200, whole.size() - at);
      pieces.emplace_back(at, std::min(size + random() % 20, whole.size() - at));  // some overlap
      at += size;
    }
    std::ranges::shuffle(pieces, random);
    CryptoStream stream;
    for (const auto& [at, size] : pieces) stream.add(at, bytes_of(whole.substr(at, size)));
    EXPECT_EQ(text_of(stream), whole);
    EXPECT_FALSE(stream.contradicts_itself());
  }
}

TEST(CryptoStream, SaysWhenItContradictsItself) {
  CryptoStream stream;
  stream.add(0, bytes_of("abc"));
  stream.add(3, bytes_of("def"));
  EXPECT_FALSE(stream.contradicts_itself());
  stream.add(2, bytes_of("cX"));
  EXPECT_TRUE(stream.contradicts_itself());
}

TEST(CryptoStream, DropsWhatIsBeyondItsBounds) {
  CryptoStream stream;
  stream.add(most_bytes, bytes_of("a"));
  stream.add(most_bytes - 1, bytes_of("ab"));
  stream.add(~std::uint64_t{0}, bytes_of("ab"));
  stream.add(0, ByteVector(most_bytes + 1));
  EXPECT_EQ(text_of(stream), "");
  stream.add(0, ByteVector(most_bytes));
  EXPECT_EQ(stream.contiguous().size(), most_bytes);

  CryptoStream pieces;
  for (std::size_t at = 2; at < most_bytes; at += 2) pieces.add(at, bytes_of("a"));
  pieces.add(0, bytes_of("a"));  // there is no room for one more piece
  EXPECT_EQ(text_of(pieces), "");
  pieces.add(1, bytes_of("a"));
  EXPECT_EQ(text_of(pieces), "");
}

}  // namespace
}  // namespace limpid
