#include "trace/mptcp_sockets.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/mptcp.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>
#include <span>
#include <utility>

#include "base/kernel_module.h"
#include "base/unique_fd.h"
#include "trace/tcp_states.h"

namespace tcpwhy::trace {
namespace {

using recording::MptcpPart;
using recording::SocketSnapshot;

constexpr std::uint32_t mptcp_protocol = 262;
constexpr std::uint32_t wanted_states = 0xffe;  // all but those of requests
constexpr std::uint8_t kernel_close_wait = 8, kernel_established = 1;

// struct mptcp_info. mptcpi_last_ack_recv, milliseconds ago, is there since Linux 6.10, and not in older headers.
constexpr std::size_t token_at = offsetof(mptcp_info, mptcpi_token), last_ack_received_at = 92;

wire::SocketAddress address_of(std::uint8_t family, const __be32 (&words)[4], std::uint16_t network_port) {
  std::array<std::uint8_t, 16> octets{};
  std::memcpy(octets.data(), words, octets.size());
  const auto ip = family == AF_INET ? wire::IpAddress::v4(std::span(octets).first<4>()) : wire::IpAddress::v6(octets);
  return {ip.unmapped(), ntohs(network_port)};
}

int take_attribute(const nlattr* attribute, void* data) {
  if (mnl_attr_get_type(attribute) != INET_DIAG_INFO) return MNL_CB_OK;
  auto& snapshot = *static_cast<SocketSnapshot*>(data);
  const auto* bytes = static_cast<const std::byte*>(mnl_attr_get_payload(attribute));
  const std::size_t length = mnl_attr_get_payload_len(attribute);
  if (length >= token_at + sizeof snapshot.mptcp_token)
    std::memcpy(&snapshot.mptcp_token, bytes + token_at, sizeof snapshot.mptcp_token);
  auto& last_ack_ms = snapshot.activity.last_ack_received_ms;
  if (length >= last_ack_received_at + sizeof last_ack_ms)
    std::memcpy(&last_ack_ms, bytes + last_ack_received_at, sizeof last_ack_ms);
  return MNL_CB_OK;
}

int take_socket(const nlmsghdr* header, void* data) {
  if (mnl_nlmsg_get_payload_len(header) < sizeof(inet_diag_msg)) return MNL_CB_OK;
  const auto& message = *static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(header));
  if (message.idiag_family != AF_INET && message.idiag_family != AF_INET6) return MNL_CB_OK;
  SocketSnapshot snapshot;
  snapshot.mptcp = MptcpPart::socket;
  snapshot.cookie = std::uint64_t{message.id.idiag_cookie[1]} << 32 | message.id.idiag_cookie[0];
  snapshot.local = address_of(message.idiag_family, message.id.idiag_src, message.id.idiag_sport);
  snapshot.remote = address_of(message.idiag_family, message.id.idiag_dst, message.id.idiag_dport);
  snapshot.state = state_of_kernel(message.idiag_state);
  snapshot.receive_queue = message.idiag_rqueue, snapshot.send_queue = message.idiag_wqueue;
  snapshot.inode = message.idiag_inode, snapshot.uid = message.idiag_uid;
  const bool queued = message.idiag_inode == 0 &&
                      (message.idiag_state == kernel_established || message.idiag_state == kernel_close_wait);
  if (message.idiag_inode == 0) snapshot.holder = queued ? recording::HeldBy::accept_queue : recording::HeldBy::kernel;
  mnl_attr_parse(header, sizeof(inet_diag_msg), take_attribute, &snapshot);
  if (snapshot.state != tcp::State::closed) static_cast<std::vector<SocketSnapshot>*>(data)->push_back(snapshot);
  return MNL_CB_OK;
}

// The number does not fit into sdiag_protocol, but into INET_DIAG_REQ_PROTOCOL (Linux 5.9); an older kernel has no handler of protocol 0.
base::Status dump(int socket, std::uint8_t family, std::vector<SocketSnapshot>& sockets) {
  std::array<std::byte, 256> memory{};
  auto* header = mnl_nlmsg_put_header(memory.data());
  header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  header->nlmsg_seq = family;
  auto* request = static_cast<inet_diag_req_v2*>(mnl_nlmsg_put_extra_header(header, sizeof(inet_diag_req_v2)));
  request->sdiag_family = family;
  request->idiag_ext = static_cast<std::uint8_t>(1U << (INET_DIAG_INFO - 1));
  request->idiag_states = wanted_states;
  mnl_attr_put_u32(header, INET_DIAG_REQ_PROTOCOL, mptcp_protocol);
  if (::send(socket, header, header->nlmsg_len, 0) < 0)
    return base::fail_errno({"sock_diag request", "sock_diag 请求"});
  std::vector<std::byte> buffer(65536);
  while (true) {
    const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail_errno({"sock_diag answer", "sock_diag 应答"});
    const int state = mnl_cb_run(buffer.data(), static_cast<std::size_t>(got), family, 0, take_socket, &sockets);
    if (state < 0 && errno != EINTR)
      return base::fail_errno("sock_diag", errno, base::how_to_get_module("mptcp_diag", "CONFIG_MPTCP"));
    if (state <= 0) return {};
  }
}

}  // namespace

base::Result<std::vector<SocketSnapshot>> sample_mptcp_sockets() {
  const base::UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!socket.valid()) return base::fail_errno({"cannot open a sock_diag socket", "无法打开 sock_diag 套接字"});
  std::vector<SocketSnapshot> sockets;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}})
    if (auto dumped = dump(socket.get(), family, sockets); !dumped) return std::unexpected(std::move(dumped.error()));
  return sockets;
}

void add_mptcp_sockets(std::vector<SocketSnapshot>&& mptcp, std::vector<SocketSnapshot>& sockets) {
  std::map<std::pair<wire::SocketAddress, wire::SocketAddress>, const SocketSnapshot*> by_ends;
  std::map<std::uint32_t, const SocketSnapshot*> by_token;
  for (const SocketSnapshot& one : mptcp) {
    by_ends.emplace(std::pair(one.local, one.remote), &one);
    if (one.mptcp_token != 0) by_token.emplace(one.mptcp_token, &one);
  }
  for (SocketSnapshot& socket : sockets) {
    // A listener's subflow has no name of its own in the dump.
    const bool listens = socket.state == tcp::State::listen;
    if (socket.mptcp != MptcpPart::subflow && !listens) continue;
    const auto ends = by_ends.find({socket.local, socket.remote});
    const auto token = by_token.find(socket.mptcp_token);
    const SocketSnapshot* of = token != by_token.end() ? token->second : ends != by_ends.end() ? ends->second : nullptr;
    if (of == nullptr || listens != (of->state == tcp::State::listen)) continue;
    socket.mptcp = MptcpPart::known_subflow;
    socket.inode = of->inode, socket.uid = of->uid, socket.holder = of->holder;
  }
  for (SocketSnapshot& one : mptcp)
    if (one.state != tcp::State::listen) sockets.push_back(std::move(one));
}

}  // namespace tcpwhy::trace
