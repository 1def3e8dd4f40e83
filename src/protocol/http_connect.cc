// SPDX-License-Identifier: MIT
#include "protocol/http_connect.h"

#include <algorithm>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>

#include "base/check.h"
#include "protocol/base64.h"

namespace limpid {
namespace {

namespace http = boost::beast::http;
using Kind = Refusal::Kind;

constexpr std::size_t longest_text = 1024;  // of a name and of a password: a proxy's own limit is not far above
constexpr std::string_view start = "HTTP/1.";
constexpr std::size_t shortest_answer = std::string_view("HTTP/1.1 200 \r\n\r\n").size();

Answer refuse_malformed() { return Answer::refuse(Kind::protocol_error, "HTTP CONNECT: malformed answer"); }

// A whole header, with the empty line. Its length is known, so that Beast sees it once and at once.
Answer parse_whole(std::string_view header, unsigned& status) {
  http::response_parser<http::empty_body> parser;
  parser.header_limit(HttpConnect::header_limit);
  parser.skip(true);  // no body follows, whatever the header says (RFC 9110, section 9.3.6)
  boost::system::error_code error;
  const std::size_t used = parser.put(boost::asio::buffer(header.data(), header.size()), error);
  if (error || used != header.size() || !parser.is_header_done()) return refuse_malformed();
  status = parser.get().result_int();
  return Answer::done(header.size());
}

// How much of the empty line at the end is missing.
std::size_t missing_end(std::string_view text) {
  constexpr std::string_view end = "\r\n\r\n";
  std::size_t present = end.size() - 1;
  while (!text.ends_with(end.substr(0, present))) --present;
  return end.size() - present;
}

Answer parse_header(Bytes so_far, std::size_t limit, unsigned& status) {
  const std::string_view text(reinterpret_cast<const char*>(so_far.data()), std::min(so_far.size(), limit));
  if (text.substr(0, start.size()) != start.substr(0, text.size()))
    return Answer::refuse(Kind::protocol_error, "HTTP CONNECT: the answer is not HTTP/1");
  for (std::size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    if (text[at - 1] != '\r') return refuse_malformed();
    if (text.substr(0, at + 1).ends_with("\r\n\r\n")) return parse_whole(text.substr(0, at + 1), status);
  }
  if (text.size() == limit)
    return Answer::refuse(Kind::protocol_error,
                          fmt::format("HTTP CONNECT: a header of more than {} bytes", HttpConnect::header_limit));
  return Answer::need_more(std::max(missing_end(text), shortest_answer - std::min(shortest_answer, text.size())));
}

bool is_interim(unsigned status) { return status >= 100 && status < 200 && status != 101; }

Kind kind_of(unsigned status) {
  switch (status) {
    case 101:
      return Kind::protocol_error;
    case 401:
    case 407:
      return Kind::authentication;
    case 403:
      return Kind::not_allowed;
    case 405:
    case 501:
      return Kind::unsupported;
    case 502:
    case 503:
    case 504:
      return Kind::unreachable;
    default:
      return Kind::failed;
  }
}

Refusal refusal_of(unsigned status) {
  const http::status known = http::int_to_status(status);
  if (known == http::status::unknown) return {kind_of(status), fmt::format("HTTP CONNECT: status {}", status)};
  const std::string_view words = http::obsolete_reason(known);
  return {kind_of(status), fmt::format("HTTP CONNECT: {} {}", status, words)};
}

}  // namespace

Result<> HttpConnect::check(const Credentials& credentials) {
  const auto is_control = [](char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f; };
  for (const std::string* text : {&credentials.name, &credentials.password}) {
    if (text->size() > longest_text) return failure("a name or password for an HTTP proxy is too long");
    if (std::ranges::any_of(*text, is_control))
      return failure("the name and the password for an HTTP proxy have no control characters");
  }
  if (credentials.name.find(':') != std::string::npos) return failure("a name for an HTTP proxy has no ':'");
  return {};
}

Result<HttpConnect> HttpConnect::to(const ProxyDestination& destination,
                                    const std::optional<Credentials>& credentials) {
  if (const Result<> checked = check_destination(destination); !checked) return std::unexpected(checked.error());
  const Endpoint& endpoint = destination.endpoint;
  const std::string to =
      destination.host.empty() ? endpoint.text() : fmt::format("{}:{}", destination.host, endpoint.port);
  std::string request = fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n", to);
  if (credentials) {
    if (const Result<> checked = check(*credentials); !checked) return std::unexpected(checked.error());
    request += fmt::format("Proxy-Authorization: Basic {}\r\n",
                           to_base64(fmt::format("{}:{}", credentials->name, credentials->password)));
  }
  return HttpConnect(request + "\r\n");
}

HttpConnect::HttpConnect(std::string_view request) : to_send_(request.begin(), request.end()) {}

Step HttpConnect::take(Bytes received) {
  CHECK(!is_over_);
  for (std::size_t consumed = 0;;) {
    unsigned status = 0;
    const std::size_t limit = header_limit - interim_;
    Step step = received_.take(received.subspan(consumed),
                               [limit, &status](Bytes so_far) { return parse_header(so_far, limit, status); });
    consumed += step.consumed;
    consumed_ += step.consumed;
    step.consumed = consumed;
    if (step.next == Step::Next::receive) return step;
    if (step.next == Step::Next::done && is_interim(status)) {  // the final answer is still to come
      interim_ = consumed_;
      continue;
    }
    is_over_ = true;
    if (step.next == Step::Next::done && status / 100 != 2) return Step::refuse(refusal_of(status));
    if (step.next == Step::Next::refused) step.consumed = 0;
    return step;
  }
}

}  // namespace limpid
