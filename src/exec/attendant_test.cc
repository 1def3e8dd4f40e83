// SPDX-License-Identifier: MIT
// System calls of a process that has an attendant: what becomes of its sockets, and that all else is as without. Each
// test runs in a forked child, which says by its exit status how many of its expectations failed. Needs root.
#include "exec/attendant.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <functional>
#include <thread>

#include "exec/call_filter.h"
#include "exec/caller.h"
#include "net/fresh_namespace.h"
#include "net/socket.h"

namespace limpid {
namespace {

// Runs in a child that has an attendant. Expectations that fail there are told there, and counted here.
void expect_attended(const Permissions& permissions, const std::function<void()>& body) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Result<Attendant> attendant = Attendant::start(permissions);
    EXPECT_TRUE(attendant);
    const Result<Fd> listener = CallFilter::make(permissions)->install();
    EXPECT_TRUE(listener);
    EXPECT_TRUE(attendant->attend_to(*listener));
    body();
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
}

// An address with its length, as the calls take it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  explicit SocketAddress(const Endpoint& endpoint) { length = endpoint.to_sockaddr(storage); }
  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
};

Endpoint place(const char* address, std::uint16_t port) { return {*Address::parse(address), port}; }

int connect_socket(int fd, SocketAddress to) { return ::connect(fd, to.raw(), to.length) == 0 ? 0 : errno; }
int send_by_sendto(int fd, SocketAddress to) { return ::sendto(fd, "x", 1, 0, to.raw(), to.length) == 1 ? 0 : errno; }
int send_by_sendmsg(int fd, SocketAddress to) {
  char byte = 'x';
  iovec bytes{&byte, 1};
  msghdr message{};
  message.msg_name = to.raw();
  message.msg_namelen = to.length;
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  return ::sendmsg(fd, &message, 0) == 1 ? 0 : errno;
}
int send_by_sendmmsg(int fd, SocketAddress to) {
  char byte = 'x';
  iovec bytes{&byte, 1};
  mmsghdr messages[2]{};
  for (auto& [header, size] : messages) {
    header.msg_name = to.raw();
    header.msg_namelen = to.length;
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
  }
  return ::sendmmsg(fd, messages, 2, 0) == 2 ? 0 : errno;
}

bool is_transparent(int fd, int family) {
  int value = 0;
  socklen_t length = sizeof value;
  EXPECT_EQ(getsockopt(fd, family == AF_INET ? SOL_IP : SOL_IPV6, family == AF_INET ? IP_TRANSPARENT : IPV6_TRANSPARENT,
                       &value, &length),
            0);
  return value != 0;
}

class Attended : public FreshNamespace, public ::testing::WithParamInterface<int> {
 protected:
  void SetUp() override {
    FreshNamespace::SetUp();
    shell("ip route add default dev lo; ip -6 route add default dev lo");  // somewhere to send to
  }
  [[nodiscard]] static int family() { return GetParam(); }
  [[nodiscard]] static Endpoint foreign(std::uint16_t port = 0) {
    return place(family() == AF_INET ? "192.0.2.77" : "2001:db8::77", port);
  }
  [[nodiscard]] static Endpoint elsewhere() { return place(family() == AF_INET ? "203.0.113.1" : "2001:db8:1::1", 53); }
  [[nodiscard]] static Fd socket(int type, int of_family = GetParam()) {
    return Fd(::socket(of_family, type | SOCK_CLOEXEC, 0));
  }
  [[nodiscard]] static Permissions bind_any() { return {.bind_any = true, .source = std::nullopt}; }
  [[nodiscard]] static Permissions from(const Endpoint& source) { return {.bind_any = false, .source = source}; }
};

TEST_P(Attended, BindsForeignAddressesAndIsTransparentAtItsOwn) {
  expect_attended(bind_any(), [] {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM})
      for (const Endpoint& address :
           {foreign(4711), Endpoint{Address::loopback(family()), 4711}, Endpoint{Address::any(family()), 4712}}) {
        const Fd fd = socket(type);
        EXPECT_EQ(bind_to(fd.raw(), address), 0) << address.text();
        EXPECT_EQ(*local_endpoint(fd.raw()), address);
        EXPECT_TRUE(is_transparent(fd.raw(), family()));
      }
  });
}

TEST_P(Attended, BindsFromEachOfItsThreads) {
  expect_attended(bind_any(),
                  [] { std::thread([] { EXPECT_EQ(bind_to(socket(SOCK_STREAM).raw(), foreign(4711)), 0); }).join(); });
}

TEST_P(Attended, BindsInEachOfItsChildren) {
  expect_attended(bind_any(), [] {
    const pid_t child = fork();
    if (child == 0) _exit(bind_to(socket(SOCK_STREAM).raw(), foreign(4711)));
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  });
}

TEST_P(Attended, MayBindWhatTheKernelLetsItAlone) {
  expect_attended(bind_any(), [] {
    const Fd first = socket(SOCK_STREAM);
    EXPECT_EQ(bind_to(first.raw(), foreign(4711)), 0);
    EXPECT_EQ(bind_to(first.raw(), foreign(4712)), EINVAL);
    EXPECT_EQ(bind_to(socket(SOCK_STREAM).raw(), foreign(4711)), EADDRINUSE);
    SocketAddress address(foreign(4713));
    EXPECT_EQ(::bind(-1, address.raw(), address.length), -1);
    EXPECT_EQ(errno, EBADF);
    EXPECT_EQ(::bind(STDERR_FILENO, address.raw(), address.length), -1);
    EXPECT_EQ(errno, ENOTSOCK);
    EXPECT_EQ(::bind(socket(SOCK_STREAM).raw(), address.raw(), 3), -1);
    EXPECT_EQ(errno, EINVAL);
  });
}

TEST_P(Attended, BindsOnlyItsOwnAddressesWhereItIsForASourceAlone) {
  expect_attended(from(foreign()), [] { EXPECT_EQ(bind_to(socket(SOCK_STREAM).raw(), foreign(4711)), EADDRNOTAVAIL); });
}

TEST_P(Attended, ConnectsFromTheSource) {
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{0, 4711})
    expect_attended(from(foreign(port)), [port] {
      for (const int type : {SOCK_STREAM | SOCK_NONBLOCK, SOCK_DGRAM | SOCK_NONBLOCK}) {
        const Fd fd = socket(type);
        EXPECT_EQ(connect_socket(fd.raw(), SocketAddress(elsewhere())), (type & SOCK_DGRAM) != 0 ? 0 : EINPROGRESS);
        const Endpoint local = *local_endpoint(fd.raw());
        EXPECT_EQ(local.address, foreign().address);
        if (port == 0)
          EXPECT_NE(local.port, 0);
        else
          EXPECT_EQ(local.port, port);
      }
    });
}

TEST_P(Attended, SendsDatagramsFromTheSource) {
  expect_attended(from(foreign()), [] {
    for (const auto send : {send_by_sendto, send_by_sendmsg, send_by_sendmmsg}) {
      const Fd fd = socket(SOCK_DGRAM);
      EXPECT_EQ(send(fd.raw(), SocketAddress(elsewhere())), 0);
      EXPECT_EQ(local_endpoint(fd.raw())->address, foreign().address);
      EXPECT_EQ(send(fd.raw(), SocketAddress(elsewhere())), 0);  // it is bound now
    }
  });
}

TEST_P(Attended, LeavesAloneWhatIsBound) {
  expect_attended(from(foreign()), [] {
    const Endpoint own{Address::loopback(family()), 4711};
    const Fd fd = socket(SOCK_DGRAM);
    EXPECT_EQ(bind_to(fd.raw(), own), 0);
    EXPECT_EQ(send_by_sendmsg(fd.raw(), SocketAddress({own.address, 9})), 0);
    EXPECT_EQ(*local_endpoint(fd.raw()), own);
    EXPECT_FALSE(is_transparent(fd.raw(), family()));
  });
}

TEST_P(Attended, SpeaksWithItselfFromItsOwnAddress) {
  expect_attended(from(foreign()), [] {
    const Fd listener = socket(SOCK_STREAM);
    EXPECT_EQ(bind_to(listener.raw(), {Address::loopback(family()), 0}), 0);
    EXPECT_EQ(::listen(listener.raw(), 1), 0);
    const Fd fd = socket(SOCK_STREAM);
    EXPECT_EQ(connect_socket(fd.raw(), SocketAddress(*local_endpoint(listener.raw()))), 0);
    EXPECT_EQ(local_endpoint(fd.raw())->address, Address::loopback(family()));
  });
}

TEST_P(Attended, IsLeftAloneInTheOtherFamily) {
  expect_attended(from(family() == AF_INET ? place("2001:db8::77", 0) : place("192.0.2.77", 0)), [] {
    const Fd fd = socket(SOCK_DGRAM);
    EXPECT_EQ(connect_socket(fd.raw(), SocketAddress(elsewhere())), 0);
    EXPECT_FALSE(is_transparent(fd.raw(), family()));
  });
}

TEST_P(Attended, GetsTheKernelsOwnErrorsForNonsense) {
  expect_attended(from(foreign()), [] {
    auto* const nowhere = std::bit_cast<sockaddr*>(std::uintptr_t{8});
    const Fd fd = socket(SOCK_DGRAM);
    EXPECT_EQ(::connect(fd.raw(), nowhere, sizeof(sockaddr_in6)), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(::sendto(fd.raw(), "x", 1, 0, nowhere, sizeof(sockaddr_in6)), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(::syscall(SYS_sendmsg, fd.raw(), nowhere, 0), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(::syscall(SYS_sendmmsg, fd.raw(), nowhere, 1, 0), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(::syscall(SYS_sendmmsg, fd.raw(), nowhere, 0, 0), 0);
    SocketAddress whole(elsewhere());
    EXPECT_EQ(::connect(fd.raw(), whole.raw(), 3), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(::connect(fd.raw(), whole.raw(), -1U), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(::connect(-1, whole.raw(), whole.length), -1);
    EXPECT_EQ(errno, EBADF);
    EXPECT_FALSE(is_transparent(fd.raw(), family()));
  });
}

TEST_P(Attended, CannotGoPastTheSourceThroughIoUring) {
  expect_attended(from(foreign()), [] {
    EXPECT_EQ(::syscall(SYS_io_uring_setup, 1, nullptr), -1);
    EXPECT_EQ(errno, ENOSYS);
  });
}

TEST_P(Attended, HasLocalSocketsAsEver) {
  expect_attended({.bind_any = true, .source = foreign()}, [] {
    sockaddr_un name{.sun_family = AF_UNIX, .sun_path = {}};
    std::memcpy(name.sun_path + 1, "limpid-test", 11);  // in this network namespace alone (unix(7))
    auto* const address = reinterpret_cast<sockaddr*>(&name);
    const Fd listener = socket(SOCK_DGRAM, AF_UNIX);
    EXPECT_EQ(::bind(listener.raw(), address, sizeof name), 0);
    const Fd fd = socket(SOCK_DGRAM, AF_UNIX);
    EXPECT_EQ(::sendto(fd.raw(), "x", 1, 0, address, sizeof name), 1);
    EXPECT_EQ(::connect(fd.raw(), address, sizeof name), 0);
    EXPECT_EQ(::send(fd.raw(), "y", 1, 0), 1);
    char bytes[2];
    EXPECT_EQ(::recv(listener.raw(), bytes, 1, 0) + ::recv(listener.raw(), bytes + 1, 1, 0), 2);
    EXPECT_EQ(bytes[0], 'x');
    EXPECT_EQ(bytes[1], 'y');
  });
}

#ifdef __x86_64__
// x32, of which most kernels know nothing. Calls of 32 bits take the same way through the filter.
TEST_P(Attended, PassesUntouchedByAnotherAbi) {
  expect_attended(bind_any(), [] {
    const Fd fd = socket(SOCK_STREAM);
    SocketAddress address(foreign(4711));
    EXPECT_EQ(::syscall(__X32_SYSCALL_BIT | SYS_bind, fd.raw(), address.raw(), address.length), -1);
    EXPECT_TRUE(errno == ENOSYS || errno == EADDRNOTAVAIL) << errno;
    EXPECT_FALSE(is_transparent(fd.raw(), family()));
  });
}
#endif

TEST_P(Attended, MapsAnIpv4SourceOnAnIpv6Socket) {
  expect_attended(from(place("192.0.2.77", 0)), [] {
    const Fd fd = socket(SOCK_DGRAM, AF_INET6);
    EXPECT_EQ(connect_socket(fd.raw(), SocketAddress(place("::ffff:203.0.113.1", 53))), 0);
    EXPECT_EQ(local_endpoint(fd.raw())->address, *Address::parse("::ffff:192.0.2.77"));
  });
}

INSTANTIATE_TEST_SUITE_P(OfBothFamilies, Attended, ::testing::Values(AF_INET, AF_INET6),
                         [](const auto& family) { return std::string(family_name(family.param)); });

TEST(Caller, HasAProcessThatItsThreadLeadsTo) {
  const Fd marker(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::thread([&] {
    const std::expected<Fd, int> process = open_process_of(static_cast<pid_t>(::syscall(SYS_gettid)));
    ASSERT_TRUE(process);
    EXPECT_TRUE(take_descriptor(*process, marker.raw()));
    EXPECT_EQ(take_descriptor(*process, 19999).error(), EBADF);
  }).join();
}

TEST(Caller, ThatIsGoneIsSaidToBe) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  const Fd pidfd = *open_thread(child);
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(open_thread(child).error(), ESRCH);
  EXPECT_EQ(open_process_of(child).error(), ESRCH);
  EXPECT_EQ(take_descriptor(pidfd, 0).error(), ESRCH);
}

TEST(Caller, HasMemoryThatIsReadWhollyOrNotAtAll) {
  const long page = sysconf(_SC_PAGESIZE);
  auto* const pages = static_cast<std::byte*>(
      ::mmap(nullptr, static_cast<std::size_t>(2 * page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  pages[page - 1] = std::byte{42};
  ASSERT_EQ(::munmap(pages + page, static_cast<std::size_t>(page)), 0);
  std::byte read[2]{};
  const auto place = reinterpret_cast<std::uint64_t>(pages + page - 1);
  EXPECT_EQ(read_memory(::getpid(), place, std::span(read).first(1)), 0);
  EXPECT_EQ(read[0], std::byte{42});
  EXPECT_EQ(read_memory(::getpid(), place, read), EFAULT);
}

}  // namespace
}  // namespace limpid
