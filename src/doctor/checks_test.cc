// SPDX-License-Identifier: MIT
// Judgements about machines that are made up here; those that need a kernel to be caused are in
// tests/netns/test_doctor*.
#include "doctor/checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "daemon/confine.h"
#include "doctor/steering.h"

namespace limpid {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Pair;
using ::testing::SizeIs;

Address address(std::string_view text) { return *Address::parse(text); }

FibRule lookup(std::uint32_t priority, const std::string& interface, Mark mark, std::uint32_t table) {
  FibRule rule;
  rule.priority = priority;
  rule.interface = interface;
  rule.mark = mark;
  rule.target = table;
  return rule;
}

// A gateway with nothing wrong: its clients are behind lan0, and a limpid takes their connections.
struct DoctorTest : ::testing::Test {
  Machine machine;

  DoctorTest() {
    machine.config.emplace();
    machine.config->intercept.interfaces = {"lan0"};
    machine.config->intercept.tcp = {{80, 80}};
    machine.is_running = true;
    machine.is_owned = true;
    machine.state = "ready";
    for (const Capability& capability : needed_capabilities()) machine.capabilities |= 1ULL << capability.number;
    machine.is_root = true;
    machine.descriptors = 1 << 20;
    machine.budget = 500'000;
    machine.links = {{.index = 1, .name = "lo", .is_up = true}, {.index = 2, .name = "lan0", .is_up = true}};
    machine.arrivals = {{"lan0", address("10.1.0.1"), address("10.1.0.2")},
                        {"lan0", address("fd00:1::1"), address("fd00:1::2")}};
    machine.settings = {{"ipv4/conf/lan0/forwarding", "1"},
                        {"ipv6/conf/all/forwarding", "1"},
                        {"ipv4/tcp_timestamps", "1"},
                        {"ipv4/ip_local_port_range", "32768\t60999"}};
    answer_all();
  }

  // As a machine on which all is well.
  void answer_all() {
    machine.routes.clear();
    for (const Fib::Query& question : route_questions(machine))
      machine.routes.push_back({question, Fib::Way{.is_here = !question.interface.empty(), .interface = "lan0"}});
  }
  void answer(const Fib::Query& question, Result<Fib::Way> way) {
    std::ranges::find(machine.routes, question, &RouteAnswer::question)->way = std::move(way);
  }
  void write_by_hand(const std::string& rule) {
    machine.config.reset();
    machine.chains = std::vector<NftChain>{
        {"inet", "users", "pre", "type filter hook prerouting priority mangle; policy accept;", {rule}}};
    answer_all();
  }
  void write_other(const std::string& hook, const std::string& rule) {
    machine.chains->push_back({"inet", "other", "theirs", hook, {rule}});
  }
  [[nodiscard]] std::map<std::string, Severity> wrong() const {
    std::map<std::string, Severity> found;
    for (const Diagnosis& finding : judge(machine))
      if (finding.severity != Severity::ok) found[std::string(finding.id)] = finding.severity;
    return found;
  }
  [[nodiscard]] Diagnosis of(std::string_view id) const {
    for (const Diagnosis& finding : judge(machine))
      if (finding.id == id) return finding;
    ADD_FAILURE() << "no finding of " << id;
    return {};
  }
};

TEST_F(DoctorTest, FindsNothingWhereAllIsWell) { EXPECT_THAT(wrong(), IsEmpty()); }

TEST_F(DoctorTest, HasOneFindingACheckAndEveryOneHasItsNameItsReasonAndItsPage) {
  std::set<std::string_view> names;
  for (const Diagnosis& finding : judge(machine)) {
    EXPECT_TRUE(names.insert(finding.id).second) << finding.id;
    EXPECT_FALSE(finding.what.empty() || finding.why.empty()) << finding.id;
    EXPECT_EQ(finding.page(), fmt::format("docs/guide/troubleshooting.md#{}", finding.id));
  }
  EXPECT_THAT(names, SizeIs(33));
}

TEST_F(DoctorTest, NeverCallsFineWhatCouldNotBeLookedAt) {
  machine.chains = failure("you must be root");
  machine.survey = failure("you must be root");
  machine.features = failure("you must be root");
  for (const char* const id :
       {"kernel-features", "mark-conflict", "fib-conflict", "input-drop", "forward-drop", "legacy-iptables",
        "decided-first", "conntrack-invalid", "masquerade", "flowtable", "listener-missing", "listener-address",
        "listener-not-transparent", "divert-order", "local-service", "syn-cookies", "leftovers"})
    EXPECT_THAT(wrong(), Contains(Pair(id, Severity::not_looked_at)));
  EXPECT_FALSE(is_anything_broken(judge(machine)));
}

TEST_F(DoctorTest, NamesAFeatureThatTheKernelLacksAndWhatGoesWithoutIt) {
  machine.features = std::vector<Feature>{{"nftables: tproxy", "limpid does not start", {}},
                                          {"SOCK_DESTROY", "no clean end", failure("Operation not supported")}};
  EXPECT_THAT(wrong(), ElementsAre(Pair("kernel-features", Severity::broken)));
  EXPECT_THAT(of("kernel-features").what, AllOf(HasSubstr("SOCK_DESTROY"), HasSubstr("no clean end")));
}

TEST_F(DoctorTest, SaysThatAFlowtableCarriesFlowsPast) {
  write_other("", "ct state established flow add @f");
  EXPECT_THAT(wrong(), IsEmpty()) << "connections of ours are not forwarded, so no flowtable has them";
  machine.config->intercept.udp = {{53, 53}};
  EXPECT_THAT(wrong(), ElementsAre(Pair("flowtable", Severity::warning)));
  EXPECT_EQ(of("flowtable").mend, "limpid run --handover off");
}

TEST_F(DoctorTest, TellsASourceThatIsNotBelievedFromAMarkThatMisleads) {
  const Fib::Query plain = as_it_comes(machine.arrivals[0]);
  const Fib::Query with_mark = marked(machine.arrivals[0], machine.config->intercept.mark);
  answer(with_mark, errno_failure("RTM_GETROUTE", EINVAL));
  EXPECT_THAT(wrong(), ElementsAre(Pair("src-valid-mark", Severity::broken)));
  answer(plain, errno_failure("RTM_GETROUTE", EXDEV));
  EXPECT_THAT(wrong(), ElementsAre(Pair("rp-filter", Severity::broken)));
}

TEST_F(DoctorTest, TellsAMissingFibRuleFromAMissingRouteFromOneThatComesBefore) {
  const Mark mark = machine.config->intercept.mark;
  answer(marked(machine.arrivals[0], mark), Fib::Way{.table = 254, .interface = "wan0"});
  EXPECT_THAT(wrong(), ElementsAre(Pair("fib-rule", Severity::broken)));
  machine.fib_rules = {lookup(100, "", mark, 5300), lookup(32766, "", {}, 254)};
  EXPECT_THAT(wrong(), ElementsAre(Pair("fib-route", Severity::broken)));
  machine.fib_rules.insert(machine.fib_rules.begin(), lookup(50, "lan0", {}, 254));
  EXPECT_THAT(wrong(), ElementsAre(Pair("fib-shadowed", Severity::broken)));
  EXPECT_THAT(of("fib-shadowed").what, HasSubstr("priority 50"));
}

TEST_F(DoctorTest, AsksNothingAboutTheMarkOfALimpidThatDoesNotRun) {
  machine.is_running = false;
  machine.is_owned = false;
  answer_all();
  EXPECT_EQ(answer_to(machine, marked(machine.arrivals[0], machine.config->intercept.mark)), nullptr);
  EXPECT_THAT(wrong(), IsEmpty());
}

struct ListenerTest : DoctorTest {
  WaitingSocket listener{.protocol = IPPROTO_TCP, .at = {Address::any(AF_INET), 9000}, .is_transparent = true};
  ListenerTest() {
    write_by_hand("iifname \"lan0\" meta nfproto ipv4 tcp dport 80 tproxy ip to :9000 meta mark set 0x1 accept");
    machine.arrivals.erase(machine.arrivals.begin() + 1);
  }
  std::map<std::string, Severity> wrong_with(const WaitingSocket& socket) {
    machine.sockets = {socket};
    return wrong();
  }
};

TEST_F(ListenerTest, IsFineWhereTproxyLooksForIt) {
  EXPECT_THAT(wrong(), ElementsAre(Pair("listener-missing", Severity::broken)));
  EXPECT_THAT(wrong_with(listener), IsEmpty());
  listener.at.address = address("10.1.0.1");
  EXPECT_THAT(wrong_with(listener), IsEmpty());
}

TEST_F(ListenerTest, OnTheWildcardAddressOfIpv6ServesIpv4UnlessItSaysNo) {
  listener.at.address = Address::any(AF_INET6);
  EXPECT_THAT(wrong_with(listener), IsEmpty());
  listener.ipv6_only = true;
  EXPECT_THAT(wrong_with(listener), ElementsAre(Pair("listener-missing", Severity::broken)));
}

TEST_F(ListenerTest, OfAnotherProtocolOrPortIsNone) {
  listener.protocol = IPPROTO_UDP;
  EXPECT_THAT(wrong_with(listener), ElementsAre(Pair("listener-missing", Severity::broken)));
  listener.protocol = IPPROTO_TCP;
  listener.at.port = 9001;
  EXPECT_THAT(wrong_with(listener), ElementsAre(Pair("listener-missing", Severity::broken)));
}

TEST_F(ListenerTest, OnALoopbackAddressOrNotTransparentIsNotTaken) {
  listener.at.address = Address::loopback(AF_INET);
  EXPECT_THAT(wrong_with(listener), ElementsAre(Pair("listener-address", Severity::broken)));
  listener.at.address = Address::any(AF_INET);
  listener.is_transparent = false;
  EXPECT_THAT(wrong_with(listener), ElementsAre(Pair("listener-not-transparent", Severity::broken)));
  listener.is_transparent.reset();
  EXPECT_THAT(wrong_with(listener), ElementsAre(Pair("listener-not-transparent", Severity::not_looked_at)));
}

TEST_F(ListenerTest, ABridgeOfAnotherInterfaceIsNoMatter) {
  machine.sockets = {listener};
  machine.settings["bridge/bridge-nf-call-iptables"] = "1";
  machine.links.push_back({.index = 3, .name = "docker0", .is_up = true, .is_bridge = true});
  EXPECT_THAT(wrong(), IsEmpty());
  machine.links.push_back({.index = 4, .name = "lan0", .is_up = true, .is_bridge = true});
  EXPECT_THAT(wrong(), ElementsAre(Pair("bridge-netfilter", Severity::broken)));
}

TEST_F(ListenerTest, AFirewallOfTheirsMattersUnlessThereIsAZone) {
  machine.sockets = {listener};
  write_other("type filter hook forward priority filter; policy accept;", "ct state invalid drop");
  write_other("type nat hook postrouting priority srcnat; policy accept;", "oifname \"wan0\" masquerade");
  EXPECT_THAT(wrong(), ElementsAre(Key("conntrack-invalid"), Key("masquerade")));
  machine.chains->front().rules.insert(machine.chains->front().rules.begin(), "iifname \"lan0\" ct zone set 7");
  EXPECT_THAT(wrong(), IsEmpty());
}

TEST_F(DoctorTest, IsToldAsJsonAndToPeople) {
  machine.settings["ipv4/tcp_timestamps"] = "0";
  const std::vector<Diagnosis> findings = judge(machine);
  EXPECT_THAT(findings_to_json(findings),
              AllOf(HasSubstr(R"({"broken":false,"findings":[{"id":"kernel-features","severity":"ok")"),
                    HasSubstr(R"("id":"timestamps","severity":"warning","what":"TCP timestamps are off")")));
  EXPECT_THAT(
      findings_for_people(findings),
      AllOf(HasSubstr("warning        timestamps: TCP timestamps are off\n"),
            HasSubstr("    sysctl -w net.ipv4.tcp_timestamps=1\n    see docs/guide/troubleshooting.md#timestamps\n"),
            HasSubstr("0 broken, 1 warnings, 0 not looked at, 32 ok\n")));
}

}  // namespace
}  // namespace limpid
