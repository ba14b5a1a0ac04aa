#include "explain/rules/life.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <vector>

#include "base/check.h"
#include "base/text.h"
#include "base/units.h"
#include "explain/texts/catalogue.h"
#include "explain/texts/reset_reasons.h"

namespace tcpwhy::explain {
namespace {

using recording::SocketLife;

// How it ended but for a reset whose reason is known: reset_reasons.cc.
constexpr LifeRow own_rows[] = {
    {"life.in_order",
     false,
     {"{first} closed first; in order", "{first} 先关闭；正常结束"},
     "one side's FIN was the first (FIN-WAIT-1 here, or CLOSE-WAIT), and there was neither reset nor error",
     "RFC 9293 3.6"},
    {"life.in_order_by_exit",
     false,
     {"{first} closed first, by ending; in order", "{first} 因进程结束先关闭；正常结束"},
     "the same, and that FIN left because its process ended",
     "RFC 9293 3.6; do_exit(), tcp_close()"},
    {"life.simultaneous",
     false,
     {"both closed at the same time; in order", "双方同时关闭；正常结束"},
     "both FINs crossed: CLOSING after FIN-WAIT-1",
     "RFC 9293 3.6, figure 13"},
    {"life.not_closed",
     true,
     {"{first} closed first; {stays} has not closed{detail}", "{first} 先关闭；{stays} 没有关闭{detail}"},
     "one side's FIN was the first and that end is over, without reset or error; the other end is on this machine, and in CLOSE-WAIT for 10 s",
     "RFC 9293 3.6; close(2)"},
    {"life.half_over",
     false,
     {"{first} closed first; {stays} not yet{detail}", "{first} 先关闭；{stays} 尚未关闭{detail}"},
     "the same, and the other end is in another state, or in CLOSE-WAIT for less: the watch ended, or its ends were used again",
     "RFC 9293 3.6"},
    {"open.queue_full",
     true,
     {"never stood: no answer to {who}'s SYN, the accept queue of {peer} is full{detail}",
      "从未建立：{who} 的 SYN 没有得到回应，{peer} 的 accept 队列已满{detail}"},
     "an opener that was never ESTABLISHED got ETIMEDOUT, or gave up, after it had sent its SYN again; it knocked at a listener of this network namespace with more connections waiting than its backlog when it was told",
     "tcp_conn_request(), sk_acceptq_is_full(): ListenOverflows"},
    {"open.refused",
     true,
     {"refused: {peer} answered the SYN with a RST (nobody listens there, or a firewall rejects)",
      "被拒绝：{peer} 以 RST 回应 SYN（无人监听，或被防火墙拒绝）"},
     "an opener that was never ESTABLISHED got a RST, or ECONNREFUSED",
     "RFC 9293 3.10.7.3; tcp_rcv_synsent_state_process(), tcp_reset()"},
    {"open.timed_out",
     true,
     {"never stood: no answer to {who}'s SYN", "从未建立：{who} 的 SYN 没有得到回应"},
     "an opener that was never ESTABLISHED got ETIMEDOUT",
     "RFC 9293 3.8.3; tcp_write_timeout(), net.ipv4.tcp_syn_retries"},
    {"open.unreachable",
     true,
     {"never stood: the network says that {peer} can't be reached", "从未建立：网络称 {peer} 不可达"},
     "an opener that was never ESTABLISHED got EHOSTUNREACH, ENETUNREACH or EHOSTDOWN",
     "RFC 1122 4.2.3.9; tcp_v4_err(), icmp_err_convert[]"},
    {"open.abandoned",
     true,
     {"given up by {who} before the handshake was done", "握手完成前被 {who} 放弃"},
     "an opener that was never ESTABLISHED ended without any of these",
     "RFC 9293 3.10.4 (SYN-SENT); tcp_close()"},
    {"reset.by_peer_after_fin",
     true,
     {"reset by {peer} after its FIN: {who} went on sending", "{peer} 在 FIN 之后复位：{who} 仍在发送"},
     "a RST came after the peer's FIN, and the peer's end is not on this machine, or did not send it",
     "RFC 9293 3.10.7.4; tcp_reset()"},
    {"reset.by_peer",
     true,
     {"reset by {peer}", "被 {peer} 复位"},
     "a RST came without a FIN of the peer's before it, and the peer's end is not on this machine, or did not send it",
     "RFC 9293 3.10.7.4; tcp_reset()"},
    {"reset.sent",
     true,
     {"reset by {resetter}: {reason}", "被 {resetter} 复位：{reason}"},
     "a RST was sent, and neither the kernel's stack nor its reason is in a row below",
     "tcp_v4_send_reset(), tcp_send_active_reset(); enum sk_rst_reason"},
    {"gave_up.retransmissions",
     true,
     {"given up by {who}'s kernel: {peer} answered nothing", "{who} 的内核放弃：{peer} 没有任何回应"},
     "a connection that stood got ETIMEDOUT",
     "RFC 9293 3.8.3, RFC 1122 4.2.3.5; tcp_write_timeout(), tcp_retries2"},
    {"gave_up.window_shut",
     true,
     {"given up by {who}'s kernel: {peer} answered each window probe, but took nothing (TCP_USER_TIMEOUT)",
      "{who} 的内核放弃：{peer} 回应了每次窗口探测，但不接收数据（TCP_USER_TIMEOUT）"},
     "a connection that stood got ETIMEDOUT while the peer's window was 0 and no probe waited for an answer",
     "tcp(7) TCP_USER_TIMEOUT; tcp_probe_timer(): icsk_probes_out"},
    {"gave_up.unreachable",
     true,
     {"given up by {who}'s kernel: the network says that {peer} can't be reached",
      "{who} 的内核放弃：网络称 {peer} 不可达"},
     "a connection that stood got EHOSTUNREACH, ENETUNREACH or EHOSTDOWN",
     "RFC 1122 4.2.3.9; tcp_v4_err(): sk_err_soft, tcp_write_err()"},
    {"life.ended", false, {"ended", "已结束"}, "neither FIN, reset nor error was seen", "inet_sock_set_state"},
};

const LifeRow* row(std::string_view id) {
  const auto found = std::ranges::find(life_rows(), id, &LifeRow::id);
  TCPWHY_CHECK(found != life_rows().end());
  return &*found;
}

bool is_unreachable(int error) { return error == EHOSTUNREACH || error == ENETUNREACH || error == EHOSTDOWN; }

// It had closed: a segment that came then was not for anybody. Empty: that is not what was answered, or whether it had data is not known.
std::string_view answered_after_close(const SocketLife& life) {
  const bool refused = life.reset_cause == "segment.refused" || life.reset_cause == "segment.no_socket";
  const bool closed = life.was_in(tcp::State::fin_wait_1) || life.was_in(tcp::State::last_ack);
  if (!refused || !closed || !life.reset_answers_data) return {};
  return *life.reset_answers_data ? "reset.after_close" : "reset.late_after_close";
}

// The row of its reason, or the wider one that has an ending.
std::string_view sent_reset(const SocketLife& life) {
  if (const auto id = answered_after_close(life); !id.empty()) return id;
  const ResetReason* reason = reset_reason_of_kernel(life.reset_cause, life.reset_reason);
  if (reason != nullptr && life.closed_by_exit && !reason->at_exit.empty()) reason = find_reset_reason(reason->at_exit);
  if (reason != nullptr && reason->ending.empty()) reason = find_reset_reason(reason->wider);
  return reason == nullptr ? "reset.sent" : reason->id;
}

// Who sent the first FIN: FIN-WAIT-1 before CLOSE-WAIT is this side.
Closer first_fin(const SocketLife& life) {
  for (std::uint8_t i = 0; i < life.state_count; ++i) {
    if (life.states[i] == tcp::State::fin_wait_1)
      return life.was_in(tcp::State::closing) ? Closer::both : Closer::local;
    if (life.states[i] == tcp::State::close_wait) return Closer::remote;
  }
  return Closer::nobody;
}

Closer turned_round(Closer one) {
  if (one == Closer::local) return Closer::remote;
  return one == Closer::remote ? Closer::local : one;
}

// Also where this end has not seen it yet.
Closer first_fin(const SocketLife& life, const SocketLife* peer) {
  const Closer seen = first_fin(life);
  return seen != Closer::nobody || peer == nullptr ? seen : turned_round(first_fin(*peer));
}

// RFC 9293 3.8.3: "An attempt to open a TCP connection could fail with excessive retransmissions of the SYN segment
// or by receipt of a RST segment or an ICMP Port Unreachable."
LifeVerdict judge_opening(const SocketLife& life) {
  if (life.error == ECONNREFUSED || life.reset_received) return {row("open.refused"), Closer::remote, true, {}};
  if (is_unreachable(life.error)) return {row("open.unreachable"), Closer::nobody};
  if (life.full_queue && life.retransmissions > 0) {
    LifeVerdict verdict{row("open.queue_full"), Closer::nobody};
    const auto& [listener, waiting, backlog] = *life.full_queue;
    verdict.detail = {fmt::format(" ({} wait, the backlog is {})", waiting, backlog),
                      fmt::format("（{} 个在等待，backlog 为 {}）", waiting, backlog)};
    return verdict;
  }
  if (life.error == ETIMEDOUT) return {row("open.timed_out"), Closer::nobody};
  return {row("open.abandoned"), Closer::local};
}

// One end is over in order, the other lives on.
LifeVerdict judge_half(const SocketLife& life, const SocketLife& alive, Closer first) {
  constexpr base::Duration too_long = std::chrono::seconds(10);
  const tcp::State state = alive.state();
  const bool waits = state == tcp::State::close_wait && alive.waits_since;
  const base::Duration since = waits ? alive.ended - *alive.waits_since : base::Duration{};
  LifeVerdict verdict{row(since >= too_long ? "life.not_closed" : "life.half_over"), first};
  verdict.open = &alive == &life ? Closer::local : Closer::remote;
  const OwnedText age =
      waits ? OwnedText{" for " + base::age_in_words(since), " 已 " + base::age_in_words(since)} : OwnedText{};
  verdict.detail = {fmt::format(" ({}{})", tcp::name(state), age.en),
                    fmt::format("（{}{}）", tcp::name(state), age.zh)};
  return verdict;
}

}  // namespace

std::span<const LifeRow> life_rows() {
  static const std::vector<LifeRow> all = [] {
    std::vector<LifeRow> rows(std::begin(own_rows), std::end(own_rows));
    for (const ResetReason& reason : reset_reasons())
      if (!reason.ending.empty())
        rows.push_back({reason.id, reason.severity >= Severity::warning, reason.ending, {}, reason.rests_on});
    return rows;
  }();
  return all;
}

LifeVerdict judge(const SocketLife& life, const SocketLife* peer) {
  if (!life.established && life.opener) return judge_opening(life);
  const Closer fin = first_fin(life, peer);
  if (life.reset_sent)
    return {row(sent_reset(life)), fin == Closer::nobody ? Closer::local : fin, false, life.reset_reason,
            life.reset_cause};
  if (life.reset_received) {
    const Closer first = fin == Closer::nobody ? Closer::remote : fin;
    if (peer != nullptr && peer->reset_sent)
      return {row(sent_reset(*peer)), first, true, peer->reset_reason, peer->reset_cause};
    return {row(fin == Closer::remote ? "reset.by_peer_after_fin" : "reset.by_peer"), first, true, {}, {}};
  }
  if (life.error == ETIMEDOUT)
    return {row(life.window_stayed_shut ? "gave_up.window_shut" : "gave_up.retransmissions"), fin};
  if (is_unreachable(life.error)) return {row("gave_up.unreachable"), fin};
  // It has not come here; nor is what was sent after this end was over why it ended.
  if (peer != nullptr && peer->reset_sent && (!life.over || peer->ended <= life.ended))
    return {row(sent_reset(*peer)), fin == Closer::nobody ? Closer::remote : fin, true, peer->reset_reason,
            peer->reset_cause};
  const SocketLife* alive = !life.over ? &life : peer != nullptr && !peer->over ? peer : nullptr;
  if (alive != nullptr && peer != nullptr && (fin == Closer::local || fin == Closer::remote))
    return judge_half(life, *alive, fin);
  if (fin == Closer::both) return {row("life.simultaneous"), fin};
  if (fin == Closer::local) {
    // To the kernel's tracepoint FIN-WAIT-2 of a closed socket and TIME-WAIT both end in CLOSED: a small entry goes on.
    return {row(life.closed_by_exit ? "life.in_order_by_exit" : "life.in_order"), fin};
  }
  if (fin == Closer::remote)
    return {row(peer != nullptr && peer->closed_by_exit ? "life.in_order_by_exit" : "life.in_order"), fin};
  return {row("life.ended"), fin};
}

namespace {

// Of the two ends; who closed may be another process than who held it.
struct Names {
  std::string who, peer, local_closer, remote_closer, detail;
};

std::string words(const LifeVerdict& verdict, const Names& names, Language language) {
  const bool by_peer = verdict.first == Closer::remote;
  const Text no_reason{"the kernel does not say why", "内核未说明原因"};
  const auto text = fill(verdict.row->text.in(language),
                         {{"first", by_peer ? names.remote_closer : names.local_closer},
                          {"who", names.who},
                          {"peer", names.peer},
                          {"stays", verdict.open == Closer::local ? names.who : names.peer},
                          {"resetter", verdict.reset_by_peer ? names.remote_closer : names.local_closer},
                          {"reason", verdict.reason.empty() ? std::string(no_reason.in(language)) : verdict.reason},
                          {"detail", names.detail}},
                         language);
  return base::escape_controls(text);
}

std::string_view part_of(bool opener, Language language) {
  return opener ? Text{"client", "客户端"}.in(language) : Text{"server", "服务器"}.in(language);
}

std::string name_of(bool opener, const recording::Holder& holder, const wire::SocketAddress& address,
                    Language language) {
  const auto part = part_of(opener, language);
  return holder.pid == 0 ? fmt::format("{} {}", part, address)
                         : fmt::format("{} {}[{}]", part, holder.command, holder.pid);
}

// Who listens has it only as long as nobody has accepted it.
std::string holder_of(const SocketLife& life, Language language) {
  const bool known = !life.holder_only_listens || life.reset_cause == "close.listener_queue";
  return name_of(life.opener, known ? life.holder : recording::Holder{}, life.local, language);
}
std::string closer_of(const SocketLife& life, Language language) {
  return life.closer.pid == 0 ? holder_of(life, language) : name_of(life.opener, life.closer, life.local, language);
}

}  // namespace

std::string words(const LifeVerdict& verdict, const std::string& who, const std::string& peer, Language language) {
  return words(verdict, Names{who, peer, who, peer, std::string(verdict.detail.in(language))}, language);
}

std::string words(const LifeVerdict& verdict, const SocketLife& life, const SocketLife* peer, Language language) {
  Names names{.who = holder_of(life, language),
              .peer = {},
              .local_closer = closer_of(life, language),
              .remote_closer = {},
              .detail = std::string(verdict.detail.in(language))};
  if (peer != nullptr) {
    names.peer = holder_of(*peer, language), names.remote_closer = closer_of(*peer, language);
  } else {
    const recording::Holder listener = life.full_queue ? life.full_queue->listener : recording::Holder{};
    names.peer = names.remote_closer = name_of(!life.opener, listener, life.remote, language);
  }
  return words(verdict, names, language);
}

std::string words_of_many(const LifeVerdict& verdict, bool opener, Language language) {
  const std::string who(part_of(opener, language)), peer(part_of(!opener, language));
  return words(verdict, Names{who, peer, who, peer, {}}, language);
}

}  // namespace tcpwhy::explain
