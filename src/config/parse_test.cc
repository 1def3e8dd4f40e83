// SPDX-License-Identifier: MIT
// Bad files and the exact messages, in order; then what the command line may do.
#include "config/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>

namespace limpid {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> texts_of(const ConfigErrors& errors) {
  std::vector<std::string> texts;
  for (const ConfigError& error : errors) texts.push_back(error.text());
  return texts;
}

std::vector<std::string> errors_of(std::string_view text, const Overrides& overrides = {}) {
  const auto config = parse_config(text, "f", overrides);
  return config ? std::vector<std::string>() : texts_of(config.error());
}

Override option(std::string_view path, std::vector<std::string> values) { return {find_key(path), std::move(values)}; }

struct Bad {
  std::string_view text;
  std::vector<std::string> messages;
};

// Something to intercept, for rows about other things.
constexpr std::string_view enough = "\n[intercept]\ninterfaces = [\"lan0\"]\ntcp = [\"80\"]\n";

void expect_errors(std::span<const Bad> rows) {
  for (const Bad& row : rows) {
    std::string text(row.text);
    if (text.find("[intercept") == std::string::npos) text += enough;
    EXPECT_EQ(errors_of(text), row.messages) << text;
  }
}

const Bad not_toml[] = {
    {"[intercept]\ntcp = \n", {"f:2:7: not TOML: key-value pair: expected value, saw '\\n'"}},
    {"[intercept]\ntcp = [\"80\"\nlocal = true\n", {"f:3:1: not TOML: array: expected comma or closing ']', saw 'l'"}},
    {"[=a]\n", {"f:1:2: not TOML: key: expected bare key starting character or string delimiter, saw '='"}},
    {"caf\xc3\xa9 = 1\n", {"f:1:4: not TOML: key-value pair: expected '=', saw '\xc3\xa9'"}},
    {"[intercept]\nlocal = yes\n", {"f:2:9: not TOML: value: could not determine value type"}},
    {"[intercept]\nlocal = true\nlocal = true\n",
     {"f:3:9: not TOML: key-value pair: cannot redefine existing boolean 'local'"}},
    {"[intercept]\n[log]\n[intercept]\n",
     {"f:3:1: not TOML: table header: cannot redefine existing table 'intercept'"}},
    {"[intercept]\n# \xff\n", {"f:2:2: not TOML: Encountered invalid utf-8 sequence"}},
};
TEST(BadFile, ThatIsNotTomlIsRefusedWhereItEnds) { expect_errors(not_toml); }

const Bad single_tables[] = {
    {"[rule]\naction = \"reject\"\n", {"f:1:2: \"rule\" is a list of tables: write [[rule]]"}},
    {"[upstream]\nname = \"x\"\n[[rule]]\naction = \"x\"\n",
     {"f:1:2: \"upstream\" is a list of tables: write [[upstream]]"}},
    {"[listener]\nname = \"x\"\n[intercept]\n", {"f:1:2: \"listener\" is a list of tables: write [[listener]]"}},
};
TEST(BadFile, ATableInPlaceOfAListOfThemIsOneError) { expect_errors(single_tables); }

const Bad unverifiable[] = {
    {"[[rule]]\nverify_host = true\nhost = [\"a.example\"]\naction = \"direct\"\n",
     {"f:2:15: rule 1: verify_host needs to see the clients' DNS answers: take their port, udp = [\"53\"] under "
      "[intercept] or --udp 53"}},
    {"[intercept]\nlocal = true\nudp = [\"50-60\"]\n[[rule]]\nverify_host = true\naction = \"reject\"\n",
     {"f:5:15: rule 1: verify_host needs the hosts to verify: host = [\"*.example.com\"] or host_file",
      "f:5:15: rule 1: verify_host is for rules that let a flow go: \"direct\" or the name of an upstream",
      "f:5:15: rule 1: verify_host cannot go with local = true: what this machine's own programs are answered is not "
      "seen. Say which clients are meant, from = [\"10.1.0.0/16\"]"}},
    {"[intercept]\nlocal = true\nudp = [\"all\"]\n[[rule]]\nverify_host = true\nfrom = [\"10.1.0.0/16\"]\nhost = "
     "[\"a.example\"]\naction = \"direct\"\n",
     {}},
};
TEST(BadFile, ThatVerifiesWhatCannotBeVerifiedIsRefused) { expect_errors(unverifiable); }

const Bad unknown[] = {
    {"[intercpt]\n", {"f:1:2: unknown table [intercpt]: did you mean [intercept]?"}},
    {"[sandbox.more]\n", {"f:1:2: unknown table [sandbox]"}},
    {"\n\n[limits]\nidle-timeout = \"1h\"\n",
     {"f:4:1: unknown key \"limits.idle-timeout\": did you mean \"idle_timeout\"?"}},
    {"[log]\nlevle = \"info\"\n", {"f:2:1: unknown key \"log.levle\": did you mean \"level\"?"}},
    {"[log]\ncolour = \"blue\"\n", {"f:2:1: unknown key \"log.colour\""}},
    {"[log]\nuser = \"limpid\"\n", {"f:2:1: unknown key \"log.user\": it belongs under [process]"}},
    {"user = \"limpid\"\n", {"f:1:1: unknown key \"user\": it belongs under [process]"}},
    {"log.colour = \"blue\"\n", {"f:1:5: unknown key \"log.colour\""}},
    {"\"a\\nb\" = 1\n", {"f:1:1: unknown key \"a\\x0ab\""}},
};
TEST(BadFile, WithUnknownNamesGetsSuggestions) { expect_errors(unknown); }

const Bad wrong_types[] = {
    {"log = true\n", {"f:1:1: \"log\" must be a table, not true or false: [log]"}},
    {"[[log]]\nlevel = \"info\"\n", {"f:1:3: \"log\" must be a table, not a list: [log]"}},
    {"[intercept]\ninterfaces = \"lan0\"\ntcp = [\"80\"]\n",
     {"f:2:14: intercept.interfaces must be a list of names like [\"lan0\", \"wg*\"], not text"}},
    {"[intercept]\ninterfaces = [\"lan0\"]\ntcp = [80, \"443\"]\n",
     {"f:3:8: intercept.tcp must be a list of ports in quotes like [\"80\", \"8000-8999\"], not a whole number in the "
      "list"}},
    {"[intercept]\ninterfaces = [\"lan0\"]\ntcp = [\"80\"]\nlocal = \"yes\"\n",
     {"f:4:9: intercept.local must be true or false, without quotes, not text"}},
    {"[intercept]\ninterfaces = [\"lan0\"]\ntcp = [\"80\"]\ntable = \"5300\"\npriority = 1.5\nmark = 0x10000000\n",
     {"f:4:9: intercept.table must be a number without quotes, like 5300, not text",
      "f:5:12: intercept.priority must be a number without quotes, like 100, not a number with a point",
      "f:6:8: intercept.mark must be a mark in quotes like \"0x10000000/0x10000000\", not a whole number"}},
    {"[limits]\nidle_timeout = 10\n",
     {"f:2:16: limits.idle_timeout must be a duration in quotes with its unit, like \"10s\", \"10m\" or \"2h\", not a "
      "whole number"}},
    {"[log]\naccess = [\"off\"]\n",
     {"f:2:10: log.access must be a path, \"stdout\" or \"off\", in quotes, not a list"}},
    {"[log.level]\n", {"f:1:1: log.level must be \"debug\", \"info\", \"warning\" or \"error\", not a table"}},
    {"[process]\nuser = 2026-01-01\n", {"f:2:8: process.user must be a user's name in quotes, not a date or time"}},
};
TEST(BadFile, WithWrongTypesIsToldWhatIsWanted) { expect_errors(wrong_types); }

// What several rows say.
const std::string no_such_name = ": an interface's name has no spaces, quotes, '/', '\\' or ':'";
const std::string not_for_lo = ": lo is not for clients: for this machine's own connections use local = true (--local)";
const std::string no_ports = " is not a port (1 to 65535) or a range of ports like \"8000-8999\"";
const std::string overlap = " overlap: each mark needs bits of its own";
const std::string not_local =
    " cannot go with local = true: a local connection has its address and port in use itself, so that only its address "
    "can be kept";

const Bad wrong_values[] = {
    {"[intercept]\ninterfaces = [\"lan0\"]\ntcp = [\"0\", \"80-\", \"90-80\", \"65536\", \"http\"]\n",
     {"f:3:8: intercept.tcp: \"0\"" + no_ports, "f:3:13: intercept.tcp: \"80-\"" + no_ports,
      "f:3:20: intercept.tcp: \"90-80\"" + no_ports, "f:3:29: intercept.tcp: \"65536\"" + no_ports,
      "f:3:38: intercept.tcp: \"http\"" + no_ports}},
    {"[intercept]\ntcp = [\"80\"]\ninterfaces = [\n\"\",\n\"sixteen-bytes-16\",\n\"a/b\",\n\"a "
     "b\",\n\"*\",\n\"l*n\",\n\"lo\",\n\"a\\u0007\",\n\"a\\\"b\"]\n",
     {"f:4:1: intercept.interfaces: \"\": the name of an interface has 1 to 15 bytes",
      "f:5:1: intercept.interfaces: \"sixteen-bytes-16\": the name of an interface has 1 to 15 bytes",
      "f:6:1: intercept.interfaces: \"a/b\"" + no_such_name, "f:7:1: intercept.interfaces: \"a b\"" + no_such_name,
      "f:8:1: intercept.interfaces: \"*\": name something before the '*': it would cover every interface",
      "f:9:1: intercept.interfaces: \"l*n\": '*' can only be the last character",
      "f:10:1: intercept.interfaces: \"lo\"" + not_for_lo,
      "f:11:1: intercept.interfaces: has control characters or is not UTF-8",
      "f:12:1: intercept.interfaces: \"a\"b\"" + no_such_name}},
    {"[intercept]\ninterfaces = [\"lan0\"]\ntcp = [\"80\"]\nbypass = [\"10.0.0.1/8\", \"10.0.0.0/33\"]\nbypass_from = "
     "[\"example.org\"]\n",
     {"f:4:11: intercept.bypass: \"10.0.0.1/8\" has bits set beyond its length of 8",
      "f:4:25: intercept.bypass: \"10.0.0.0/33\": the prefix length is a number from 0 to 32",
      "f:5:16: intercept.bypass_from: \"example.org\" is not an IPv4 or IPv6 address"}},
    {"[intercept]\ninterfaces = [\"lan0\"]\ntcp = [\"80\"]\nwithout_us = \"shut\"\n",
     {"f:4:14: intercept.without_us: \"shut\" is not \"open\" or \"closed\""}},
    {"[intercept]\ninterfaces = [\"lan0\"]\ntcp = [\"80\"]\nmark = \"red\"\nlocal_mark = \"0/1\"\nown_mark = \"3/1\"\n",
     {"f:4:8: intercept.mark: \"red\" is not a mark like \"0x10000000/0x10000000\"",
      "f:5:14: intercept.local_mark: \"0/1\": a mark of zero marks nothing",
      "f:6:12: intercept.own_mark: \"3/1\": the mark has bits outside its mask"}},
    {"[intercept]\ninterfaces = [\"lan0\"]\ntcp = [\"80\"]\ntable = 254\npriority = 32765\n",
     {"f:4:9: intercept.table: \"254\" is one of the kernel's own tables (253 to 255): choose another",
      "f:5:12: intercept.priority: \"32765\" is not a whole number from 1 to 32764"}},
    {"[intercept]\ninterfaces = [\"lan0\"]\ntcp = [\"80\"]\ntable = 0x100000000\npriority = 0\n",
     {"f:4:9: intercept.table: \"4294967296\" is not a whole number from 1 to 4294967295",
      "f:5:12: intercept.priority: \"0\" is not a whole number from 1 to 32764"}},
    {"[transparency]\nsource = \"server\"\nkeep_port = \"always\"\n",
     {"f:2:10: transparency.source: \"server\" is not \"client\", \"address\" or \"self\"",
      "f:3:13: transparency.keep_port: \"always\" is not \"prefer\" or \"require\""}},
    {"[limits]\nsessions = -1\nconnect_timeout = \"10\"\nidle_timeout = \"400d\"\nhalf_closed_timeout = "
     "\"0s\"\ndrain_timeout = \"soon\"\n",
     {"f:2:12: limits.sessions: \"-1\" is not a whole number from 0 to 2147483647",
      "f:3:19: limits.connect_timeout: \"10\" has no unit: write \"10s\" (or ms, m, h, d)",
      "f:4:16: limits.idle_timeout: \"400d\" is too long: at most \"365d\"",
      "f:5:23: limits.half_closed_timeout: \"0s\": a timeout must be longer than nothing",
      "f:6:17: limits.drain_timeout: \"soon\" is not a duration like \"500ms\", \"10s\", \"10m\", \"2h\" or \"1d\""}},
    {"[log]\nlevel = \"loud\"\naccess = \"access.log\"\n",
     {"f:2:9: log.level: \"loud\" is not \"debug\", \"info\", \"warning\" or \"error\"",
      "f:3:10: log.access: \"access.log\" is not \"stdout\", \"off\" or a path that begins with '/'"}},
    {"process.user = \"root\"\n",
     {"f:1:16: process.user: \"root\" is shared with others: the worker needs a user of its own"}},
    {"process.user = \"1000\"\n",
     {"f:1:16: process.user: \"1000\" is not a user name (a letter, then letters, digits, '_', '-', '.'; at most 32)"}},
};
TEST(BadFile, WithWrongValuesIsToldWhatIsWrongWithEach) { expect_errors(wrong_values); }

const std::string name_an_interface =
    "nothing to intercept: name the interfaces where clients come in, interfaces = [\"lan0\"] under [intercept] or "
    "--interface lan0, or take this machine's own connections, local = true or --local";
const std::string name_a_port =
    "nothing to intercept: name the destination ports, tcp = [\"80\", \"443\"] under [intercept] or --tcp 80,443, and "
    "udp "
    "or --udp likewise; "
    "\"all\" for every port";

const Bad as_a_whole[] = {
    {"[intercept]\n", {"f: " + name_an_interface, "f: " + name_a_port}},
    {"[intercept]\ntcp = []\ninterfaces = []\n", {"f:2:7: " + name_a_port, "f:3:14: " + name_an_interface}},
    {"[intercept]\nlocal = true\n", {"f: " + name_a_port}},
    {"[intercept]\ninterfaces = [\"lan0\"]\ntcp = [\"all\"]\nlocal_mark = \"0x10000000\"\n",
     {"f:4:14: intercept.local_mark 0x10000000/0x10000000 and intercept.mark 0x10000000/0x10000000" + overlap}},
    {"[intercept]\ninterfaces = [\"lan0\"]\ntcp = [\"all\"]\nmark = \"0x1/0xffffffff\"\n",
     {"f:4:8: intercept.local_mark 0x20000000/0x20000000 and intercept.mark 0x00000001/0xffffffff" + overlap,
      "f:4:8: intercept.own_mark 0x40000000/0x40000000 and intercept.mark 0x00000001/0xffffffff" + overlap}},
    {"[transparency]\nsource = \"address\"\nkeep_port = \"require\"\n[intercept]\ntcp = [\"80\"]\nlocal = true\n",
     {"f:3:13: keep_port = \"require\"" + not_local,
      "f:3:13: keep_port = \"require\" needs source = \"client\": the other sources do not keep the port"}},
};
TEST(BadFile, IsJudgedAsAWhole) { expect_errors(as_a_whole); }

const Bad at_once[] = {
    {"[limits]\nsessions = \"many\"\n[intercept]\nmark = \"0x20000000\"\ntpc = [\"80\"]\ninterfaces = [\"lan0\", "
     "\"a/b\"]\n[nothing]\n",
     {"f:2:12: limits.sessions must be a number without quotes, like 0, not text",
      "f:4:8: intercept.local_mark 0x20000000/0x20000000 and intercept.mark 0x20000000/0x20000000" + overlap,
      "f:5:1: unknown key \"intercept.tpc\": did you mean \"tcp\"?",
      "f:6:23: intercept.interfaces: \"a/b\"" + no_such_name, "f:7:2: unknown table [nothing]", "f: " + name_a_port}},
    // What was refused is not called missing as well.
    {"[intercept]\ninterfaces = [1]\ntcp = [2]\n",
     {"f:2:15: intercept.interfaces must be a list of names like [\"lan0\", \"wg*\"], not a whole number in the list",
      "f:3:8: intercept.tcp must be a list of ports in quotes like [\"80\", \"8000-8999\"], not a whole number in the "
      "list"}},
};
TEST(BadFile, IsToldAllThatIsWrongInOrderOfPlace) { expect_errors(at_once); }

TEST(Settings, AreTheDefaultsWithoutAFileAndOptions) {
  const Settings settings = read_settings("", "", {});
  EXPECT_EQ(settings.config, Config());
  EXPECT_THAT(settings.errors, IsEmpty());
}

// Behind two upstreams, so that the listener is line 9.
constexpr std::string_view upstreams =
    "[[upstream]]\nname = \"web\"\ntype = \"fixed\"\naddress = [\"192.0.2.9:80\"]\n"
    "[[upstream]]\nname = \"office\"\ntype = \"socks5\"\naddress = [\"192.0.2.7:1080\"]\n[[listener]]\n";
const std::string goes_nowhere =
    "say where its connections go, action = \"NAME\" of an [[upstream]]: accept = \"plain\" knows of no destination "
    "that "
    "rules could look at";

TEST(BadFile, OfListenersIsRefusedWithAWayOut) {
  const auto listener_errors = [](std::string_view keys) { return errors_of(std::string(upstreams).append(keys)); };
  EXPECT_THAT(listener_errors(""), ElementsAre("f:9:1: listener 1: say where it listens: listen = [\"192.0.2.1:443\"]",
                                               "f:9:1: listener 1: " + goes_nowhere));
  EXPECT_THAT(listener_errors("name = \"lb\"\nlisten = [\"192.0.2.1:443\"]\naction = \"rules\"\n"),
              ElementsAre("f:12:10: listener \"lb\": " + goes_nowhere));
  EXPECT_THAT(listener_errors("listen = [\"192.0.2.1\"]\naccept = \"proxy\"\ntrusted = [\"192.0.2.1/8\"]\n").size(),
              3U);
  EXPECT_THAT(
      listener_errors("listen = [\"192.0.2.1:443\"]\naccept = \"proxy-protocol\"\n"),
      ElementsAre("f:9:1: listener 1: say whose word is taken, trusted = [\"192.0.2.0/24\"]: whoever may send a "
                  "header of the PROXY protocol may pose as anybody"));
  EXPECT_THAT(listener_errors("listen = [\"192.0.2.1:443\"]\naction = \"web\"\ntrusted = [\"::/0\"]\n"),
              ElementsAre("f:12:11: listener 1: trusted is for accept = \"proxy-protocol\""));
  EXPECT_THAT(
      listener_errors("listen = [\"192.0.2.1:443\"]\naction = \"wbe\"\n"),
      ElementsAre("f:11:10: listener 1: there is no [[upstream]] named \"wbe\": action is \"rules\" or the name "
                  "of one"));
  EXPECT_THAT(listener_errors("listen = [\"192.0.2.1:443\"]\naction = \"office\"\n"),
              ElementsAre("f:11:10: listener 1: upstream \"office\" needs a destination, of which accept = \"plain\" "
                          "knows none: let it be of type \"fixed\", without when_down = \"direct\""));
  EXPECT_THAT(listener_errors("listen = [\"192.0.2.1:443\"]\naction = \"web\"\n[[listener]]\nlisten = "
                              "[\"192.0.2.1:443\"]\naction = \"web\"\n"),
              ElementsAre("f:13:10: listener 2: 192.0.2.1:443 is taken already, by listener 1"));
  EXPECT_THAT(
      listener_errors("listen = [\"192.0.2.1:443\"]\naction = \"web\"\n[intercept]\nwithout_us = \"closed\"\n"),
      ElementsAre("f:13:14: without_us = \"closed\" is about intercepted connections, and none are: leave it out, "
                  "or name interfaces"));
  EXPECT_THAT(listener_errors("listen = [\"192.0.2.1:443\"]\naction = \"web\"\n[intercept]\ntcp = [\"80\"]\n").size(),
              1U);
}

TEST(Settings, MayBeOfListenersAlone) {
  const auto config =
      parse_config(std::string(upstreams).append("listen = [\"[::]:80\"]\naction = \"web\"\n"), "f", {});
  ASSERT_TRUE(config) << config.error().front().text();
  EXPECT_EQ(config->listeners.at(0).name, "listener 1");
  EXPECT_FALSE(config->intercept.is_wanted());
}

TEST(Settings, MayComeFromTheCommandLineAlone) {
  const auto config = parse_config(
      "", "", {option("intercept.interfaces", {"lan0,lan1", "wg*"}), option("intercept.tcp", {"443,80", "8000-8999"})});
  ASSERT_TRUE(config);
  EXPECT_THAT(config->intercept.interfaces, ElementsAre("lan0", "lan1", "wg*"));
  EXPECT_THAT(config->intercept.tcp, ElementsAre(PortRange{80, 80}, PortRange{443, 443}, PortRange{8000, 8999}));
}

TEST(Settings, TakeAllPortsAsTheWholeRange) {
  const auto config = parse_config("[intercept]\ntcp = [\"80\", \"all\"]\nlocal = true\n", "f", {});
  ASSERT_TRUE(config);
  EXPECT_THAT(config->intercept.tcp, ElementsAre(PortRange{1, 65535}));
}

constexpr std::string_view complete = R"(
[intercept]
interfaces = ["lan0"]
tcp = ["80", "443"]
local = true
bypass = ["10.0.0.0/8"]
table = 77
[limits]
idle_timeout = "90s"
[log]
access = "/var/log/limpid/access.log"
)";

TEST(CommandLine, OverridesKeyByKey) {
  const auto config = parse_config(
      complete, "f",
      {option("intercept.tcp", {"8080"}), option("intercept.local", {"false"}), option("intercept.bypass", {""}),
       option("limits.idle_timeout", {"500ms"}), option("process.user", {"proxy"})});
  ASSERT_TRUE(config);
  EXPECT_THAT(config->intercept.interfaces, ElementsAre("lan0"));
  EXPECT_THAT(config->intercept.tcp, ElementsAre(PortRange{8080, 8080}));
  EXPECT_FALSE(config->intercept.local);
  EXPECT_THAT(config->intercept.bypass, IsEmpty());
  EXPECT_EQ(config->intercept.table, 77U);
  EXPECT_EQ(config->limits.idle_timeout, std::chrono::milliseconds(500));
  EXPECT_EQ(config->limits.connect_timeout, std::chrono::seconds(10));
  EXPECT_EQ(config->log.access, "/var/log/limpid/access.log");
  EXPECT_EQ(config->process.user, "proxy");
}

TEST(CommandLine, TakesAFlagWithoutAValueAsTrue) {
  const auto config = parse_config("", "", {option("intercept.local", {}), option("intercept.tcp", {"all"})});
  ASSERT_TRUE(config);
  EXPECT_TRUE(config->intercept.local);
}

TEST(CommandLine, MayBringWhatTheFileLacks) {
  EXPECT_THAT(errors_of("[intercept]\ninterfaces = []\ntcp = []\n",
                        {option("intercept.interfaces", {"lan0"}), option("intercept.tcp", {"80"})}),
              IsEmpty());
}

TEST(CommandLine, IsToldByOptionWhatIsWrong) {
  EXPECT_THAT(errors_of("[intercept]\ninterfaces = [\"a/b\"]\n",
                        {option("intercept.tcp", {"80,,http"}), option("intercept.table", {"0"}),
                         option("intercept.mark", {"1", "2"}), option("intercept.local", {"maybe"}),
                         option("limits.idle_timeout", {"10"}), option("log.access", {"/tmp/\xff"})}),
              ElementsAre("f:2:15: intercept.interfaces: \"a/b\"" + no_such_name, "--tcp: \"\"" + no_ports,
                          "--tcp: \"http\"" + no_ports, "--table: \"0\" is not a whole number from 1 to 4294967295",
                          "--mark: takes one value, not 2", "--local: \"maybe\" is not \"true\" or \"false\"",
                          "--idle-timeout: \"10\" has no unit: write \"10s\" (or ms, m, h, d)",
                          "--access-log: has control characters or is not UTF-8"));
}

TEST(CommandLine, IsThePlaceOfWhatItMakesWrong) {
  EXPECT_THAT(
      errors_of(complete, {option("transparency.keep_port", {"require"}), option("intercept.mark", {"0x40000000"})}),
      ElementsAre("--mark: intercept.own_mark 0x40000000/0x40000000 and intercept.mark 0x40000000/0x40000000" + overlap,
                  "--keep-port: keep_port = \"require\"" + not_local));
}

TEST(CommandLine, LacksAPlaceWhereNothingWasSaid) {
  EXPECT_THAT(errors_of("", {}).size(), 2U);
  const auto config = parse_config("", "", {});
  ASSERT_FALSE(config);
  EXPECT_THAT(texts_of(config.error()), ElementsAre(name_an_interface, name_a_port));
}

}  // namespace
}  // namespace limpid
