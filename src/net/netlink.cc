// SPDX-License-Identifier: MIT
#include "net/netlink.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace limpid {
namespace {

constexpr std::size_t receive_size = 64 * 1024;  // of one datagram of a dump: fewer system calls than libnl's page
constexpr int dump_attempts = 10;

struct CallbacksFree {
  void operator()(nl_cb* callbacks) const { nl_cb_put(callbacks); }
};

// What has come in so far for one request.
struct Conversation {
  unsigned int sequence = 0;  // of the request
  std::vector<NetlinkAnswer> answers;
  bool is_over = false;
  bool is_interrupted = false;
  int error = 0;  // errno
};

// Instead of libnl's own check, which a request that could not be sent would put out of step for good.
int on_sequence(nl_msg* message, void* conversation) {
  return nlmsg_hdr(message)->nlmsg_seq == static_cast<Conversation*>(conversation)->sequence ? NL_OK : NL_SKIP;
}

int on_answer(nl_msg* message, void* conversation) {
  static_cast<Conversation*>(conversation)->answers.emplace_back(nlmsg_hdr(message));
  return NL_OK;
}

// NLMSG_DONE carries the error of a dump that failed half way (netlink_dump() in net/netlink/af_netlink.c).
int on_done(nl_msg* message, void* conversation) {
  auto* const state = static_cast<Conversation*>(conversation);
  const nlmsghdr* const header = nlmsg_hdr(message);
  int code = 0;
  if (nlmsg_datalen(header) >= static_cast<int>(sizeof code)) std::memcpy(&code, nlmsg_data(header), sizeof code);
  state->error = -code;
  state->is_over = true;
  return NL_STOP;
}

int on_acknowledgement(nl_msg*, void* conversation) {
  static_cast<Conversation*>(conversation)->is_over = true;
  return NL_STOP;
}

int on_error(sockaddr_nl*, nlmsgerr* error, void* conversation) {
  auto* const state = static_cast<Conversation*>(conversation);
  state->error = -error->error;
  state->is_over = true;
  return NL_STOP;
}

int on_interruption(nl_msg*, void* conversation) {
  static_cast<Conversation*>(conversation)->is_interrupted = true;
  return NL_OK;
}

Result<Conversation> converse(nl_sock* socket, std::string_view name, nl_msg* request) {
  Conversation conversation;
  std::unique_ptr<nl_cb, CallbacksFree> callbacks(nl_cb_alloc(NL_CB_DEFAULT));
  CHECK(callbacks != nullptr);
  nl_cb_set(callbacks.get(), NL_CB_SEQ_CHECK, NL_CB_CUSTOM, on_sequence, &conversation);
  nl_cb_set(callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM, on_answer, &conversation);
  nl_cb_set(callbacks.get(), NL_CB_FINISH, NL_CB_CUSTOM, on_done, &conversation);
  nl_cb_set(callbacks.get(), NL_CB_ACK, NL_CB_CUSTOM, on_acknowledgement, &conversation);
  nl_cb_set(callbacks.get(), NL_CB_DUMP_INTR, NL_CB_CUSTOM, on_interruption, &conversation);
  nl_cb_err(callbacks.get(), NL_CB_CUSTOM, on_error, &conversation);

  nlmsg_hdr(request)->nlmsg_seq = NL_AUTO_SEQ;  // a second attempt is a new request
  if (const int sent = nl_send_auto(socket, request); sent < 0)
    return failure(fmt::format("{}: {}", name, nl_geterror(sent)));
  conversation.sequence = nlmsg_hdr(request)->nlmsg_seq;
  while (!conversation.is_over)
    if (const int received = nl_recvmsgs(socket, callbacks.get()); received < 0 && !conversation.is_over)
      return failure(fmt::format("{}: {}", name, nl_geterror(received)));
  return conversation;
}

}  // namespace

void NetlinkFree::operator()(nl_msg* message) const { nlmsg_free(message); }
void NetlinkFree::operator()(nl_sock* socket) const { nl_socket_free(socket); }

NetlinkMessage netlink_message(int type, int flags, const void* header, std::size_t size) {
  NetlinkMessage message(nlmsg_alloc_simple(type, flags));
  CHECK(message != nullptr);
  CHECK(nlmsg_append(message.get(), const_cast<void*>(header), size, NLMSG_ALIGNTO) == 0);
  return message;
}

NetlinkAnswer::NetlinkAnswer(const nlmsghdr* message) : bytes_(new std::byte[message->nlmsg_len]) {
  std::memcpy(bytes_.get(), message, message->nlmsg_len);
}

nlmsghdr* NetlinkAnswer::message() const { return reinterpret_cast<nlmsghdr*>(bytes_.get()); }

Result<Netlink> Netlink::open(int protocol) {
  std::unique_ptr<nl_sock, NetlinkFree> socket(nl_socket_alloc());
  CHECK(socket != nullptr);
  if (const int code = nl_connect(socket.get(), protocol); code < 0)  // libnl opens it close-on-exec
    return failure(fmt::format("open a netlink socket: {}", nl_geterror(code)));
  nl_socket_set_msg_buf_size(socket.get(), receive_size);
  // The kernel then filters dumps of routes by table and protocol: a router may have a million.
  const int on = 1;
  if (protocol == NETLINK_ROUTE &&
      setsockopt(nl_socket_get_fd(socket.get()), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on) != 0)
    return errno_failure("setsockopt NETLINK_GET_STRICT_CHK", errno);
  return Netlink(std::move(socket));
}

Result<std::vector<NetlinkAnswer>> Netlink::ask(std::string_view name, const NetlinkMessage& request) {
  for (int attempt = 0; attempt < dump_attempts; ++attempt) {
    Result<Conversation> conversation = converse(socket_.get(), name, request.get());
    if (!conversation) return std::unexpected(conversation.error());
    if (conversation->error != 0) return errno_failure(name, conversation->error);
    if (!conversation->is_interrupted) return std::move(conversation->answers);
  }
  return errno_failure(name, EAGAIN);
}

Result<KernelEvents> KernelEvents::open(int protocol, std::initializer_list<unsigned int> groups) {
  Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  if (!fd.is_open()) return errno_failure("open a netlink socket", errno);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (bind(fd.raw(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return errno_failure("bind a netlink socket", errno);
  for (const unsigned int group : groups)
    if (setsockopt(fd.raw(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
      return errno_failure(fmt::format("join netlink group {}", group), errno);
  return KernelEvents(std::move(fd));
}

Result<KernelEvents> KernelEvents::network() {
  return open(NETLINK_ROUTE, {RTNLGRP_LINK, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE});
}

Result<KernelEvents> KernelEvents::firewall() { return open(NETLINK_NETFILTER, {NFNLGRP_NFTABLES}); }

bool KernelEvents::drain() {
  bool had_any = false;
  char buffer[16 * 1024];
  for (;;) {
    const ssize_t size = recv(fd_.raw(), buffer, sizeof buffer, MSG_TRUNC);
    // ENOBUFS: more happened than the socket could hold. That is news, too.
    if (size < 0 && errno != ENOBUFS && errno != EINTR) return had_any;
    had_any = had_any || size >= 0 || errno == ENOBUFS;
  }
}

}  // namespace limpid
