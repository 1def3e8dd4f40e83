// SPDX-License-Identifier: MIT
#include "cli/demo_traffic.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <optional>

namespace limpid {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

std::string text(const tcp::endpoint& endpoint) {
  sockaddr_storage storage{};
  std::memcpy(&storage, endpoint.data(), endpoint.size());
  return Endpoint::from_sockaddr(storage).text();
}

tcp::endpoint to_asio(const Endpoint& endpoint) {
  return {asio::ip::make_address(endpoint.address.text()), endpoint.port};
}

std::unexpected<Error> refused(std::string_view what, const error_code& error) {
  return failure(fmt::format("{}: {}", what, error.message()), error.value());
}

asio::awaitable<void> send_endlessly(beast::tcp_stream& stream) {
  // No Content-Length: the end of the connection is the end of the file, so a client could not tell a piece from the
  // whole.
  const std::string head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
  const std::string piece(1 << 18, '.');
  auto [error, sent] = co_await asio::async_write(stream, asio::buffer(head), no_throw);
  while (!error) {
    stream.expires_after(std::chrono::seconds(10));
    std::tie(error, sent) = co_await asio::async_write(stream, asio::buffer(piece), no_throw);
  }
}

asio::awaitable<void> serve(beast::tcp_stream stream) {
  error_code ignored;  // a client that is gone already has no address to tell
  const std::string client = text(stream.socket().remote_endpoint(ignored));
  const std::string server = text(stream.socket().local_endpoint(ignored));
  beast::flat_buffer buffer;
  http::request<http::empty_body> request;
  stream.expires_after(std::chrono::seconds(10));
  auto [error, size] = co_await http::async_read(stream, buffer, request, no_throw);
  if (error) co_return;
  if (request.target() == "/endless") co_return co_await send_endlessly(stream);
  http::response<http::string_body> response(http::status::ok, request.version(), client + "\n" + server + "\n");
  response.set(http::field::content_type, "text/plain");
  response.keep_alive(false);
  response.prepare_payload();
  co_await http::async_write(stream, response, no_throw);
  stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

asio::awaitable<void> accept(tcp::acceptor& acceptor) {
  for (;;) {
    auto [error, socket] = co_await acceptor.async_accept(no_throw);
    if (error) co_return;  // the demonstration then fails by what the client says
    asio::co_spawn(acceptor.get_executor(), serve(beast::tcp_stream(std::move(socket))), asio::detached);
  }
}

// A connection made inside `from`, with a request for `target` on its way.
asio::awaitable<error_code> request(beast::tcp_stream& stream, const NetworkNamespace& from, const Endpoint& server,
                                    const char* target) {
  const tcp::endpoint to = to_asio(server);
  error_code error;
  {
    const NetworkNamespace::Inside inside(from);
    stream.socket().open(to.protocol(), error);
  }
  if (error) co_return error;
  std::tie(error) = co_await stream.async_connect(to, no_throw);
  if (error) co_return error;
  http::request<http::empty_body> message(http::verb::get, target, 11);
  message.set(http::field::host, server.text());
  message.set(http::field::user_agent, "limpid demo");
  std::size_t sent = 0;
  std::tie(error, sent) = co_await http::async_write(stream, message, no_throw);
  co_return error;
}

asio::awaitable<void> fetch_into(Result<Exchange>& result, const NetworkNamespace& from, const Endpoint& server,
                                 std::chrono::milliseconds patience) {
  beast::tcp_stream stream(co_await asio::this_coro::executor);
  stream.expires_after(patience);
  const auto start = std::chrono::steady_clock::now();
  error_code error = co_await request(stream, from, server, "/");
  if (error) {
    result = refused(fmt::format("request to {}", server.text()), error);
    co_return;
  }
  Exchange exchange;
  exchange.by_client = {text(stream.socket().local_endpoint(error)), text(stream.socket().remote_endpoint(error))};
  beast::flat_buffer buffer;
  http::response<http::string_body> response;
  std::size_t size = 0;
  if (!error) std::tie(error, size) = co_await http::async_read(stream, buffer, response, no_throw);
  if (error) {
    result = refused(fmt::format("answer of {}", server.text()), error);
    co_return;
  }
  exchange.took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
  std::istringstream lines(response.body());
  lines >> exchange.by_server.client >> exchange.by_server.server;
  result = exchange;
}

struct DownloadTask {
  const NetworkNamespace& from;
  const Endpoint& server;
  std::uint64_t size;
  const std::function<void()>& at_size;
  std::chrono::milliseconds patience;
};

asio::awaitable<void> download_into(Result<Download>& result, const DownloadTask& task) {
  beast::tcp_stream stream(co_await asio::this_coro::executor);
  stream.expires_after(task.patience);
  error_code error = co_await request(stream, task.from, task.server, "/endless");
  if (error) {
    result = refused(fmt::format("request to {}", task.server.text()), error);
    co_return;
  }
  std::vector<char> buffer(1 << 18);
  std::size_t received = 0;
  bool told = false;
  while (!error) {
    std::tie(error, received) = co_await stream.async_read_some(asio::buffer(buffer), no_throw);
    result->bytes += received;
    if (!told && result->bytes >= task.size) {
      told = true;
      task.at_size();
    }
  }
  result->end = error == asio::error::eof ? "end of file" : error.message();
  result->was_reset = error == asio::error::connection_reset;
}

// Runs one coroutine to its end. What it throws (no memory) is thrown on.
void run_to_end(asio::awaitable<void> task) {
  asio::io_context io;
  std::exception_ptr thrown;
  asio::co_spawn(io, std::move(task), [&thrown](std::exception_ptr exception) { thrown = exception; });
  io.run();
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace

Result<> DemoServer::listen(const Endpoint& at) {
  const tcp::endpoint endpoint = to_asio(at);
  error_code error;
  tcp::acceptor acceptor(io_);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (error) return refused(fmt::format("listen on {}", at.text()), error);
  acceptors_.push_back(std::move(acceptor));
  return {};
}

Result<std::unique_ptr<DemoServer>> DemoServer::start(const NetworkNamespace& where, const std::vector<Endpoint>& at) {
  std::unique_ptr<DemoServer> server(new DemoServer);
  {
    const NetworkNamespace::Inside inside(where);
    for (const Endpoint& endpoint : at)
      if (Result<> done = server->listen(endpoint); !done) return std::unexpected(done.error());
  }
  for (tcp::acceptor& acceptor : server->acceptors_) asio::co_spawn(server->io_, accept(acceptor), asio::detached);
  server->thread_ = std::thread([&io = server->io_] { io.run(); });
  return server;
}

DemoServer::~DemoServer() {
  io_.stop();
  if (thread_.joinable()) thread_.join();
}

Result<Exchange> fetch(const NetworkNamespace& from, const Endpoint& server, std::chrono::milliseconds patience) {
  Result<Exchange> result;
  run_to_end(fetch_into(result, from, server, patience));
  return result;
}

Result<Download> download(const NetworkNamespace& from, const Endpoint& server, std::uint64_t size,
                          const std::function<void()>& at_size, std::chrono::milliseconds patience) {
  Result<Download> result;
  const DownloadTask task{from, server, size, at_size, patience};
  run_to_end(download_into(result, task));
  return result;
}

}  // namespace limpid
