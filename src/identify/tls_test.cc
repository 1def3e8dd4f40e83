// SPDX-License-Identifier: MIT
#include "identify/tls.h"

#include <gtest/gtest.h>

#include "identify/example_hello.h"

namespace limpid {
namespace {

const Identity example{Application::tls, "example.com", "h2,http/1.1"};

ByteVector example_hello(std::size_t share) {
  return client_hello({key_share(share), server_name("example.com"), alpn({"h2", "http/1.1"})});
}

TEST(Tls, IsFoundAtTheLastByteOfTheClientHello) {
  expect_found_at_the_end_of(in_records(example_hello(32), 16384), example);
}

TEST(Tls, IsFoundWhereverRecordsSplitIt) {
  const ByteVector message = example_hello(32);
  for (std::size_t at = 1; at < message.size(); ++at) {
    ByteVector stream = record(Bytes(message).first(at));
    append(stream, record(Bytes(message).subspan(at)));
    expect_found_at_the_end_of(stream, example);
  }
}

TEST(Tls, IsFoundInRecordsOfAnySize) {
  for (std::size_t size = 1; size < 20; ++size)
    expect_found_at_the_end_of(in_records(example_hello(32), size), example);
}

TEST(Tls, IsFoundWithKeysOfSeveralKilobytes) {
  expect_found_at_the_end_of(in_records(example_hello(1216 + 32), 16384), example);
  expect_found_at_the_end_of(in_records(example_hello(6000), 16384), example);
  expect_found_at_the_end_of(in_records(example_hello(6000), 512), example);
}

TEST(Tls, IsFoundWithAnotherMessageInTheSameRecord) {
  ByteVector message = example_hello(32);
  const std::size_t size = message.size();
  message.resize(size + 50, 0xee);
  const ByteVector stream = record(message);
  EXPECT_EQ(identify_stream(Bytes(stream).first(5 + size)), Finding::of(example));
  EXPECT_EQ(identify_stream(Bytes(stream).first(5 + size - 1)).progress, Progress::need_more);
}

TEST(Tls, IsNotItAtTheFirstByteThatShowsIt) {
  const ByteVector good = in_records(example_hello(32), 100);
  for (const auto& [at, value] : {std::pair{1, 2},  // SSLv2's version
                                  {2, 5},
                                  {3, 0x41},  // longer than a record can be
                                  {5, 2},     // no ClientHello
                                  {105, 23},  // another record in the midst
                                  {106, 2}}) {
    const auto damaged = static_cast<std::size_t>(at);
    ByteVector bad = good;
    bad[damaged] = static_cast<std::uint8_t>(value);
    const std::size_t shown = at == 3 ? 5 : damaged + 1;  // a length is its two bytes
    EXPECT_EQ(identify_stream(Bytes(bad).first(shown - 1)).progress, Progress::need_more) << at;
    EXPECT_EQ(identify_stream(Bytes(bad).first(shown)).progress, Progress::not_it) << at;
    EXPECT_EQ(identify_stream(bad).progress, Progress::not_it) << at;
  }
  EXPECT_EQ(identify_stream(ByteVector{22, 3, 1, 0, 0}).progress, Progress::not_it);  // an empty fragment
}

TEST(Tls, IsNotTheHelloOfSslVersion2) {
  EXPECT_EQ(identify_stream(ByteVector{0x80, 0x2e, 1, 0, 2}).progress, Progress::not_it);
}

TEST(Tls, IsFoundWithoutAHostWhenItCannotBeCompleteInTime) {
  // Each byte in a record of its own takes six.
  const ByteVector stream = in_records(example_hello(4000), 1);
  ASSERT_GT(stream.size(), most_bytes);
  EXPECT_EQ(identify_stream(Bytes(stream).first(most_bytes - 6)).progress, Progress::need_more);
  EXPECT_EQ(identify_stream(Bytes(stream).first(most_bytes)), Finding::without_host(Application::tls));
  EXPECT_EQ(identify_stream(stream), Finding::without_host(Application::tls));
  // One whose length says so is not waited for.
  EXPECT_EQ(identify_stream(ByteVector{22, 3, 1, 2, 0, 1, 0, 0x80, 0}), Finding::without_host(Application::tls));
}

}  // namespace
}  // namespace limpid
