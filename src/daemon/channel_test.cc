// SPDX-License-Identifier: MIT
#include "daemon/channel.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

namespace limpid {
namespace {

TEST(Channel, CarriesValuesAndDescriptors) {
  const auto [here, there] = *Channel::create_pair();
  std::vector<Fd> events;
  std::vector<int> numbers;
  for (std::size_t i = 0; i < Channel::most_fds; ++i) {
    events.emplace_back(eventfd(static_cast<unsigned>(i), EFD_CLOEXEC));
    numbers.push_back(events.back().raw());
  }
  ASSERT_TRUE(here.send_value(MessageKind::settings, std::uint64_t{4711}, numbers));
  const Result<Message> message = there.wait(5000);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->kind, MessageKind::settings);
  EXPECT_EQ(*message->as<std::uint64_t>(), 4711U);
  ASSERT_EQ(message->fds.size(), Channel::most_fds);
  std::uint64_t value = 0;
  ASSERT_EQ(read(message->fds[7].raw(), &value, sizeof value), 8);
  EXPECT_EQ(value, 7U);
}

TEST(Channel, RefusesABodyOfAnotherSize) {
  const auto [here, there] = *Channel::create_pair();
  ASSERT_TRUE(here.send_value(MessageKind::heartbeat, std::uint32_t{1}));
  const Result<Message> message = there.wait(5000);
  ASSERT_TRUE(message);
  const Result<std::uint64_t> value = message->as<std::uint64_t>();
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().what, fmt::format("a message of kind {} has 4 bytes instead of 8",
                                            static_cast<unsigned>(MessageKind::heartbeat)));
}

TEST(Channel, RefusesWhatIsNoMessage) {
  const auto [here, there] = *Channel::create_pair();
  ASSERT_EQ(send(here.fd(), "xy", 2, 0), 2);
  EXPECT_FALSE(there.receive());
  const std::string too_long(Channel::most_bytes + 100, 'x');
  ASSERT_EQ(send(here.fd(), too_long.data(), too_long.size(), 0), static_cast<ssize_t>(too_long.size()));
  EXPECT_FALSE(there.receive());
}

TEST(Channel, TellsTheEndOfTheOtherSide) {
  auto pair = *Channel::create_pair();
  EXPECT_FALSE(pair.first.receive()->has_value());
  pair.second.release().close();
  EXPECT_FALSE(pair.first.receive());
  EXPECT_FALSE(pair.first.send(MessageKind::report));
}

TEST(Channel, NeverBlocksAWriterNobodyReads) {
  const auto [here, there] = *Channel::create_pair();
  const std::string body(Channel::most_bytes, 'x');
  Result<> sent;
  for (int i = 0; i < 100'000 && sent; ++i) sent = here.send(MessageKind::heartbeat, body);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, EAGAIN);
}

}  // namespace
}  // namespace limpid
