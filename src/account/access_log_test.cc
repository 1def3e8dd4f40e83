// SPDX-License-Identifier: MIT
#include "account/access_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace limpid {
namespace {

AccessRecord record() {
  return {.time = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'123)),
          .client = {*Address::parse("10.1.0.2"), 5000},
          .destination = {*Address::parse("2001:db8::1"), 443},
          .source_kept = SourceKept::port,
          .bytes_up = 17,
          .bytes_down = 1'000'000'000'000,
          .duration = std::chrono::microseconds(1'500'250),
          .reason = CloseReason::done};
}

struct Ends {
  Fd read_end, write_end;
};
Ends pipe_ends() {
  int fds[2];
  EXPECT_EQ(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
  return {Fd(fds[0]), Fd(fds[1])};
}

TEST(AccessLog, IsOneJsonObjectALine) {
  std::string line;
  append_line(line, record());
  EXPECT_EQ(
      line,
      R"({"time":"2023-11-14T22:13:20.123Z","proto":"tcp","client":"10.1.0.2:5000",)"
      R"("destination":"[2001:db8::1]:443","source_kept":"port","bytes_up":17,"bytes_down":1000000000000,)"
      R"("duration":1.500250,"via":"relay","app":null,"host":null,"listener":null,"rule":null,"upstream":null,"reason":"done"})"
      "\n");
}

TEST(AccessLog, TellsWhatWasDecidedAndWhy) {
  AccessRecord session = record();
  session.app = Application::tls;
  session.host = "x.example";
  session.listener = "front";
  session.rule = "no ads";
  session.upstream = "office";
  std::string line;
  append_line(line, session);
  EXPECT_NE(line.find(R"("via":"relay","app":"tls","host":"x.example","listener":"front","rule":"no ads",)"
                      R"("upstream":"office","reason":)"),
            std::string::npos);
}

TEST(AccessLog, TellsAFlowsDatagrams) {
  AccessRecord flow = record();
  flow.protocol = Protocol::udp;
  flow.datagrams_up = 3;
  flow.datagrams_down = 4;
  flow.via = Via::kernel;
  std::string line;
  append_line(line, flow);
  EXPECT_NE(line.find(R"("proto":"udp")"), std::string::npos);
  EXPECT_NE(line.find(R"("source_kept":"port","datagrams_up":3,"datagrams_down":4,"bytes_up":17)"), std::string::npos);
  EXPECT_NE(line.find(R"("via":"kernel","app":null,)"), std::string::npos);
  flow.down_is_known = false;
  line.clear();
  append_line(line, flow);
  EXPECT_NE(line.find(R"("datagrams_down":null,"bytes_up":17,"bytes_down":null,)"), std::string::npos);
}

TEST(AccessLog, DropsAndCountsWhenNobodyReads) {
  const Ends ends = pipe_ends();
  Counters counters;
  AccessLog log(Fd(dup(ends.write_end.raw())), counters);
  for (int i = 0; i < 20'000; ++i) {
    log.add(record());
    log.flush();
  }
  EXPECT_GT(counters.log_lines_lost.value(), 0U);
  EXPECT_FALSE(log.is_empty());
}

TEST(AccessLog, GoesOnWithWholeLinesWhenThereIsRoomAgain) {
  Ends ends = pipe_ends();
  Counters counters;
  AccessLog log(std::move(ends.write_end), counters);
  std::string expected;
  for (int i = 0; i < 2000; ++i) {
    log.add(record());
    append_line(expected, record());
  }
  std::string seen;
  while (seen.size() < expected.size()) {
    log.flush();
    char buffer[5000];
    const ssize_t n = read(ends.read_end.raw(), buffer, sizeof buffer);
    ASSERT_GT(n, 0);
    seen.append(buffer, static_cast<std::size_t>(n));
  }
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(counters.log_lines_lost.value(), 0U);
}

TEST(AccessLog, WritesNothingWhenItIsOff) {
  Counters counters;
  AccessLog log(Fd(), counters);
  log.add(record());
  EXPECT_TRUE(log.is_empty());
  EXPECT_EQ(counters.log_lines_lost.value(), 0U);
}

}  // namespace
}  // namespace limpid
