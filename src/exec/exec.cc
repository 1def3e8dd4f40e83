// SPDX-License-Identifier: MIT
#include "exec/exec.h"

#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"
#include "exec/attendant.h"
#include "exec/call_filter.h"
#include "exec/privileges.h"

namespace limpid {
namespace {

// Where the program shall start without a standard descriptor, none of ours may have its number until then.
void take_standard_numbers() {
  int fd;
  do fd = ::eventfd(0, EFD_CLOEXEC);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) ::close(fd);
}

// From then on this process is watched. What it opens here goes with execve(2).
Result<> be_attended(const Permissions& permissions) {
  if (Result<> able = expect_transparency(); !able) return able;
  const Result<CallFilter> filter = CallFilter::make(permissions);
  if (!filter) return std::unexpected(filter.error());
  Result<Attendant> attendant = Attendant::start(permissions);
  if (!attendant) return std::unexpected(attendant.error());
  if (Result<> given_up = give_up_privileges(); !given_up) return given_up;
  // As it will be once it is the program: a process with capabilities of its file's is not, and nobody may touch it.
  if (::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) return errno_failure("prctl PR_SET_DUMPABLE", errno);
  const Result<Fd> listener = filter->install();
  if (!listener) return std::unexpected(listener.error());
  return attendant->attend_to(*listener);
}

}  // namespace

NotStarted exec_program(const std::vector<std::string>& command, const Permissions& permissions) {
  CHECK(!command.empty());
  take_standard_numbers();
  if (const Result<> attended = be_attended(permissions); !attended) return {attended.error(), exit_not_prepared};
  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  const int refusal = errno;
  return {errno_failure(command.front(), refusal).error(), refusal == ENOENT ? exit_not_found : exit_not_executable};
}

}  // namespace limpid
