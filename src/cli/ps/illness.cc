#include "cli/ps/illness.h"

#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <tuple>

#include "base/units.h"
#include "trace/proc_text.h"

namespace tcpwhy::cli::ps {
namespace {

using namespace std::chrono_literals;
using trace::Holder;
using trace::SocketSnapshot;
using Timer = trace::SocketActivity::Timer;

constexpr KindRow rows[] = {
    {Kind::close_wait, "close_wait",
     "close() the descriptor when recv() returns 0; it stays in CLOSE-WAIT until then, however long",
     "recv() 返回 0 时就 close() 该描述符；在此之前它会一直停在 CLOSE-WAIT"},
    {Kind::accept_queue_full, "accept_queue_full",
     "call accept() sooner or in more threads; a larger listen(backlog) and net.core.somaxconn help only against bursts",
     "更快地调用 accept() 或增加线程；加大 listen(backlog) 和 net.core.somaxconn 只能应对突发"},
    {Kind::accept_queue_waits, "accept_queue_waits", "", ""},
    {Kind::orphan_unacked, "orphan_unacked",
     "no program holds it any more: the kernel goes on trying until net.ipv4.tcp_orphan_retries is used up",
     "已没有程序持有它：内核会继续尝试，直到用完 net.ipv4.tcp_orphan_retries"},
    {Kind::window_shut, "window_shut", "look at the program on the other side: it does not read",
     "检查对端的程序：它没有读取数据"},
    {Kind::not_read, "not_read", "the program does not read from this descriptor: find out what it waits for",
     "程序没有读取这个描述符：查明它在等什么"},
    {Kind::retransmitting, "retransmitting",
     "is the peer up, and the path between? a firewall, a route, a rebooted host",
     "对端是否在线、路径是否通畅？防火墙、路由、重启过的主机"},
    {Kind::connecting, "connecting",
     "nobody answers the SYN: a firewall that drops, a host that is down, a listener whose queue is full",
     "没有人回应 SYN：防火墙丢弃、主机不在线，或监听队列已满"},
    {Kind::half_closed, "half_closed",
     "the peer has to close its half; with the descriptor open FIN-WAIT-2 never times out",
     "需要对端关闭它的一半；描述符打开时 FIN-WAIT-2 永不超时"},
};

// From when on a thing is worth a warning. A server that closes at once passes through CLOSE-WAIT in microseconds, a busy one in
// fractions of a second.
constexpr Milliseconds long_close_wait = 10s, long_unread = 10s, long_half_closed = 60s;
constexpr std::uint32_t many_retransmissions = 3;

Milliseconds ago(std::uint32_t ms) { return Milliseconds(ms); }

class Doctor {
 public:
  explicit Doctor(const Facts& facts) : facts_(facts) {}

  std::vector<Illness> examine() {
    for (index_ = 0; index_ < facts_.sockets.size(); ++index_) {
      const SocketSnapshot& socket = facts_.sockets[index_];
      if (socket.state == tcp::State::listen)
        look_at_listener(socket);
      else if (socket.state == tcp::State::syn_sent)
        look_at_connecting(socket);
      else if (socket.state == tcp::State::close_wait)
        look_at_close_wait(socket);
      else if (socket.state != tcp::State::time_wait && socket.state != tcp::State::syn_received)
        look_at_standing(socket);
    }
    std::ranges::sort(found_, {}, [](const Illness& illness) {
      return std::tuple(-static_cast<int>(illness.severity), -illness.since.value_or(0ms).count(), illness.socket,
                        static_cast<int>(illness.kind));
    });
    return std::move(found_);
  }

 private:
  void add(Kind kind, Severity severity, std::optional<Milliseconds> since, Words text) {
    found_.push_back({kind, severity, index_, since, std::move(text)});
  }

  // sk_acceptq_is_full(): more wait than the backlog.
  void look_at_listener(const SocketSnapshot& socket) {
    const auto waiting = socket.receive_queue, backlog = socket.send_queue;
    if (waiting == 0) return;
    if (waiting <= backlog)
      return add(Kind::accept_queue_waits, Severity::note, {},
                 {fmt::format("{} of at most {} connections wait for accept()", waiting, backlog + 1),
                  fmt::format("{} 个连接在等待 accept()，最多 {} 个", waiting, backlog + 1)});
    add(Kind::accept_queue_full, Severity::error, {},
        {fmt::format("accept queue full: {} connections wait for accept(), the backlog is {}: further SYNs are dropped",
                     waiting, backlog),
         fmt::format("accept 队列已满：{} 个连接在等待 accept()，backlog 为 {}：新的 SYN 会被丢弃", waiting, backlog)});
  }

  void look_at_connecting(const SocketSnapshot& socket) {
    const auto tries = socket.activity.retransmissions;
    if (tries == 0) return;
    add(Kind::connecting, tries >= many_retransmissions ? Severity::error : Severity::warning, {},
        {fmt::format("connect() hangs: {} SYNs sent and none answered; the next in {}", tries + 1,
                     in_words(ago(socket.activity.timer_expires_ms))),
         fmt::format("connect() 挂起：已发送 {} 个 SYN，都没有回应；下一个在 {} 后", tries + 1,
                     in_words(ago(socket.activity.timer_expires_ms)))});
  }

  // tcpi_last_ack_recv is set by the FIN's own ACK field (tcp_ack()), and by whatever the peer acknowledges after it: so at least.
  void look_at_close_wait(const SocketSnapshot& socket) {
    if (look_at_sending(socket)) return;
    const auto since = ago(socket.activity.last_ack_received_ms);
    // An unread FIN counts as 1.
    const auto unread = socket.receive_queue > 0 ? socket.receive_queue - 1 : 0;
    const std::string en = unread > 0 ? fmt::format(", {} bytes unread", unread) : "";
    const std::string zh = unread > 0 ? fmt::format("，{} 字节未读", unread) : "";
    if (socket.holder == Holder::accept_queue) {
      add(Kind::close_wait, since >= long_close_wait ? Severity::warning : Severity::note, since,
          {fmt::format("CLOSE-WAIT for {}: the peer has closed, and nobody has accepted the connection yet{}",
                       in_words(since), en),
           fmt::format("CLOSE-WAIT 已 {}：对端已关闭，而连接还没有被 accept{}", in_words(since), zh)});
      return;
    }
    add(Kind::close_wait, since >= long_close_wait ? Severity::warning : Severity::note, since,
        {fmt::format("CLOSE-WAIT for {}: the peer has closed, this program has not{}", in_words(since), en),
         fmt::format("CLOSE-WAIT 已 {}：对端已关闭，本程序没有{}", in_words(since), zh)});
  }

  void look_at_standing(const SocketSnapshot& socket) {
    if (look_at_sending(socket)) return;
    const auto& activity = socket.activity;
    const auto silent = ago(activity.last_data_received_ms);
    if (socket.state == tcp::State::established && socket.holder == Holder::process && socket.receive_queue > 0 &&
        socket.tcp && silent >= 1s)
      add(Kind::not_read, silent >= long_unread ? Severity::warning : Severity::note, silent,
          {fmt::format("{} bytes unread for {}: this program does not read", socket.receive_queue, in_words(silent)),
           fmt::format("{} 字节已 {} 未读：本程序没有读取", socket.receive_queue, in_words(silent))});
    const auto heard = ago(activity.last_ack_received_ms);
    if (socket.state == tcp::State::fin_wait_2 && socket.holder == Holder::process)
      add(Kind::half_closed, heard >= long_half_closed ? Severity::warning : Severity::note, heard,
          {fmt::format("half-closed for {}: this program has shut down its sending half, the peer has not closed",
                       in_words(heard)),
           fmt::format("半关闭已 {}：本程序已关闭发送方向，对端尚未关闭", in_words(heard))});
  }

  // What it has sent and nobody takes. True: said.
  bool look_at_sending(const SocketSnapshot& socket) {
    const auto& activity = socket.activity;
    if (!socket.tcp) return false;
    const auto heard = ago(activity.last_ack_received_ms);
    if (activity.timer == Timer::zero_window_probe && activity.send_window.value_or(0) == 0) {
      const auto since = ago(activity.last_data_sent_ms);
      add(Kind::window_shut, since >= long_unread ? Severity::warning : Severity::note, since,
          {fmt::format("the peer's window is shut: {} bytes wait, {} window probes sent; nothing sent for {}",
                       socket.send_queue, activity.retransmissions, in_words(since)),
           fmt::format("对端窗口已关闭：{} 字节在等待，已发送 {} 次窗口探测；{} 没有发送数据", socket.send_queue,
                       activity.retransmissions, in_words(since))});
      return true;
    }
    if (socket.holder == Holder::kernel && socket.send_queue > 0 &&
        (socket.state == tcp::State::fin_wait_1 || socket.state == tcp::State::last_ack ||
         socket.state == tcp::State::closing)) {
      add(Kind::orphan_unacked, activity.retransmissions > 0 ? Severity::warning : Severity::note, heard,
          {fmt::format("closed by its program, {} with {} bytes that nobody has acknowledged, sent again {} times",
                       tcp::name(socket.state), socket.send_queue, activity.retransmissions),
           fmt::format("程序已关闭，处于 {}，有 {} 字节无人确认，已重发 {} 次", tcp::name(socket.state),
                       socket.send_queue, activity.retransmissions)});
      return true;
    }
    if (activity.timer != Timer::retransmission || activity.retransmissions == 0) return false;
    add(Kind::retransmitting, activity.retransmissions >= many_retransmissions ? Severity::error : Severity::warning,
        heard,
        {fmt::format("retransmitting: sent again {} times, nothing heard for {}; the next in {}, {} bytes wait",
                     activity.retransmissions, in_words(heard), in_words(ago(activity.timer_expires_ms)),
                     socket.send_queue),
         fmt::format("正在重传：已重发 {} 次，{} 没有收到回应；下一次在 {} 后，{} 字节在等待", activity.retransmissions,
                     in_words(heard), in_words(ago(activity.timer_expires_ms)), socket.send_queue)});
    return true;
  }

  const Facts& facts_;
  std::size_t index_ = 0;
  std::vector<Illness> found_;
};

// Where connect() has to choose a port, one in TIME-WAIT is taken for that destination (tcp_tw_reuse may give it back after a
// second, with timestamps). A side whose port is below the range listened, and runs out of nothing.
std::vector<TimeWaits> count_time_waits(const Facts& facts) {
  std::map<std::pair<wire::IpAddress, wire::SocketAddress>, std::size_t> counts;
  for (const auto& socket : facts.sockets)
    if (socket.state == tcp::State::time_wait) ++counts[{socket.local.ip, socket.remote}];
  std::vector<TimeWaits> found;
  for (const auto& [ends, count] : counts) {
    TimeWaits entry{ends.first, ends.second, count, Severity::chat};
    const double part = static_cast<double>(count) / std::max<std::uint32_t>(1, facts.local_ports);
    if (part >= 0.1) entry.severity = Severity::note;
    if (part >= 0.5) entry.severity = Severity::warning;
    if (part >= 0.95) entry.severity = Severity::error;
    found.push_back(entry);
  }
  std::ranges::sort(
      found, {}, [](const TimeWaits& w) { return std::tuple(-static_cast<std::int64_t>(w.count), w.local, w.remote); });
  return found;
}

// /proc/net/netstat: a line of names, a line of values.
std::optional<std::uint64_t> counter(std::string_view wanted) {
  std::ifstream file("/proc/self/net/netstat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto lines = trace::counter_lines(text, "TcpExt:");
  if (!lines) return std::nullopt;
  const auto name = std::ranges::find(lines->names, wanted);
  if (name == lines->names.end()) return std::nullopt;
  return static_cast<std::uint64_t>(lines->values[static_cast<std::size_t>(name - lines->names.begin())]);
}

}  // namespace

const KindRow& row_of(Kind kind) { return *std::ranges::find(rows, kind, &KindRow::kind); }

base::Result<Facts> collect() {
  auto sampler = trace::SocketSampler::open();
  if (!sampler) return std::unexpected(std::move(sampler.error()));
  auto sample = sampler->sample();
  if (!sample) return std::unexpected(std::move(sample.error()));
  Facts facts;
  facts.sockets = std::move(sample->sockets);
  facts.complete = sample->complete;
  facts.holders = trace::find_socket_holders();
  facts.as_root = ::geteuid() == 0;
  facts.listen_overflows = counter("ListenOverflows");
  facts.listen_drops = counter("ListenDrops");
  std::ifstream range("/proc/sys/net/ipv4/ip_local_port_range");
  if (std::uint32_t low = 0, high = 0; range >> low >> high && high >= low) facts.local_ports = high - low + 1;
  return facts;
}

Diagnosis diagnose(const Facts& facts) { return {Doctor(facts).examine(), count_time_waits(facts)}; }

bool Filter::fits(const SocketSnapshot& socket, const trace::SocketHolders& holders) const {
  const auto is_port = [&](std::uint16_t port) { return socket.local.port == port || socket.remote.port == port; };
  const auto is_host = [&](const wire::IpAddress& host) {
    return socket.local.ip == host.unmapped() || socket.remote.ip == host.unmapped();
  };
  const auto holds = [&](pid_t pid) {
    return std::ranges::any_of(holders.of(socket.inode), [&](const auto& holder) { return holder.pid == pid; });
  };
  return (ports.empty() || std::ranges::any_of(ports, is_port)) &&
         (hosts.empty() || std::ranges::any_of(hosts, is_host)) && (pids.empty() || std::ranges::any_of(pids, holds));
}

void apply(const Filter& filter, Facts& facts) {
  if (filter.empty()) return;
  std::erase_if(facts.sockets, [&](const SocketSnapshot& socket) { return !filter.fits(socket, facts.holders); });
}

std::string in_words(Milliseconds duration) { return base::age_in_words(duration); }

}  // namespace tcpwhy::cli::ps
