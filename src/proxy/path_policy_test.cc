// SPDX-License-Identifier: MIT
#include "proxy/path_policy.h"

#include <gtest/gtest.h>

#include <map>

namespace limpid {
namespace {

using std::chrono::seconds;

constexpr Member::Clock::time_point now{seconds(1000)};
const Address client = *Address::parse("10.1.0.2");

PolicySource office(std::vector<std::string_view> addresses) {
  PolicySource source;
  Upstream& upstream = source.upstreams.emplace_back();
  upstream.name = "office";
  for (const std::string_view address : addresses) upstream.address.push_back(*Endpoint::parse(address));
  return source;
}

std::string chosen(const PathPolicy& policy, const Address& by = client,
                   std::span<const std::shared_ptr<Member>> tried = {}) {
  const std::shared_ptr<Member> member = policy.choose(0, by, tried, now);
  return member ? member->address.text() : "none";
}

TEST(Upstream, GivesASessionToTheAddressThatHasFewest) {
  const PathPolicy policy(office({"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"}), {}, nullptr);
  const MemberUse first(policy.members(0)[0]), second(policy.members(0)[1]);
  EXPECT_EQ(chosen(policy), "192.0.2.3:1");
  {
    const MemberUse third(policy.members(0)[2]), again(policy.members(0)[2]);
    EXPECT_EQ(chosen(policy), "192.0.2.1:1");
  }
  EXPECT_EQ(chosen(policy), "192.0.2.3:1");
}

TEST(Upstream, ThatIsNotCheckedIsTriedInItsOrder) {
  PolicySource source = office({"192.0.2.1:1", "192.0.2.2:1"});
  source.upstreams[0].check_interval = std::chrono::milliseconds::zero();
  const PathPolicy policy(source, {}, nullptr);
  const MemberUse busy(policy.members(0)[0]);
  EXPECT_EQ(chosen(policy), "192.0.2.1:1");
  EXPECT_EQ(chosen(policy, client, policy.members(0).first(1)), "192.0.2.2:1");
}

TEST(Upstream, PassesOverWhatIsDownOrTriedOrFull) {
  PolicySource source = office({"192.0.2.1:1", "192.0.2.2:1"});
  source.upstreams[0].sessions = 2;
  const PathPolicy policy(source, {}, nullptr);
  const auto members = policy.members(0);
  members[0]->eject(now + seconds(1));
  EXPECT_EQ(chosen(policy), "192.0.2.2:1");
  EXPECT_EQ(chosen(policy, client, members.subspan(1)), "none");
  EXPECT_FALSE(policy.is_there(0, now));
  {
    const MemberUse one(members[1]), two(members[1]);
    EXPECT_EQ(chosen(policy), "none");
    EXPECT_TRUE(policy.is_there(0, now));
    members[0]->restore();
    EXPECT_EQ(chosen(policy), "192.0.2.1:1");
  }
  EXPECT_FALSE(policy.is_there(0, now));
}

TEST(Upstream, KeepsAClientAtOneAddressAndMovesNoOtherWhenOneIsGone) {
  PolicySource source = office({"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"});
  source.upstreams[0].hash = Hash::client;
  const PathPolicy policy(source, {}, nullptr);
  std::map<Address, std::string> before;
  std::map<std::string, int> clients;
  for (std::uint8_t last = 0; last < 255; ++last) {
    const std::uint8_t bytes[] = {10, 1, 0, last};
    const Address each = Address::from_bytes(AF_INET, bytes);
    before[each] = chosen(policy, each);
    EXPECT_EQ(chosen(policy, each), before[each]);
    ++clients[before[each]];
  }
  for (const auto& [address, count] : clients) EXPECT_GT(count, 40) << address;
  policy.members(0)[1]->eject(now + seconds(1));
  for (const auto& [each, address] : before) {
    if (address == "192.0.2.2:1")
      EXPECT_NE(chosen(policy, each), address);
    else
      EXPECT_EQ(chosen(policy, each), address);
  }
}

TEST(Upstream, IsThereWhereItRefusesUs) {
  const PathPolicy policy(office({"192.0.2.1:1", "192.0.2.2:1"}), {}, nullptr);
  const auto members = policy.members(0);
  members[0]->eject(now + seconds(1));
  EXPECT_FALSE(policy.is_there(0, now));
  members[1]->eject(now + seconds(1), Member::Why::refuses);
  EXPECT_EQ(chosen(policy), "none");
  EXPECT_TRUE(policy.is_there(0, now));
  members[1]->eject(now + seconds(1));  // and now it has gone
  EXPECT_FALSE(policy.is_there(0, now));
  EXPECT_EQ(members[1]->failures, 2U);
}

TEST(Upstream, GivesOneThatIsDownAsTheLastResortToWhoCannotTell) {
  const PathPolicy policy(office({"192.0.2.1:1", "192.0.2.2:1"}), {}, nullptr);
  const auto members = policy.members(0);
  const auto last_resort = [&](std::span<const std::shared_ptr<Member>> tried) {
    const std::shared_ptr<Member> member = policy.choose(0, client, tried, now, PathPolicy::Down::last);
    return member ? member->address.text() : "none";
  };
  members[0]->eject(now + seconds(1));
  const MemberUse one(members[1]);
  EXPECT_EQ(last_resort({}), "192.0.2.2:1");
  EXPECT_EQ(last_resort(members.subspan(1)), "192.0.2.1:1");
  EXPECT_EQ(last_resort(members), "none");
}

TEST(Upstream, IsKnownAgainAfterAReload) {
  const PathPolicy before(office({"192.0.2.1:1", "192.0.2.2:1"}), {}, nullptr);
  before.members(0)[1]->eject(now + seconds(1));
  PolicySource source = office({"192.0.2.3:1", "192.0.2.2:1"});
  source.upstreams.insert(source.upstreams.begin(), office({"192.0.2.2:1"}).upstreams[0]);
  source.upstreams[0].name = "another";
  const PathPolicy after(source, {}, &before);
  EXPECT_EQ(after.members(1)[1], before.members(0)[1]);
  EXPECT_FALSE(after.members(1)[0]->is_down(now));
  EXPECT_FALSE(after.members(0)[0]->is_down(now));  // an upstream of another name
}

}  // namespace
}  // namespace limpid
