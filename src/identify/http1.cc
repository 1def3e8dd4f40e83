// SPDX-License-Identifier: MIT
#include "identify/http1.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <optional>
#include <string_view>

#include "identify/host_name.h"

namespace limpid {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using boost::beast::string_view;

constexpr std::size_t longest_method = 32;  // UPDATEREDIRECTREF has 17; a text without spaces is not waited for

bool is_letter(char byte) { return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z'); }
bool is_token(char byte) {  // RFC 9110, 5.6.2
  return is_digit(byte) || is_letter(byte) || std::string_view("!#$%&'*+-.^_`|~").find(byte) != std::string_view::npos;
}
// More than a URI may have: what is not a control character or a space is taken by some server.
bool is_target(char byte) { return static_cast<unsigned char>(byte) > ' ' && byte != 0x7f; }

std::size_t length_of(std::string_view text, bool (*is_part)(char)) {
  return static_cast<std::size_t>(std::ranges::find_if_not(text, is_part) - text.begin());
}

// A word and the space behind it, which are taken from `text`.
Progress take_word(std::string_view& text, bool (*is_part)(char), std::size_t longest) {
  const std::size_t length = length_of(text, is_part);
  if (length > longest) return Progress::not_it;
  if (length == text.size()) return Progress::need_more;
  if (length == 0 || text[length] != ' ') return Progress::not_it;
  text.remove_prefix(length + 1);
  return Progress::found;
}

// METHOD SP target SP HTTP/1.x and the line's end, as far as they are there.
Progress look_at_request_line(std::string_view text) {
  const Progress method = take_word(text, is_token, longest_method);
  if (method != Progress::found) return method;
  const Progress target = take_word(text, is_target, most_bytes);
  if (target != Progress::found) return target;
  constexpr std::string_view version = "HTTP/1.";
  if (!text.starts_with(version.substr(0, text.size()))) return Progress::not_it;
  text.remove_prefix(std::min(text.size(), version.size()));
  if (!text.empty() && !is_digit(text[0])) return Progress::not_it;
  if (text.size() < 2) return Progress::need_more;
  return text[1] == '\r' || text[1] == '\n' ? Progress::found : Progress::not_it;
}

// Behind the empty line, or npos. Some servers take LF alone for a line's end: with those nothing more is to come.
std::size_t end_of_header(std::string_view text) {
  for (std::size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) {
    if (text.substr(at + 1, 1) == "\n") return at + 2;
    if (text.substr(at + 1, 2) == "\r\n") return at + 3;
  }
  return std::string_view::npos;
}

// The authority of "scheme://authority/path", or of CONNECT's "host:port"; none of "/path" and "*".
std::optional<std::string_view> authority_of(std::string_view target, bool is_connect) {
  if (is_connect) return target;
  const std::size_t scheme = target.find("://");
  if (scheme == std::string_view::npos || scheme == 0 || !is_letter(target[0])) return std::nullopt;
  if (target.find_first_of("/?#") < scheme) return std::nullopt;
  target.remove_prefix(scheme + 3);
  return target.substr(0, target.find_first_of("/?#"));
}

// Keeps the host alone, so that a header costs no memory.
class HostParser final : public http::basic_parser<true> {
 public:
  std::string take_host() { return host_of_target_ ? *host_of_target_ : host_.take(); }

 private:
  void on_request_impl(http::verb method, string_view, string_view target, int, error_code&) override {
    const std::string_view text(target.data(), target.size());
    const std::optional<std::string_view> authority = authority_of(text, method == http::verb::connect);
    if (authority) host_of_target_ = host_of_authority(*authority);
  }
  void on_field_impl(http::field name, string_view, string_view value, error_code&) override {
    if (name == http::field::host) host_.add(host_of_authority({value.data(), value.size()}));
  }
  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view body, error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code&) override { return body.size(); }
  void on_finish_impl(error_code&) override {}

  std::optional<std::string> host_of_target_;
  OneHost host_;
};

std::string host_of_header(std::string_view header) {
  HostParser parser;
  parser.header_limit(most_bytes + 1);  // all that we look at
  parser.skip(true);                    // there is no body here
  error_code error;
  parser.put(boost::asio::const_buffer(header.data(), header.size()), error);
  return error || !parser.is_header_done() ? std::string() : parser.take_host();
}

}  // namespace

Finding identify_http1(Bytes stream) {
  const std::string_view text(reinterpret_cast<const char*>(stream.data()), stream.size());
  const Progress line = look_at_request_line(text);
  if (line == Progress::need_more) return Finding::more(text.size() + 1);
  if (line == Progress::not_it) return Finding::none();
  const std::size_t end = end_of_header(text);
  if (end == std::string_view::npos) {
    const bool is_last_byte = text.ends_with('\n') || text.ends_with("\n\r");
    return Finding::more(text.size() + (is_last_byte ? 1 : 2), Application::http);
  }
  return Finding::of({Application::http, host_of_header(text.substr(0, end)), {}});
}

}  // namespace limpid
