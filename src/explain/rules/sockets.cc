#include "explain/rules/sockets.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <span>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/units.h"
#include "explain/texts/catalogue.h"

namespace tcpwhy::explain {
namespace {

using namespace std::chrono_literals;
using enum Severity;
using recording::HeldBy;
using recording::SocketFacts;
using recording::SocketSnapshot;
using Measure = SocketRule::Measure;
using Timer = recording::SocketActivity::Timer;

// From when on a thing is worth a warning: a server that closes at once passes through CLOSE-WAIT in microseconds, a busy one in fractions
// of a second.
constexpr SocketRule table[] = {
    {.id = "close_wait",
     .severity = note,
     .measure = Measure::milliseconds,
     .steps = {{{10'000, warning}}},
     .when = "the socket is in CLOSE-WAIT",
     .rests_on = "RFC 9293 3.6; tcp_fin(); tcpi_last_ack_recv",
     .sentence = {"CLOSE-WAIT for {since}: the peer has closed, this program has not",
                  "CLOSE-WAIT 已 {since}：对端已关闭，本程序没有"},
     .not_accepted = {"CLOSE-WAIT for {since}: the peer has closed, and nobody has accepted the connection yet",
                      "CLOSE-WAIT 已 {since}：对端已关闭，而连接还没有被 accept"},
     .with_unread = {", {unread} bytes unread", "，{unread} 字节未读"},
     .remedy = {"close() the descriptor when recv() returns 0; it stays in CLOSE-WAIT until then, however long",
                "recv() 返回 0 时就 close() 该描述符；在此之前它会一直停在 CLOSE-WAIT"}},
    {.id = "accept_queue_full",
     .severity = error,
     .when = "more connections wait at a listener than its backlog",
     .rests_on = "sk_acceptq_is_full(); listen(2), net.core.somaxconn",
     .sentence =
         {"accept queue full: {receive_queue} wait for accept(), the backlog is {backlog}: further SYNs are dropped",
          "accept 队列已满：{receive_queue} 个连接在等待 accept()，backlog 为 {backlog}：新的 SYN 会被丢弃"},
     .remedy =
         {"call accept() sooner or in more threads; a larger listen(backlog) and net.core.somaxconn help only against bursts",
          "更快地调用 accept() 或增加线程；加大 listen(backlog) 和 net.core.somaxconn 只能应对突发"}},
    {.id = "accept_queue_waits",
     .severity = note,
     .when = "connections wait at a listener, no more than its backlog",
     .rests_on = "inet_csk_accept(); sk_ack_backlog",
     .sentence = {"{receive_queue} of at most {room} connections wait for accept()",
                  "{receive_queue} 个连接在等待 accept()，最多 {room} 个"}},
    {.id = "orphan_unacked",
     .severity = note,
     .measure = Measure::retransmissions,
     .steps = {{{1, warning}}},
     .when = "no process holds the socket, and in FIN-WAIT-1, CLOSING or LAST-ACK something is unacknowledged",
     .rests_on = "tcp_close(): an orphan goes on sending; net.ipv4.tcp_orphan_retries",
     .sentence =
         {"closed by its program, {state} with {send_queue} bytes that nobody has acknowledged, sent again {retransmissions} times",
          "程序已关闭，处于 {state}，有 {send_queue} 字节无人确认，已重发 {retransmissions} 次"},
     .remedy = {"no program holds it any more: the kernel goes on trying until net.ipv4.tcp_orphan_retries is used up",
                "已没有程序持有它：内核会继续尝试，直到用完 net.ipv4.tcp_orphan_retries"}},
    {.id = "window_shut",
     .severity = note,
     .measure = Measure::milliseconds,
     .steps = {{{10'000, warning}}},
     .when = "the timer of zero-window probes runs, and the peer's window is 0",
     .rests_on = "RFC 9293 3.8.6.1; tcp_probe_timer(); tcpi_snd_wnd",
     .sentence =
         {"the peer's window is shut: {send_queue} bytes wait, {retransmissions} window probes without an answer; nothing sent for {since}",
          "对端窗口已关闭：{send_queue} 字节在等待，{retransmissions} 次窗口探测没有得到回应；{since} 没有发送数据"},
     .answered =
         {"the peer's window is shut: {send_queue} bytes wait, the peer answers window probes; nothing sent for {since}",
          "对端窗口已关闭：{send_queue} 字节在等待，对端回应窗口探测；{since} 没有发送数据"},
     .remedy = {"look at the program on the other side: it does not read", "检查对端的程序：它没有读取数据"}},
    {.id = "not_read",
     .severity = note,
     .measure = Measure::milliseconds,
     .steps = {{{10'000, warning}}},
     .when = "a process holds the socket, in ESTABLISHED bytes are unread, and for a second none has come",
     .rests_on = "recv(2); tcp_diag_get_info(): rcv_nxt - copied_seq; tcpi_last_data_recv",
     .sentence = {"{receive_queue} bytes unread for {since}: this program does not read",
                  "{receive_queue} 字节已 {since} 未读：本程序没有读取"},
     .remedy = {"the program does not read from this descriptor: find out what it waits for",
                "程序没有读取这个描述符：查明它在等什么"}},
    {.id = "retransmitting",
     .severity = warning,
     .measure = Measure::retransmissions,
     .steps = {{{3, error}}},
     .when = "the retransmission timer runs, and has sent something again without an answer",
     .rests_on = "RFC 9293 3.8.1, RFC 6298; tcp_retransmit_timer()",
     .sentence =
         {"retransmitting: sent again {retransmissions} times, nothing heard for {since}; the next in {next}, {send_queue} bytes wait",
          "正在重传：已重发 {retransmissions} 次，{since} 没有收到回应；下一次在 {next} 后，{send_queue} 字节在等待"},
     .remedy = {"is the peer up, and the path between? a firewall, a route, a rebooted host",
                "对端是否在线、路径是否通畅？防火墙、路由、重启过的主机"}},
    {.id = "retransmitting_to_full_queue",
     .severity = warning,
     .measure = Measure::retransmissions,
     .steps = {{{3, error}}},
     .when =
         "the same, and its other end on this host is a handshake under way at a listener whose accept queue is full",
     .rests_on = "tcp_v4_syn_recv_sock(): sk_acceptq_is_full(); net.ipv4.tcp_abort_on_overflow",
     .sentence =
         {"sent again {retransmissions} times, {send_queue} bytes wait: the accept queue of {peer} is full ({waiting} wait, the backlog is {its_backlog}), its end is still SYN-RECEIVED",
          "已重发 {retransmissions} 次，{send_queue} 字节在等待：{peer} 的 accept 队列已满（{waiting} 个在等待，backlog 为 {its_backlog}），其一端仍处于 SYN-RECEIVED"},
     .remedy = {"the listener's program has to call accept(): see the full accept queue",
                "监听程序必须调用 accept()：见已满的 accept 队列"}},
    {.id = "connecting_to_full_queue",
     .severity = warning,
     .measure = Measure::retransmissions,
     .steps = {{{3, error}}},
     .when =
         "the socket is in SYN-SENT, its SYN has been sent again, and it goes to a listener on this host whose accept queue is full",
     .rests_on = "tcp_conn_request(): sk_acceptq_is_full()",
     .sentence =
         {"connect() hangs: {syns} SYNs sent and none answered: the accept queue of {peer} is full ({waiting} wait, the backlog is {its_backlog})",
          "connect() 挂起：已发送 {syns} 个 SYN，都没有回应：{peer} 的 accept 队列已满（{waiting} 个在等待，backlog 为 {its_backlog}）"},
     .remedy = {"the listener's program has to call accept(): see the full accept queue",
                "监听程序必须调用 accept()：见已满的 accept 队列"}},
    {.id = "connecting",
     .severity = warning,
     .measure = Measure::retransmissions,
     .steps = {{{3, error}}},
     .when = "the socket is in SYN-SENT, and its SYN has been sent again",
     .rests_on = "RFC 9293 3.8.3; tcp_retransmit_timer(), net.ipv4.tcp_syn_retries",
     .sentence =
         {"connect() hangs: {syns} SYNs sent and none answered; in {next} comes the next one, or the end (net.ipv4.tcp_syn_retries, TCP_SYNCNT)",
          "connect() 挂起：已发送 {syns} 个 SYN，都没有回应；{next} 后发送下一个，或者结束（net.ipv4.tcp_syn_retries、TCP_SYNCNT）"},
     .remedy = {"nobody answers the SYN: a firewall that drops, a host that is down, a listener whose queue is full",
                "没有人回应 SYN：防火墙丢弃、主机不在线，或监听队列已满"}},
    {.id = "half_closed",
     .severity = note,
     .measure = Measure::milliseconds,
     .steps = {{{60'000, warning}}},
     .when = "a process holds the socket, and it is in FIN-WAIT-2",
     .rests_on = "RFC 9293 3.6, half-close; net.ipv4.tcp_fin_timeout is for orphans only",
     .sentence = {"half-closed for {since}: this program has shut down its sending half, the peer has not closed",
                  "半关闭已 {since}：本程序已关闭发送方向，对端尚未关闭"},
     .remedy = {"the peer has to close its half; with the descriptor open FIN-WAIT-2 never times out",
                "需要对端关闭它的一半；描述符打开时 FIN-WAIT-2 永不超时"}},
    // Where connect() has to choose a port, one in TIME-WAIT is taken for that destination (tcp_tw_reuse may give it back after a second,
    // with timestamps). A side whose port is below the range listened, and runs out of nothing.
    {.id = "time_wait",
     .severity = chat,
     .measure = Measure::percent_of_ports,
     .steps = {{{10, note}, {50, warning}, {95, error}}},
     .when = "entries in TIME-WAIT from one local address to one remote address and port",
     .rests_on = "RFC 9293 3.6.1; inet_hash_connect(), net.ipv4.ip_local_port_range, tcp_tw_reuse",
     .sentence = {"{count} TIME-WAIT entries from {local} to {remote}, of {ports} local ports (ip_local_port_range)",
                  "从 {local} 到 {remote} 有 {count} 个 TIME-WAIT 条目，本地端口共 {ports} 个（ip_local_port_range）"},
     .remedy = {"keep connections and use them again; or let the other side close first", "复用连接；或让对方先关闭"},
     .remedied_from = warning},
};

const SocketRule& rule_of(std::string_view id) {
  const auto* row = std::ranges::find(table, id, &SocketRule::id);
  TCPWHY_CHECK(row != std::end(table));
  return *row;
}

Severity severity_at(const SocketRule& rule, double measured) {
  Severity severity = rule.severity;
  for (const SocketRule::Step& step : rule.steps)
    if (step.from != 0 && measured >= step.from) severity = step.severity;
  return severity;
}

Milliseconds ago(std::uint32_t ms) { return Milliseconds(ms); }

using Ends = std::pair<wire::SocketAddress, wire::SocketAddress>;

// The sockets of a host by their ends.
class Sockets {
 public:
  explicit Sockets(const SocketFacts& facts) : facts_(facts) {
    for (std::size_t i = 0; i < facts.sockets.size(); ++i) {
      const SocketSnapshot& socket = facts.sockets[i];
      if (socket.state == tcp::State::listen)
        listeners_.insert(socket.local.port);
      else if (socket.mptcp != recording::MptcpPart::socket)  // its first subflow has its ends
        by_ends_.emplace(Ends{socket.local, socket.remote}, i);
    }
  }

  [[nodiscard]] const SocketSnapshot& operator[](std::size_t index) const { return facts_.sockets[index]; }
  [[nodiscard]] bool is_server_side(const SocketSnapshot& socket) const {
    return listeners_.contains(socket.local.port);
  }
  [[nodiscard]] std::optional<std::size_t> peer_of(const SocketSnapshot& socket) const {
    const auto found = by_ends_.find({socket.remote, socket.local});
    return found == by_ends_.end() ? std::nullopt : std::optional(found->second);
  }
  // recording::listener_for(), which looks at every socket, once for each address.
  [[nodiscard]] std::optional<std::size_t> listener_for(const wire::SocketAddress& address) const {
    if (!listeners_.contains(address.port)) return std::nullopt;
    const auto [known, made] = found_.try_emplace(address, std::nullopt);
    if (!made) return known->second;
    if (const SocketSnapshot* listener = recording::listener_for(facts_, address))
      known->second = static_cast<std::size_t>(listener - facts_.sockets.data());
    return known->second;
  }

 private:
  const SocketFacts& facts_;
  std::map<Ends, std::size_t> by_ends_;
  std::set<std::uint16_t> listeners_;  // ports
  mutable std::map<wire::SocketAddress, std::optional<std::size_t>> found_;
};

// sk_acceptq_is_full(): more wait than the backlog.
bool has_full_queue(const SocketSnapshot& listener) { return listener.receive_queue > listener.send_queue; }

class Judge {
 public:
  Judge(const SocketFacts& facts, const Sockets& sockets) : facts_(facts), sockets_(sockets) {}

  std::vector<SocketFinding> findings() {
    const auto asked = facts_.asked();
    for (index_ = 0; index_ < asked.size(); ++index_) {
      const SocketSnapshot& socket = asked[index_];
      if (socket.state == tcp::State::listen)
        look_at_listener(socket);
      else if (socket.state == tcp::State::syn_sent)
        look_at_connecting(socket);
      else if (socket.state == tcp::State::close_wait)
        look_at_close_wait(socket);
      else if (socket.state != tcp::State::time_wait && socket.state != tcp::State::syn_received)
        look_at_standing(socket);
    }
    std::ranges::sort(found_, {}, [](const SocketFinding& found) {
      return std::tuple(-static_cast<int>(found.severity), -found.since.value_or(0ms).count(), found.socket,
                        found.rule - std::begin(table));
    });
    return std::move(found_);
  }

 private:
  SocketFinding& add(std::string_view id, std::optional<Milliseconds> since = {}) {
    const SocketRule& rule = rule_of(id);
    const SocketSnapshot& socket = sockets_[index_];
    const double measured = rule.measure == Measure::retransmissions ? socket.activity.retransmissions
                                                                     : static_cast<double>(since.value_or(0ms).count());
    const auto peer = socket.state == tcp::State::listen ? std::nullopt : sockets_.peer_of(socket);
    found_.push_back({&rule, severity_at(rule, measured), index_, peer, {}, since});
    return found_.back();
  }

  void look_at_listener(const SocketSnapshot& socket) {
    if (socket.receive_queue > 0) add(has_full_queue(socket) ? "accept_queue_full" : "accept_queue_waits");
  }

  void look_at_connecting(const SocketSnapshot& socket) {
    if (socket.activity.retransmissions == 0) return;
    const auto listener = sockets_.listener_for(socket.remote);
    if (!listener || !has_full_queue(sockets_[*listener])) return void(add("connecting"));
    auto& found = add("connecting_to_full_queue");
    found.peer = found.because_of = listener;
  }

  // tcpi_last_ack_recv is set by the FIN's own ACK field (tcp_ack()), and by whatever the peer acknowledges after it: so at least.
  void look_at_close_wait(const SocketSnapshot& socket) {
    if (!look_at_sending(socket)) add("close_wait", ago(socket.activity.last_ack_received_ms));
  }

  void look_at_standing(const SocketSnapshot& socket) {
    if (look_at_sending(socket)) return;
    const auto& activity = socket.activity;
    const auto silent = ago(activity.last_data_received_ms);
    if (socket.state == tcp::State::established && socket.holder == HeldBy::process && socket.receive_queue > 0 &&
        socket.tcp && silent >= 1s)
      add("not_read", silent);
    if (socket.state == tcp::State::fin_wait_2 && socket.holder == HeldBy::process) {
      auto& found = add("half_closed", ago(activity.last_ack_received_ms));
      if (found.peer && sockets_[*found.peer].state == tcp::State::close_wait) found.because_of = found.peer;
    }
  }

  // What it has sent and nobody takes. True: said.
  bool look_at_sending(const SocketSnapshot& socket) {
    const auto& activity = socket.activity;
    if (!socket.tcp) return false;
    const auto heard = ago(activity.last_ack_received_ms);
    if (activity.timer == Timer::zero_window_probe && activity.send_window.value_or(0) == 0) {
      auto& found = add("window_shut", ago(activity.last_data_sent_ms));
      if (found.peer && sockets_[*found.peer].receive_queue > 0) found.because_of = found.peer;
      return true;
    }
    if (socket.holder == HeldBy::kernel && socket.send_queue > 0 &&
        (socket.state == tcp::State::fin_wait_1 || socket.state == tcp::State::last_ack ||
         socket.state == tcp::State::closing)) {
      add("orphan_unacked", heard);
      return true;
    }
    if (activity.timer != Timer::retransmission || activity.retransmissions == 0) return false;
    look_at_retransmitting(socket, heard);
    return true;
  }

  void look_at_retransmitting(const SocketSnapshot& socket, Milliseconds heard) {
    const auto peer = sockets_.peer_of(socket);
    const auto listener = sockets_.listener_for(socket.remote);
    const bool waits_for_queue =
        peer && sockets_[*peer].state == tcp::State::syn_received && listener && has_full_queue(sockets_[*listener]);
    if (!waits_for_queue) return void(add("retransmitting", heard));
    auto& found = add("retransmitting_to_full_queue", heard);
    found.peer = found.because_of = listener;
  }

  const SocketFacts& facts_;
  const Sockets& sockets_;
  std::size_t index_ = 0;
  std::vector<SocketFinding> found_;
};

// Who has it, for those with the same to be one: the processes, or what else keeps it.
using Owner = std::pair<HeldBy, std::vector<std::pair<pid_t, std::string>>>;
Owner owner_of(const SocketFacts& facts, const SocketSnapshot& socket) {
  Owner owner{socket.holder, {}};
  for (const auto& holder : facts.holders.of(socket.inode)) owner.second.emplace_back(holder.pid, holder.command);
  const auto repeated = std::ranges::unique(owner.second);
  owner.second.erase(repeated.begin(), repeated.end());
  return owner;
}

std::vector<SocketGroup> group(const SocketFacts& facts, const Sockets& sockets,
                               std::span<const SocketFinding> findings) {
  using Key = std::tuple<const SocketRule*, Owner, bool, wire::SocketAddress>;
  std::map<Key, std::size_t> by_key;
  std::map<std::size_t, std::size_t> group_of_socket;
  std::vector<SocketGroup> groups;
  for (std::size_t i = 0; i < findings.size(); ++i) {
    const SocketFinding& finding = findings[i];
    const SocketSnapshot& socket = sockets[finding.socket];
    const bool server_side = sockets.is_server_side(socket);
    const Key key{finding.rule, owner_of(facts, socket), server_side, server_side ? socket.local : socket.remote};
    const auto [place, made] = by_key.emplace(key, groups.size());
    if (made) groups.push_back({.rule = finding.rule, .severity = finding.severity, .server_side = server_side});
    groups[place->second].findings.push_back(i);
    group_of_socket.emplace(finding.socket, place->second);
  }
  std::vector<std::size_t> order(groups.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) {
    return std::pair(-static_cast<int>(groups[i].severity), -static_cast<std::int64_t>(groups[i].findings.size()));
  });
  std::vector<std::size_t> place_of(groups.size());
  for (std::size_t place = 0; place < order.size(); ++place) place_of[order[place]] = place;
  std::vector<SocketGroup> sorted;
  for (const std::size_t i : order) sorted.push_back(std::move(groups[i]));
  // An effect stands under its cause where all of it has that one, and the cause is none itself.
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    std::optional<std::size_t> cause;
    const bool one = std::ranges::all_of(sorted[i].findings, [&](std::size_t finding) {
      const auto because = findings[finding].because_of;
      const auto found = because ? group_of_socket.find(*because) : group_of_socket.end();
      if (found == group_of_socket.end()) return false;
      const std::size_t its = place_of[found->second];
      return its != i && cause.value_or(its) == its && (cause = its, true);
    });
    if (!one || sorted[*cause].is_effect || !sorted[i].effects.empty()) continue;
    sorted[i].is_effect = true;
    sorted[*cause].effects.push_back(i);
  }
  return sorted;
}

std::vector<TimeWaits> count_time_waits(const SocketFacts& facts) {
  std::map<std::pair<wire::IpAddress, wire::SocketAddress>, std::size_t> counts;
  for (const auto& socket : facts.asked())
    if (socket.state == tcp::State::time_wait) ++counts[{socket.local.ip, socket.remote}];
  const SocketRule& rule = rule_of("time_wait");
  std::vector<TimeWaits> found;
  for (const auto& [ends, count] : counts) {
    const double percent = 100.0 * static_cast<double>(count) / std::max<std::uint32_t>(1, facts.local_ports);
    found.push_back({&rule, severity_at(rule, percent), ends.first, ends.second, count});
  }
  std::ranges::sort(
      found, {}, [](const TimeWaits& w) { return std::tuple(-static_cast<std::int64_t>(w.count), w.local, w.remote); });
  return found;
}

// An unread FIN counts as 1.
std::uint32_t unread_beside_fin(const SocketSnapshot& socket) {
  return socket.receive_queue > 0 ? socket.receive_queue - 1 : 0;
}

// "python3 (pid 42)"; the address where no process is known.
std::string process_of(const SocketFacts& facts, const SocketSnapshot& socket) {
  const auto& holders = facts.holders.of(socket.inode);
  return holders.empty() ? wire::to_string(socket.local)
                         : fmt::format("{} (pid {})", holders.front().command, holders.front().pid);
}

Slots slots_of(const SocketFinding& finding, const SocketFacts& facts) {
  const SocketSnapshot& socket = facts.sockets[finding.socket];
  Slots slots{{"since", base::age_in_words(finding.since.value_or(0ms))},
              {"state", std::string(tcp::name(socket.state))},
              {"send_queue", socket.send_queue},
              {"receive_queue", socket.receive_queue},
              {"backlog", socket.send_queue},
              {"room", std::int64_t{socket.send_queue} + 1},
              {"unread", unread_beside_fin(socket)},
              {"retransmissions", socket.activity.retransmissions},
              {"syns", std::int64_t{socket.activity.retransmissions} + 1},
              {"next", base::age_in_words(ago(socket.activity.timer_expires_ms))}};
  if (finding.peer) {
    const SocketSnapshot& peer = facts.sockets[*finding.peer];
    slots["peer"] = process_of(facts, peer);
    slots["waiting"] = std::int64_t{peer.receive_queue}, slots["its_backlog"] = std::int64_t{peer.send_queue};
  }
  return slots;
}

// Behind a sentence that does not name it: the other end, where a process of this host has it.
constexpr Text other_end{"; the other end is {peer}", "；另一端是 {peer}"};
constexpr Text other_end_unread{"; the other end is {peer}, which has not read {waiting} bytes",
                                "；另一端是 {peer}，它有 {waiting} 字节未读"};

}  // namespace

std::span<const SocketRule> socket_rules() { return table; }

std::string severity_words(const SocketRule& rule) {
  std::string words(name(rule.severity));
  std::string_view between = "; ";
  for (const auto& [from, severity] : rule.steps) {
    if (from == 0) break;
    std::string amount;
    switch (rule.measure) {
      case Measure::nothing: break;
      case Measure::milliseconds: amount = base::age_in_words(Milliseconds(from)); break;
      case Measure::retransmissions: amount = fmt::format("retransmission {}", from); break;
      case Measure::percent_of_ports: amount = fmt::format("{} % of the local ports", from); break;
    }
    words += fmt::format("{}{} from {} on", std::exchange(between, ", "), name(severity), amount);
  }
  return words;
}

SocketsVerdict judge(const SocketFacts& facts) {
  const Sockets sockets(facts);
  SocketsVerdict verdict{Judge(facts, sockets).findings(), count_time_waits(facts), {}};
  verdict.groups = group(facts, sockets, verdict.findings);
  return verdict;
}

std::string say(const SocketFinding& finding, const SocketFacts& facts, Language language) {
  const SocketSnapshot& socket = facts.sockets[finding.socket];
  const SocketRule& rule = *finding.rule;
  const bool waits_for_accept = socket.holder == HeldBy::accept_queue && !rule.not_accepted.empty();
  const bool is_answered = socket.activity.retransmissions == 0 && !rule.answered.empty();
  std::string text((waits_for_accept ? rule.not_accepted : is_answered ? rule.answered : rule.sentence).in(language));
  if (unread_beside_fin(socket) > 0) text += rule.with_unread.in(language);
  if (finding.peer && !text.contains("{peer}") && !facts.holders.of(facts.sockets[*finding.peer].inode).empty()) {
    const bool unread = &rule == &rule_of("window_shut") && facts.sockets[*finding.peer].receive_queue > 0;
    text += (unread ? other_end_unread : other_end).in(language);
  }
  return fill(text, slots_of(finding, facts), language);
}

std::string say(const TimeWaits& waits, const SocketFacts& facts, Language language) {
  return fill(waits.rule->sentence.in(language),
              {{"count", static_cast<std::int64_t>(waits.count)},
               {"local", wire::to_string(waits.local)},
               {"remote", wire::to_string(waits.remote)},
               {"ports", facts.local_ports}},
              language);
}

}  // namespace tcpwhy::explain
