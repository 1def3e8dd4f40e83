// SPDX-License-Identifier: MIT
// The story that the demonstration tells, read from top to bottom: see run_demo().
#include "cli/demo.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <climits>
#include <cstdio>
#include <vector>

#include "api/control.h"
#include "cli/demo_gateway.h"
#include "cli/demo_traffic.h"
#include "net/lab.h"
#include "net/traces.h"

namespace limpid {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;
using Clock = std::chrono::steady_clock;

constexpr std::array families{AF_INET, AF_INET6};
constexpr auto patience = 3s;               // for anything: then it counts as failed
constexpr auto at_once = 500ms;             // less than the second after which a lost SYN is sent again
constexpr auto cleaned_up = 1s;             // what limpid promises after a SIGKILL
constexpr std::uint64_t middle = 64 << 20;  // bytes of the download after which the supervisor is killed

// Claims are counted, not assumed: each line that says "ok" has been checked.
class Claims {
 public:
  void check(bool holds, std::string_view claim) {
    fmt::print("  {}  {}\n", holds ? "ok    " : "FAILED", claim);
    failed_ += holds ? 0 : 1;
  }
  // Returns whether it holds, for what only makes sense then.
  template <class T>
  bool check(const Result<T>& result, std::string_view claim) {
    check(result.has_value(), result ? std::string(claim) : fmt::format("{}: {}", claim, result.error().what));
    return result.has_value();
  }
  [[nodiscard]] int failed() const { return failed_; }

 private:
  int failed_ = 0;
};

struct Lab {
  NetworkNamespace client;
  NetworkNamespace gateway;
  NetworkNamespace server;
};

struct Addresses {
  const char* client;
  const char* gateway_to_client;
  const char* gateway_to_server;
  const char* server;
  int prefix_length;
};

// Documentation addresses (RFC 5737, RFC 3849): nobody's.
constexpr Addresses addresses(int family) {
  if (family == AF_INET) return {"198.51.100.7", "198.51.100.1", "203.0.113.1", "203.0.113.80", 24};
  return {"2001:db8:1::7", "2001:db8:1::1", "2001:db8:2::1", "2001:db8:2::80", 64};
}

Endpoint server_endpoint(int family) { return {*Address::parse(addresses(family).server), 80}; }

Result<> address_family(const Lab& lab, int family) {
  const Addresses& use = addresses(family);
  const auto address = [&use](const char* text) { return LinkAddress{*Address::parse(text), use.prefix_length}; };
  for (const Result<>& done : {add_address({lab.client, "eth0"}, address(use.client)),
                               add_address({lab.gateway, "lan0"}, address(use.gateway_to_client)),
                               add_address({lab.gateway, "wan0"}, address(use.gateway_to_server)),
                               add_address({lab.server, "eth0"}, address(use.server)),
                               add_default_route(lab.client, *Address::parse(use.gateway_to_client)),
                               add_default_route(lab.server, *Address::parse(use.gateway_to_server))})
    if (!done) return done;
  return {};
}

Result<Lab> build_lab() {
  Result<NetworkNamespace> client = NetworkNamespace::create();
  Result<NetworkNamespace> gateway = NetworkNamespace::create();
  Result<NetworkNamespace> server = NetworkNamespace::create();
  for (const Result<NetworkNamespace>* made : {&client, &gateway, &server})
    if (!*made) return std::unexpected(made->error());
  Lab lab{std::move(*client), std::move(*gateway), std::move(*server)};
  for (const Result<>& done :
       {plug_cable({lab.client, "eth0"}, {lab.gateway, "lan0"}, patience),
        plug_cable({lab.server, "eth0"}, {lab.gateway, "wan0"}, patience), forward_packets(lab.gateway),
        address_family(lab, AF_INET), address_family(lab, AF_INET6)})
    if (!done) return std::unexpected(done.error());
  return lab;
}

void print_lab() {
  fmt::print("\nThree network namespaces, made for this and gone after it:\n\n");
  fmt::print("  {:<15}  {:<15}  {:>15}\n", "client", "gateway", "server");
  fmt::print("  {:<15}--{:<15}--{:>15}\n", "eth0 ----------", " lan0 --- wan0 ", "---------- eth0");
  for (int family : families)
    fmt::print("  {:<15}  {:<15}  {:>15}\n", addresses(family).client, "", addresses(family).server);
}

std::uint64_t forwarded(const Lab& lab) {
  std::uint64_t sum = 0;
  for (int family : families) sum += forwarded_packets(lab.gateway, family).value_or(0);
  return sum;
}

void print_exchange(int family, const Exchange& exchange) {
  const Seen& near = exchange.by_client;
  const Seen& far = exchange.by_server;
  const auto same = [](const std::string& one, const std::string& other) { return one == other ? "yes" : "NO"; };
  fmt::print("  {}  {:<8}  {:<28}  {:<28}  {}\n", family_name(family), "client", near.client, far.client,
             same(near.client, far.client));
  fmt::print("  {:4}  {:<8}  {:<28}  {:<28}  {}\n", "", "server", near.server, far.server,
             same(near.server, far.server));
}

// A request over each family. `within`: what it may take.
void exchange_requests(const Lab& lab, Claims& claims, std::chrono::milliseconds within) {
  fmt::print("\n  {:4}  {:<8}  {:<28}  {:<28}  {}\n", "", "", "the client saw", "the server saw", "same");
  bool same = true;
  std::chrono::microseconds slowest{};
  for (int family : families) {
    Result<Exchange> exchange = fetch(lab.client, server_endpoint(family), patience);
    if (!exchange) {
      claims.check(exchange, fmt::format("HTTP over {}", family_name(family)));
      same = false;
      continue;
    }
    print_exchange(family, *exchange);
    same = same && exchange->by_client == exchange->by_server;
    slowest = std::max(slowest, exchange->took);
  }
  fmt::print("\n");
  claims.check(same, "each end saw the other's own address and port");
  claims.check(slowest < within,
               fmt::format("the slower one took {:.1f} ms", static_cast<double>(slowest.count()) / 1e3));
}

// Nothing where there is no such text or number in it.
std::string text_at(const json::value& value, const char* name) {
  const json::value* found = value.is_object() ? value.as_object().if_contains(name) : nullptr;
  return found != nullptr && found->is_string() ? std::string(found->as_string()) : std::string();
}
std::int64_t number_at(const json::value& value, const std::string& pointer) {
  boost::system::error_code error;
  const json::value* found = value.find_pointer(pointer, error);
  return found != nullptr && found->is_number() ? found->to_number<std::int64_t>(error) : -1;
}

void show_the_access_log(DemoGateway& gateway, Claims& claims) {
  fmt::print("\nWhat limpid says of them (access log):\n\n");
  int kept = 0;
  for (std::size_t line = 0; line < families.size(); ++line) {
    Result<std::string> entry = gateway.next_line(patience);
    if (!entry) {
      claims.check(entry, "access log");
      break;
    }
    fmt::print("  {}\n", *entry);
    boost::system::error_code error;
    kept += text_at(json::parse(*entry, error), "source_kept") == "port" ? 1 : 0;
  }
  fmt::print("\n");
  claims.check(kept == 2, "both were logged, with the client's address and port kept");
}

void show_that_limpid_carried(const Lab& lab, Claims& claims) {
  Result<std::string> status = ask(default_control_socket, "status", patience);
  if (!claims.check(status, "limpid status answers")) return;
  boost::system::error_code error;
  const json::value told = json::parse(*status, error);
  const std::int64_t accepted = number_at(told, "/counters/accepted");
  const std::int64_t kept = number_at(told, "/counters/source_port_kept");
  claims.check(accepted == 2 && kept == 2,
               fmt::format("it counts {} accepted, {} of them with the client's port", accepted, kept));
  const std::uint64_t packets = forwarded(lab);
  claims.check(packets == 0,
               fmt::format("the gateway's kernel has forwarded {} packets: all went through limpid", packets));
}

void kill_in_the_middle(const Lab& lab, DemoGateway& gateway, Claims& claims) {
  fmt::print("\nA download is under way when limpid's supervisor gets SIGKILL:\n\n");
  Clock::time_point killed{};
  const auto kill = [&gateway, &killed] {
    killed = Clock::now();
    gateway.kill_supervisor();
  };
  Result<Download> got = download(lab.client, server_endpoint(AF_INET), middle, kill, patience);
  const auto after = [&killed] { return std::chrono::duration<double, std::milli>(Clock::now() - killed).count(); };
  if (!claims.check(got, "the download began")) return;
  claims.check(got->bytes >= middle && got->was_reset,
               fmt::format("after {} MiB and {:.1f} ms more it ended with \"{}\": no piece passes for the whole",
                           got->bytes >> 20, after(), got->end));
}

void show_that_traffic_goes_on(const Lab& lab, Claims& claims) {
  fmt::print("\nThe very next requests, without limpid:\n");
  exchange_requests(lab, claims, at_once);
  const std::uint64_t packets = forwarded(lab);
  claims.check(packets > 0, fmt::format("the gateway's kernel has forwarded {} packets: they went direct", packets));
}

void show_that_the_kernel_is_clean(const Lab& lab, DemoGateway& gateway, Claims& claims) {
  fmt::print("\nWhat is left on the gateway (asked over netlink: nf_tables and rtnetlink):\n\n");
  claims.check(gateway.await_end(cleaned_up), "no process of limpid's runs");
  Result<std::vector<std::string>> traces;
  {
    const NetworkNamespace::Inside inside(lab.gateway);
    traces = find_traces({.table = "limpid", .protocol = 153});
  }
  if (!claims.check(traces, "the kernel was asked")) return;
  for (const std::string& trace : *traces) fmt::print("          {}\n", trace);
  claims.check(traces->empty(), "no table of limpid's, no fib rule and no route of its protocol number (153)");
}

Result<> tell(const std::string& program, Claims& claims) {
  if (Result<> done = make_run_private(); !done) return done;
  Result<Lab> lab = build_lab();
  if (!lab) return failure_in("build the network", lab);
  print_lab();

  const std::vector<std::string> command{program, "run", "--interface", "lan0", "--tcp", "80"};
  const auto start = Clock::now();
  Result<std::unique_ptr<DemoGateway>> gateway = DemoGateway::start(lab->gateway, command);
  if (!gateway) return failure_in("start limpid", gateway);
  Result<> ready = (*gateway)->await_ready(6s);
  if (!ready) return failure(fmt::format("limpid run: {}\n{}", ready.error().what, (*gateway)->messages()));
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
  fmt::print("\nOn the gateway: limpid run --interface lan0 --tcp 80      (ready after {} ms)\n", took.count());

  Result<std::unique_ptr<DemoServer>> server =
      DemoServer::start(lab->server, {server_endpoint(AF_INET), server_endpoint(AF_INET6)});
  if (!server) return failure_in("start the server", server);
  exchange_requests(*lab, claims, patience);
  show_the_access_log(**gateway, claims);
  show_that_limpid_carried(*lab, claims);
  kill_in_the_middle(*lab, **gateway, claims);
  show_that_traffic_goes_on(*lab, claims);
  show_that_the_kernel_is_clean(*lab, **gateway, claims);
  if (claims.failed() > 0) fmt::print("\nlimpid's own messages:\n{}", (*gateway)->messages());
  return {};
}

Result<std::string> own_program() {
  std::array<char, PATH_MAX> path;
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  if (size < 0) return errno_failure("readlink /proc/self/exe", errno);
  return std::string(path.data(), static_cast<std::size_t>(size));
}

}  // namespace

int run_demo(const DemoOptions& options) {
  if (::geteuid() != 0) {
    fmt::print(stderr, "limpid demo: making network namespaces needs root: run it as root\n");
    return 1;
  }
  Result<std::string> program = options.program.empty() ? own_program() : Result<std::string>(options.program);
  Claims claims;
  Result<> told = program ? tell(*program, claims) : std::unexpected(program.error());
  std::fflush(stdout);
  if (!told) {
    fmt::print(stderr, "limpid demo: {}\n", told.error().what);
    return 1;
  }
  if (claims.failed() > 0) {
    fmt::print(stderr, "limpid demo: {} of the claims above did not hold\n", claims.failed());
    return 1;
  }
  fmt::print("\nEvery claim above was checked.\n");
  return 0;
}

}  // namespace limpid
