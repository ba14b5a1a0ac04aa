#include "explain/rules/life.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/check.h"
#include "base/text.h"
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
    {"open.refused",
     true,
     {"refused: {peer} answered the SYN with a RST (nobody listens there)",
      "被拒绝：{peer} 以 RST 回应 SYN（无人监听）"},
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

// RFC 9293 3.8.3: "An attempt to open a TCP connection could fail with excessive retransmissions of the SYN segment
// or by receipt of a RST segment or an ICMP Port Unreachable."
LifeVerdict judge_opening(const SocketLife& life) {
  if (life.error == ECONNREFUSED || life.reset_received) return {row("open.refused"), Closer::remote, true, {}};
  if (life.error == ETIMEDOUT) return {row("open.timed_out"), Closer::nobody};
  if (is_unreachable(life.error)) return {row("open.unreachable"), Closer::nobody};
  return {row("open.abandoned"), Closer::local};
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
  const Closer fin = first_fin(life);
  if (life.reset_sent)
    return {row(sent_reset(life)), fin == Closer::nobody ? Closer::local : fin, false, life.reset_reason,
            life.reset_cause};
  if (life.reset_received) {
    const Closer first = fin == Closer::nobody ? Closer::remote : fin;
    if (peer != nullptr && peer->reset_sent)
      return {row(sent_reset(*peer)), first, true, peer->reset_reason, peer->reset_cause};
    return {row(fin == Closer::remote ? "reset.by_peer_after_fin" : "reset.by_peer"), first, true, {}, {}};
  }
  if (life.error == ETIMEDOUT) return {row("gave_up.retransmissions"), fin};
  if (is_unreachable(life.error)) return {row("gave_up.unreachable"), fin};
  if (fin == Closer::both) return {row("life.simultaneous"), fin};
  if (fin == Closer::local) {
    // To the kernel's tracepoint FIN-WAIT-2 of a closed socket and TIME-WAIT both end in CLOSED: a small entry goes on.
    return {row(life.closed_by_exit ? "life.in_order_by_exit" : "life.in_order"), fin};
  }
  if (fin == Closer::remote)
    return {row(peer != nullptr && peer->closed_by_exit ? "life.in_order_by_exit" : "life.in_order"), fin};
  return {row("life.ended"), fin};
}

std::string words(const LifeVerdict& verdict, const std::string& who, const std::string& peer, Language language) {
  std::string text(verdict.row->text.in(language));
  const auto put = [&text](std::string_view place, std::string_view value) {
    for (std::size_t at = text.find(place); at != std::string::npos; at = text.find(place, at + value.size()))
      text.replace(at, place.size(), value);
  };
  put("{first}", verdict.first == Closer::remote ? peer : who);
  put("{who}", who);
  put("{peer}", peer);
  put("{resetter}", verdict.reset_by_peer ? peer : who);
  put("{reason}", verdict.reason.empty() ? "the kernel does not say why" : verdict.reason);
  return base::escape_controls(text);
}

std::string words(const LifeVerdict& verdict, const SocketLife& life, const SocketLife* peer, Language language) {
  const bool peer_is_known = peer != nullptr && peer->holder.pid != 0;
  return words(verdict, life.holder.pid != 0 ? life.holder.command : wire::to_string(life.local),
               peer_is_known ? peer->holder.command : wire::to_string(life.remote), language);
}

}  // namespace tcpwhy::explain
