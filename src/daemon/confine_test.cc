// SPDX-License-Identifier: MIT
// What a worker and a watcher cannot do, tried by a child process that has become one. Needs root.
#include "daemon/confine.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>

#include "daemon/account.h"

namespace limpid {
namespace {

// Runs in a forked child; its return value is the child's exit status.
int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

constexpr int was_allowed = 0;

// The errno of what a confined worker tries; 0: it was allowed.
int as_worker(const std::function<long()>& attempt) {
  return in_child([&] {
    if (!confine_worker(nameless_worker)) return 255;
    errno = 0;
    return attempt() < 0 ? errno : was_allowed;
  });
}

int try_socket(int family, int type, int protocol) {
  return as_worker([=] { return socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol); });
}

TEST(ConfinedWorker, OpensStreamsAndDatagramsOfIpOnly) {
  for (const int family : {AF_INET, AF_INET6}) {
    EXPECT_EQ(try_socket(family, SOCK_STREAM, 0), was_allowed);
    EXPECT_EQ(try_socket(family, SOCK_DGRAM, 0), was_allowed);
    EXPECT_EQ(try_socket(family, SOCK_RAW, IPPROTO_RAW), EPERM);
    EXPECT_EQ(try_socket(family, SOCK_STREAM, 262 /* IPPROTO_MPTCP */), EPERM);
  }
  EXPECT_EQ(try_socket(AF_PACKET, SOCK_RAW, 0), EPERM);
  EXPECT_EQ(try_socket(AF_PACKET, SOCK_DGRAM, 0), EPERM);
  EXPECT_EQ(try_socket(AF_NETLINK, SOCK_RAW, 0), EPERM);
  EXPECT_EQ(try_socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
}

TEST(ConfinedWorker, MakesSocketsTransparentAndMarksThem) {
  EXPECT_EQ(as_worker([] {
              const int fd = socket(AF_INET, SOCK_STREAM, 0);
              const int one = 1;
              if (setsockopt(fd, SOL_IP, IP_TRANSPARENT, &one, sizeof one) != 0) return -1;
              return setsockopt(fd, SOL_SOCKET, SO_MARK, &one, sizeof one);
            }),
            was_allowed);
}

TEST(ConfinedWorker, IsRefusedEverythingElse) {
  const struct {
    const char* name;
    std::function<long()> attempt;
  } attempts[] = {
      {"io_uring_setup", [] { return syscall(SYS_io_uring_setup, 8, nullptr); }},
      {"execve", [] { return syscall(SYS_execve, "/bin/true", nullptr, nullptr); }},
      {"execveat", [] { return syscall(SYS_execveat, AT_FDCWD, "/bin/true", nullptr, nullptr, 0); }},
      {"ptrace", [] { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }},
      {"bpf", [] { return syscall(SYS_bpf, 0, nullptr, 0); }},
      {"open", [] { return static_cast<long>(open("/etc/passwd", O_RDONLY)); }},
      {"fork", [] { return syscall(SYS_fork); }},
      {"clone of a process", [] { return syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr); }},
      {"kill", [] { return static_cast<long>(kill(getppid(), 0)); }},
      {"setuid", [] { return syscall(SYS_setuid, 0); }},
      {"unshare", [] { return static_cast<long>(unshare(CLONE_NEWUSER)); }},
      {"setns", [] { return syscall(SYS_setns, 0, 0); }},
      {"mount", [] { return syscall(SYS_mount, nullptr, nullptr, nullptr, 0, nullptr); }},
      {"prctl", [] { return static_cast<long>(prctl(PR_SET_DUMPABLE, 1)); }},
      {"pidfd_open", [] { return syscall(SYS_pidfd_open, getppid(), 0); }},
      {"process_vm_readv", [] { return syscall(SYS_process_vm_readv, getppid(), nullptr, 0, nullptr, 0, 0); }},
      {"setrlimit", [] { return syscall(SYS_prlimit64, 0, 0, nullptr, nullptr); }},
  };
  for (const auto& [name, attempt] : attempts) EXPECT_EQ(as_worker(attempt), EPERM) << name;
  EXPECT_EQ(as_worker([] { return syscall(SYS_clone3, nullptr, 0); }), ENOSYS);
}

TEST(ConfinedWatcher, HasOneCapabilityAndCannotGetMore) {
  EXPECT_EQ(in_child([] {
              if (!confine_watcher(nameless_watcher)) return 255;
              capng_clear(CAPNG_SELECT_BOTH);
              if (capng_get_caps_process() != 0) return 1;
              if (geteuid() != nameless_watcher.uid || getegid() != nameless_watcher.gid) return 2;
              for (unsigned capability = 0; capability <= CAP_LAST_CAP; ++capability) {
                const bool wanted = capability == CAP_NET_ADMIN;
                if ((capng_have_capability(CAPNG_EFFECTIVE, capability) != 0) != wanted) return 3;
                if ((capng_have_capability(CAPNG_PERMITTED, capability) != 0) != wanted) return 4;
                if (capng_have_capability(CAPNG_BOUNDING_SET, capability) != 0) return 5;
              }
              if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 6;
              if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) return 7;
              return setuid(0) == 0 ? 8 : 0;
            }),
            0);
}

TEST(Account, IsNeverRootAndHasANumberWhereThereIsNoUser) {
  EXPECT_FALSE(find_worker_account("root"));
  const Result<WorkerAccount> nobody_there = find_worker_account("no-such-user-here");
  ASSERT_TRUE(nobody_there);
  EXPECT_FALSE(nobody_there->exists);
  EXPECT_EQ(nobody_there->account.uid, nameless_worker.uid);
}

}  // namespace
}  // namespace limpid
