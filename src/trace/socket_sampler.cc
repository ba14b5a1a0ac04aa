#include "trace/socket_sampler.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/mptcp.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <span>
#include <string>
#include <tuple>
#include <utility>

#include "base/kernel_module.h"
#include "trace/diag_answer.h"
#include "trace/tcp_states.h"

namespace tcpwhy::trace {
namespace {

// By the kernel's number (include/net/tcp_states.h); NEW_SYN_RECV is a request, BOUND_INACTIVE is not asked for.
enum KernelState : std::uint8_t {
  established = 1,
  syn_received = 3,
  close_wait = 8,
  listen = 10,
  new_syn_received = 12
};

// Every state above. TCPF_BOUND_INACTIVE (bit 13, Linux 6.8) would make the kernel walk the table of bound ports as well.
constexpr std::uint32_t wanted_states = 0x1ffe;

constexpr std::size_t receive_buffer_bytes = 65536;
constexpr int tries = 4;

constexpr std::uint8_t extension(int attribute) { return static_cast<std::uint8_t>(1U << (attribute - 1)); }

struct DumpRequest {
  nlmsghdr header;
  inet_diag_req body;
};

// TCPDIAG_GETSOCK, the older of the two requests: it alone walks the tables once for both families (inet_diag_dump_compat():
// AF_UNSPEC), so that both are of one moment and cost half.
DumpRequest dump_request(std::uint32_t sequence) {
  DumpRequest request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = TCPDIAG_GETSOCK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.header.nlmsg_seq = sequence;
  request.body.idiag_family = AF_INET;
  request.body.idiag_ext = extension(INET_DIAG_INFO) | extension(INET_DIAG_SHUTDOWN);
  request.body.idiag_states = wanted_states;
  return request;
}

wire::SocketAddress address_of(std::uint8_t family, const __be32 (&words)[4], std::uint16_t network_port) {
  std::array<std::uint8_t, 16> octets{};
  std::memcpy(octets.data(), words, octets.size());
  const auto ip = family == AF_INET ? wire::IpAddress::v4(std::span(octets).first<4>()) : wire::IpAddress::v6(octets);
  return {ip.unmapped(), ntohs(network_port)};
}

recording::TcpDetails details_of(const tcp_info& info) {
  recording::TcpDetails details;
  details.rto_us = info.tcpi_rto;
  details.ato_us = info.tcpi_ato;
  details.rtt_us = info.tcpi_rtt;
  details.rtt_variance_us = info.tcpi_rttvar;
  details.snd_mss = info.tcpi_snd_mss;
  details.unacked = info.tcpi_unacked;
  details.retransmissions = info.tcpi_retransmits;
  details.total_retransmissions = info.tcpi_total_retrans;
  details.congestion_window = info.tcpi_snd_cwnd;
  details.send_window_scale = info.tcpi_snd_wscale;
  details.receive_window_scale = info.tcpi_rcv_wscale;
  details.timestamps = info.tcpi_options & TCPI_OPT_TIMESTAMPS;
  details.sack = info.tcpi_options & TCPI_OPT_SACK;
  details.window_scaling = info.tcpi_options & TCPI_OPT_WSCALE;
  details.ecn = info.tcpi_options & TCPI_OPT_ECN;
  return details;
}

// SocketSnapshot::opener
std::optional<bool> opener_by_count(const tcp_info& info, std::size_t length) {
  const bool no_fin_sent = info.tcpi_state == established || info.tcpi_state == close_wait;
  if (length < offsetof(tcp_info, tcpi_bytes_retrans) + sizeof info.tcpi_bytes_retrans || !no_fin_sent ||
      info.tcpi_unacked != 0)
    return std::nullopt;
  const std::uint64_t payload = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
  if (info.tcpi_bytes_acked == payload + 1) return true;
  return info.tcpi_bytes_acked == payload ? std::optional(false) : std::nullopt;
}

void add_activity(const tcp_info& info, std::size_t length, recording::SocketActivity& activity) {
  activity.backoff = info.tcpi_backoff;
  activity.last_data_sent_ms = info.tcpi_last_data_sent;
  activity.last_data_received_ms = info.tcpi_last_data_recv;
  activity.last_ack_received_ms = info.tcpi_last_ack_recv;
  activity.not_sent_bytes = info.tcpi_notsent_bytes;
  if (length >= offsetof(tcp_info, tcpi_snd_wnd) + sizeof info.tcpi_snd_wnd) activity.send_window = info.tcpi_snd_wnd;
}

// A closed socket leaves ESTABLISHED and CLOSE-WAIT at once, and a child that nobody accepted can be in no other state: so the
// state tells the two apart where no inode is left or yet there.
recording::HeldBy holder_of(const inet_diag_msg& message, bool full_socket) {
  if (message.idiag_inode != 0) return recording::HeldBy::process;
  switch (message.idiag_state) {
    case listen: return recording::HeldBy::process;
    case established:
    case close_wait: return recording::HeldBy::accept_queue;
    case syn_received:
    case new_syn_received: return full_socket ? recording::HeldBy::accept_queue : recording::HeldBy::request;
    default: return recording::HeldBy::kernel;
  }
}

// INET_DIAG_ULP_INFO of a subflow (mptcp_subflow_get_info()).
int take_subflow(const nlattr* attribute, void* data) {
  if (mnl_attr_get_type(attribute) == MPTCP_SUBFLOW_ATTR_TOKEN_LOC && mnl_attr_validate(attribute, MNL_TYPE_U32) == 0)
    static_cast<recording::SocketSnapshot*>(data)->mptcp_token = mnl_attr_get_u32(attribute);
  return MNL_CB_OK;
}
int take_upper_protocol(const nlattr* attribute, void* data) {
  if (mnl_attr_get_type(attribute) != INET_ULP_INFO_MPTCP) return MNL_CB_OK;
  static_cast<recording::SocketSnapshot*>(data)->mptcp = recording::MptcpPart::subflow;
  mnl_attr_parse_nested(attribute, take_subflow, data);
  return MNL_CB_OK;
}

int take_attribute(const nlattr* attribute, void* data) {
  auto& snapshot = *static_cast<recording::SocketSnapshot*>(data);
  switch (mnl_attr_get_type(attribute)) {
    case INET_DIAG_INFO: {
      tcp_info info{};  // older kernels fill less of it
      std::memcpy(&info, mnl_attr_get_payload(attribute),
                  std::min<std::size_t>(sizeof info, mnl_attr_get_payload_len(attribute)));
      snapshot.tcp = details_of(info);
      add_activity(info, mnl_attr_get_payload_len(attribute), snapshot.activity);
      snapshot.opener = opener_by_count(info, mnl_attr_get_payload_len(attribute));
      break;
    }
    case INET_DIAG_SHUTDOWN:
      if (mnl_attr_get_payload_len(attribute) >= 1) snapshot.shutdown = mnl_attr_get_u8(attribute);
      break;
    case INET_DIAG_ULP_INFO: mnl_attr_parse_nested(attribute, take_upper_protocol, &snapshot); break;
    default: break;
  }
  return MNL_CB_OK;
}

int take_socket(const nlmsghdr* header, void* data) {
  if (mnl_nlmsg_get_payload_len(header) < sizeof(inet_diag_msg)) return MNL_CB_OK;
  const auto& message = *static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(header));
  if (message.idiag_family != AF_INET && message.idiag_family != AF_INET6) return MNL_CB_OK;
  recording::SocketSnapshot snapshot;
  snapshot.cookie = std::uint64_t{message.id.idiag_cookie[1]} << 32 | message.id.idiag_cookie[0];
  snapshot.local = address_of(message.idiag_family, message.id.idiag_src, message.id.idiag_sport);
  snapshot.remote = address_of(message.idiag_family, message.id.idiag_dst, message.id.idiag_dport);
  snapshot.state = state_of_kernel(message.idiag_state);
  snapshot.receive_queue = message.idiag_rqueue;
  snapshot.send_queue = message.idiag_wqueue;
  snapshot.inode = message.idiag_inode;
  snapshot.uid = message.idiag_uid;
  if (message.idiag_timer <= static_cast<int>(recording::SocketActivity::Timer::zero_window_probe))
    snapshot.activity.timer = static_cast<recording::SocketActivity::Timer>(message.idiag_timer);
  snapshot.activity.timer_expires_ms = message.idiag_expires;
  snapshot.activity.retransmissions = message.idiag_retrans;
  mnl_attr_parse(header, sizeof(inet_diag_msg), take_attribute, &snapshot);
  snapshot.holder = holder_of(message, snapshot.tcp.has_value());
  if (message.idiag_state == listen) snapshot.tcp.reset();
  auto& dump = *static_cast<DiagAnswer*>(data);
  if (snapshot.state == tcp::State::closed)
    dump.torn = true;
  else
    dump.sockets.push_back(snapshot);
  return MNL_CB_OK;
}

// A dump of several parts can show a socket twice, when it moved in its table between two parts: the later one counts.
void keep_last_of_each(std::vector<recording::SocketSnapshot>& sockets) {
  const auto key = [](const recording::SocketSnapshot& s) { return std::tuple(s.cookie, s.local, s.remote); };
  std::ranges::reverse(sockets);
  std::ranges::stable_sort(sockets, {}, key);
  const auto repeated = std::ranges::unique(sockets, {}, key);
  sockets.erase(repeated.begin(), repeated.end());
}

// How much of it is whole messages. libmnl 1.0.4 takes a length of more than INT_MAX for one that fits.
std::size_t whole_messages(std::span<const std::uint8_t> datagram) {
  std::size_t at = 0;
  while (datagram.size() - at >= sizeof(nlmsghdr)) {
    nlmsghdr header{};
    std::memcpy(&header, datagram.data() + at, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size() - at) break;
    at = std::min(at + MNL_ALIGN(std::size_t{header.nlmsg_len}), datagram.size());
  }
  return at;
}

bool holds_end(const std::uint8_t* bytes, std::size_t length) {
  int left = static_cast<int>(length);
  const void* at = bytes;
  while (true) {
    const auto* const header = static_cast<const nlmsghdr*>(at);
    if (!mnl_nlmsg_ok(header, left)) return false;
    if (header->nlmsg_type == NLMSG_DONE) return true;
    at = mnl_nlmsg_next(header, &left);
  }
}

}  // namespace

int take_diag_answer(std::span<const std::uint8_t> datagram, std::uint32_t sequence, DiagAnswer& answer) {
  return mnl_cb_run(datagram.data(), whole_messages(datagram), sequence, 0, take_socket, &answer);
}

SocketSampler::SocketSampler(base::UniqueFd socket) : socket_(std::move(socket)), buffer_(receive_buffer_bytes) {}

base::Result<SocketSampler> SocketSampler::open() {
  base::UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!socket.valid())
    return base::fail_errno({"cannot open a sock_diag socket", "无法打开 sock_diag 套接字"}, errno,
                            base::how_to_get_module("inet_diag", "CONFIG_INET_DIAG"));
  SocketSampler sampler(std::move(socket));
  // One sample now, so that a kernel without TCP diagnosis says so here.
  if (auto first = sampler.sample(); !first) return std::unexpected(std::move(first.error()));
  return sampler;
}

base::Result<SocketSample> SocketSampler::sample() {
  SocketSample sample;
  if (auto done = sample_into(sample); !done) return std::unexpected(std::move(done.error()));
  return sample;
}

base::Status SocketSampler::sample_into(SocketSample& sample) {
  for (int attempt = 0; attempt < tries; ++attempt) {
    sample.sockets.clear();
    sample.begin = base::wall_now();
    auto whole = dump_once(sample.sockets);
    sample.end = base::wall_now();
    if (!whole) return std::unexpected(std::move(whole.error()));
    sample.complete = *whole;
    if (sample.complete) return {};
  }
  return {};
}

// False: the kernel could not give a consistent or a whole answer.
base::Result<bool> SocketSampler::dump_once(std::vector<recording::SocketSnapshot>& sockets) {
  const DumpRequest request = dump_request(++sequence_);
  if (::send(socket_.get(), &request, sizeof request, 0) < 0)
    return base::fail_errno({"sock_diag request", "sock_diag 请求"});
  DiagAnswer dump{sockets};
  for (std::size_t parts = 0;;) {
    const ssize_t got = ::recv(socket_.get(), buffer_.data(), buffer_.size(), MSG_TRUNC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) return false;
    if (got < 0) return base::fail_errno({"sock_diag answer", "sock_diag 应答"});
    const auto length = std::min(static_cast<std::size_t>(got), buffer_.size());
    ++parts;
    // It checks the sequence. -1 with errno EPROTO: the rest of an older dump; with EINTR: NLM_F_DUMP_INTR. Then
    // the dump still has to be read to its end, or the kernel would refuse the next one (EBUSY).
    const int state = take_diag_answer(std::span(buffer_).first(length), sequence_, dump);
    if (state < 0 && errno == EPROTO) continue;
    if (state < 0 && errno == EINTR) {
      dump.torn = true;
      if (holds_end(buffer_.data(), length)) return false;
      continue;
    }
    // No handler for TCP: inet_diag_dump_compat().
    if (state < 0)
      return base::fail_errno("sock_diag", errno, base::how_to_get_module("tcp_diag", "CONFIG_INET_TCP_DIAG"));
    if (state == MNL_CB_STOP) {
      if (parts > 1) keep_last_of_each(sockets);
      return !dump.torn && static_cast<std::size_t>(got) <= buffer_.size();
    }
  }
}

}  // namespace tcpwhy::trace
