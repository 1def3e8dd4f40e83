// SPDX-License-Identifier: MIT
#include "api/control.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <thread>

#include "api/status.h"
#include "base/temporary_directory.h"

namespace limpid {
namespace {

using std::chrono::seconds;

class Control : public ::testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return directory_.path() / "socket"; }

  // Answers one request with this.
  static std::jthread answering(const Fd& listener, std::string answer) {
    return std::jthread([&listener, answer] {
      const Fd connection(accept4(listener.raw(), nullptr, nullptr, SOCK_CLOEXEC));
      char request[longest_request];
      EXPECT_GT(recv(connection.raw(), request, sizeof request, 0), 0);
      EXPECT_EQ(send(connection.raw(), answer.data(), answer.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(answer.size()));
    });
  }

  TemporaryDirectory directory_;
};

TEST_F(Control, IsForItsOwnerAlone) {
  const Result<Fd> listener = listen_for_requests(path());
  ASSERT_TRUE(listener);
  struct stat status;
  ASSERT_EQ(stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(Control, CarriesAnswersAndRefusals) {
  const Fd listener = *listen_for_requests(path());
  {
    const std::jthread server = answering(listener, answer_result("{\"a\":[1,\"x\"]}"));
    EXPECT_EQ(*ask(path(), "status", seconds(5)), "{\"a\":[1,\"x\"]}");
  }
  {
    const std::jthread server = answering(listener, answer_error("no \"such\"\nthing"));
    EXPECT_EQ(ask(path(), "x", seconds(5)).error().what, "no \"such\"\nthing");
  }
  {
    const std::jthread server = answering(listener, "HTTP/1.1 200 OK\r\n");
    EXPECT_FALSE(ask(path(), "status", seconds(5)));
  }
}

TEST_F(Control, KnowsNobodyThereFromAnotherRefusal) {
  EXPECT_TRUE(is_nobody_there(ask(path(), "status", seconds(1)).error()));
  listen_for_requests(path())->close();  // its file stays
  EXPECT_TRUE(is_nobody_there(ask(path(), "status", seconds(1)).error()));
  const Result<std::string> too_long = ask(std::string(200, 'x'), "status", seconds(1));
  ASSERT_FALSE(too_long);
  EXPECT_FALSE(is_nobody_there(too_long.error()));
}

TEST_F(Control, ReplacesADeadSocketButNeitherALivingOneNorAFile) {
  listen_for_requests(path())->close();
  const Result<Fd> second = listen_for_requests(path());
  ASSERT_TRUE(second) << second.error().what;
  const Result<Fd> third = listen_for_requests(path());
  ASSERT_FALSE(third);
  EXPECT_NE(third.error().what.find("another limpid listens there"), std::string::npos);
  const std::string file = directory_.path() / "file";
  const Fd made(open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  EXPECT_FALSE(listen_for_requests(file));
  EXPECT_TRUE(std::filesystem::exists(file));
}

TEST(Status, IsTheSameForPeopleAndAsJson) {
  Status status;
  status.state = "ready";
  status.sessions_max = 99;
  status.counters.closed[static_cast<std::size_t>(CloseReason::loop)] = 3;
  status.degraded = {"IPv6 is not available"};
  const Result<std::string> text = status_for_people(to_json(status));
  ASSERT_TRUE(text);
  for (const char* part :
       {"ready", "sessions_max", "99", "closed: loop", "IPv6 is not available", "installed: nothing"})
    EXPECT_NE(text->find(part), std::string::npos) << part;
  for (const char* wrong : {"", "[]", "{}", "{\"state\":\"ready\"}", "nonsense"})
    EXPECT_FALSE(status_for_people(wrong)) << wrong;
}

}  // namespace
}  // namespace limpid
