#include "lab/link/link_forwarder.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>

#include "base/format.h"

namespace tcpwhy::lab {
namespace {

constexpr std::size_t largest_packet = 65536 + ETH_HLEN;
constexpr std::size_t queue_limit_bytes = 64 << 20;
constexpr std::size_t report_limit = 1 << 16;
constexpr int receive_batch = 64;
constexpr int wanted_socket_buffer = 4 << 20;

base::Result<base::UniqueFd> open_packet_socket(const std::string& interface) {
  const auto what = base::format({"cannot take packets from {}", "无法从 {} 收取报文"}, interface);
  const unsigned int index = ::if_nametoindex(interface.c_str());
  if (index == 0) return base::fail_errno(what);
  // Protocol 0 receives nothing until bind() names the interface: no packet of another one slips in between.
  base::UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return base::fail_errno(what);
  const int on = 1;
  // What we send ourselves is not to come back (Linux 4.20; receive_one() looks at the packet type as well).
  (void)::setsockopt(fd.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &wanted_socket_buffer, sizeof wanted_socket_buffer);
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0) return base::fail_errno(what);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(index);
  if (::bind(fd.get(), static_cast<sockaddr*>(static_cast<void*>(&address)), sizeof address) != 0)
    return base::fail_errno(what);
  return fd;
}

// The kernel's stamp of the packet's arrival; `otherwise` where it gave none.
base::WallTime arrival(const msghdr& message, base::WallTime otherwise) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(const_cast<msghdr*>(&message), part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec stamp{};
    std::memcpy(&stamp, CMSG_DATA(part), sizeof stamp);
    return base::wall_from_ns(std::int64_t{stamp.tv_sec} * 1'000'000'000 + stamp.tv_nsec);
  }
  return otherwise;
}

// struct sched_attr of sched_setattr(2), first version: its header cannot stand beside <sched.h>.
struct SchedulingAttributes {
  std::uint32_t size = sizeof(SchedulingAttributes);
  std::uint32_t policy = SCHED_OTHER;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0, deadline = 0, period = 0;
};

// Without privilege: no timer slack (50 us otherwise are added to each delay), and short slices, which let a process that has
// slept run before busy ones (EEVDF, Linux 6.12; older kernels take no notice).
void ask_for_punctuality() {
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  SchedulingAttributes attributes;
  attributes.nice = ::getpriority(PRIO_PROCESS, 0);
  attributes.runtime = 100'000;  // ns
  (void)::syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace

Policy constant_delays(const LinkOptions& options, const Dropping* dropping) {
  return [options, dropping](const PacketInTransit& packet) {
    return Decision{.delay = packet.from == LinkEnd::client ? options.client_to_server : options.server_to_client,
                    .drop = dropping && dropping->from[static_cast<std::size_t>(packet.from)].load()};
  };
}

base::Result<MiddleSockets> MiddleSockets::open(const std::string& client_interface,
                                                const std::string& server_interface) {
  MiddleSockets sockets;
  const std::string* const names[] = {&client_interface, &server_interface};
  for (std::size_t end = 0; end < sockets.by_end.size(); ++end) {
    auto fd = open_packet_socket(*names[end]);
    if (!fd) return std::unexpected(std::move(fd.error()));
    sockets.by_end[end] = std::move(*fd);
  }
  return sockets;
}

Forwarder::Forwarder(MiddleSockets sockets, base::UniqueFd reports, Policy policy)
    : sockets_(std::move(sockets)), reports_(std::move(reports)), policy_(std::move(policy)), buffer_(largest_packet) {}

void Forwarder::run() {
  ask_for_punctuality();
  while (wait()) {
    receive(LinkEnd::client);
    receive(LinkEnd::server);
    send_due();
    flush_reports();
  }
}

// Until a packet arrives or departs. False when nobody wants reports any more.
bool Forwarder::wait() {
  pollfd polled[] = {{socket(LinkEnd::client), POLLIN, 0},
                     {socket(LinkEnd::server), POLLIN, 0},
                     {reports_.get(), static_cast<short>(unsent_reports_.empty() ? 0 : POLLOUT), 0}};
  timespec left{};
  if (!queue_.empty()) {
    const auto until = std::max(queue_.begin()->first - base::MonotonicClock::now(), base::Duration(0));
    left.tv_sec = static_cast<time_t>(until / std::chrono::seconds(1));
    left.tv_nsec = static_cast<long>((until % std::chrono::seconds(1)).count());
  }
  if (::ppoll(polled, std::size(polled), queue_.empty() ? nullptr : &left, nullptr) < 0) return errno == EINTR;
  return (polled[2].revents & (POLLHUP | POLLERR)) == 0;
}

void Forwarder::receive(LinkEnd from) {
  int taken = 0;
  while (taken < receive_batch && receive_one(from)) ++taken;
  if (taken == receive_batch) note_kernel_drops(from);
}

bool Forwarder::receive_one(LinkEnd from) {
  sockaddr_ll address{};
  iovec room{buffer_.data(), buffer_.size()};
  alignas(cmsghdr) char control[256];
  msghdr message{};
  message.msg_name = &address;
  message.msg_namelen = sizeof address;
  message.msg_iov = &room;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = ::recvmsg(socket(from), &message, 0);
  if (got < 0) return errno == EINTR;
  if (address.sll_pkttype == PACKET_OUTGOING || (message.msg_flags & MSG_TRUNC) != 0) return true;

  const auto length = static_cast<std::size_t>(got);
  const auto wall = base::wall_now();
  Waiting waiting;
  waiting.report.from = from;
  waiting.report.number = ++numbers_[static_cast<std::size_t>(from)];
  waiting.report.length = static_cast<std::uint32_t>(length);
  waiting.report.arrived = arrival(message, wall);
  if (queued_bytes_ + length > queue_limit_bytes) {
    waiting.report.deed = LinkDeed::overflow;
    waiting.report.left = wall;
    report(waiting.report);
    return true;
  }
  waiting.bytes.assign(buffer_.begin(), buffer_.begin() + got);
  const Decision decision = policy_({from, waiting.report.number, waiting.bytes});
  if (decision.drop) {
    waiting.report.deed = LinkDeed::dropped;
    waiting.report.left = wall;
    report(waiting.report);
    return true;
  }
  // The delay counts from the arrival, not from when we came to read it. A step of the wall clock in between is not believed.
  const auto age =
      std::clamp(wall - waiting.report.arrived, base::Duration(0), base::Duration(std::chrono::seconds(1)));
  const auto departure = base::MonotonicClock::now() - age + decision.delay;
  queued_bytes_ += length;
  queue_.emplace(departure, std::move(waiting));
  return true;
}

// Packets that found the socket's buffer full: a loss of ours.
void Forwarder::note_kernel_drops(LinkEnd from) {
  tpacket_stats statistics{};
  socklen_t size = sizeof statistics;
  if (::getsockopt(socket(from), SOL_PACKET, PACKET_STATISTICS, &statistics, &size) != 0) return;
  const auto now = base::wall_now();
  for (unsigned int i = 0; i < std::min<unsigned int>(statistics.tp_drops, report_limit); ++i)
    report({.deed = LinkDeed::overflow, .from = from, .number = 0, .length = 0, .arrived = now, .left = now});
}

void Forwarder::send_due() {
  while (!queue_.empty() && queue_.begin()->first <= base::MonotonicClock::now()) {
    auto node = queue_.extract(queue_.begin());
    Waiting& waiting = node.mapped();
    waiting.report.left = base::wall_now();
    const ssize_t sent = ::send(socket(other(waiting.report.from)), waiting.bytes.data(), waiting.bytes.size(), 0);
    if (sent < 0) waiting.report.deed = LinkDeed::refused;
    queued_bytes_ -= waiting.bytes.size();
    report(waiting.report);
  }
}

void Forwarder::report(const LinkReport& report) {
  if (unsent_reports_.size() < report_limit) unsent_reports_.push_back(report);
}

// As many as the reader has room for; forwarding never waits for it.
void Forwarder::flush_reports() {
  while (!unsent_reports_.empty()) {
    const LinkReport& next = unsent_reports_.front();
    if (::send(reports_.get(), &next, sizeof next, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return;
    unsent_reports_.pop_front();
  }
}

}  // namespace tcpwhy::lab
