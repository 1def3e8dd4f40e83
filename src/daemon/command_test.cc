// SPDX-License-Identifier: MIT
#include "daemon/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <cerrno>
#include <csignal>

namespace limpid {
namespace {

using ::testing::HasSubstr;

int status_of(const std::string& script) {
  Result<Command> command = Command::start({"sh", "-c", script});
  EXPECT_TRUE(command) << command.error().what;
  pollfd ended{command->pidfd(), POLLIN, 0};
  EXPECT_EQ(poll(&ended, 1, 10'000), 1);
  EXPECT_TRUE(command->has_ended());
  return command->status();
}

TEST(Command, TellsItsStatusAsAShellDoes) {
  EXPECT_EQ(status_of("exit 0"), 0);
  EXPECT_EQ(status_of("exit 7"), 7);
  EXPECT_EQ(status_of("kill -TERM $$"), 128 + SIGTERM);
}

TEST(Command, SaysWhatCannotBeExecuted) {
  const Result<Command> nothing = Command::start({"/nonexistent"});
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, ENOENT);
  EXPECT_THAT(nothing.error().what, HasSubstr("run /nonexistent"));
  EXPECT_EQ(Command::start({"/etc/passwd"}).error().code, EACCES);
}

TEST(Command, KeepsItsEnvironmentButForSystemdsSocket) {
  ASSERT_EQ(setenv("NOTIFY_SOCKET", "/x", 1) + setenv("COMMAND_TEST", "kept", 1), 0);
  EXPECT_EQ(status_of("test \"$COMMAND_TEST\" = kept && test -z \"$NOTIFY_SOCKET\""), 0);
  unsetenv("NOTIFY_SOCKET");
}

TEST(Command, HearsOfBrokenPipesAsAnyProgramDoes) {
  std::signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(status_of("kill -PIPE $$"), 128 + SIGPIPE);
}

TEST(Command, EndsWithItsOwner) {
  pid_t pid = 0;
  {
    const Result<Command> command = Command::start({"sleep", "1000"});
    ASSERT_TRUE(command);
    EXPECT_FALSE(command->has_ended());
    pid = command->pid();
  }
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

}  // namespace
}  // namespace limpid
