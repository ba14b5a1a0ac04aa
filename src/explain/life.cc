#include "explain/life.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/check.h"
#include "base/text.h"

namespace tcpwhy::explain {
namespace {

using recording::SocketLife;

constexpr auto rows = std::to_array<LifeRow>({
    {"life.in_order", false, "{first} closed first; in order", "{first} 先关闭；正常结束"},
    {"life.in_order_by_exit", false, "{first} closed first, by ending; in order", "{first} 因进程结束先关闭；正常结束"},
    {"life.simultaneous", false, "both closed at the same time; in order", "双方同时关闭；正常结束"},
    {"open.refused", true, "refused: {peer} answered the SYN with a RST (nobody listens there)",
     "被拒绝：{peer} 以 RST 回应 SYN（无人监听）"},
    {"open.timed_out", true, "never stood: no answer to {who}'s SYN", "从未建立：{who} 的 SYN 没有得到回应"},
    {"open.unreachable", true, "never stood: the network says that {peer} can't be reached",
     "从未建立：网络称 {peer} 不可达"},
    {"open.abandoned", true, "given up by {who} before the handshake was done", "握手完成前被 {who} 放弃"},
    {"reset.unread_data_at_close", true, "reset by {resetter}: it closed with received data unread",
     "被 {resetter} 复位：关闭时仍有未读数据"},
    {"reset.unread_data_at_exit", true, "reset by {resetter}: its process ended with received data unread",
     "被 {resetter} 复位：进程结束时仍有未读数据"},
    {"reset.aborted", true, "reset by {resetter}: aborted (SO_LINGER 0, ss -K, or a listener closed with a queue)",
     "被 {resetter} 复位：主动中止（SO_LINGER 0、ss -K 或监听套接字带队列关闭）"},
    {"reset.linger_zero", true, "reset by {resetter}: closed with SO_LINGER on and 0 seconds",
     "被 {resetter} 复位：关闭时 SO_LINGER 打开且为 0 秒"},
    {"reset.listener_closed", true, "reset by {resetter}: its listener was closed before anybody had accepted",
     "被 {resetter} 复位：监听套接字已关闭，连接尚未被 accept"},
    {"reset.disconnected", true, "reset by {resetter}: connect(AF_UNSPEC)", "被 {resetter} 复位：connect(AF_UNSPEC)"},
    {"reset.destroyed", true, "reset by {resetter}'s kernel: somebody destroyed the socket (ss -K)",
     "被 {resetter} 的内核复位：套接字被外部销毁 (ss -K)"},
    {"reset.linger_2", true, "reset by {resetter}: closed with TCP_LINGER2 below 0",
     "被 {resetter} 复位：TCP_LINGER2 小于 0"},
    {"reset.keep_alive", true, "reset by {resetter}: no keep-alive probe was answered",
     "被 {resetter} 复位：保活探测无回应"},
    {"reset.after_close", true, "reset by {resetter}: data came after its close()",
     "被 {resetter} 复位：其 close() 之后仍有数据到达"},
    {"reset.late_after_close", false, "reset by {resetter}: a segment without data came after its close()",
     "被 {resetter} 复位：其 close() 之后仍有不带数据的报文段到达"},
    {"reset.out_of_memory", true, "reset by {resetter}'s kernel: too many orphans, or too little memory",
     "被 {resetter} 的内核复位：孤儿套接字过多或内存不足"},
    {"reset.queue_full", true, "reset by {resetter}: its accept queue was full", "被 {resetter} 复位：接受队列已满"},
    {"reset.by_peer_after_fin", true, "reset by {peer} after its FIN: {who} went on sending",
     "{peer} 在 FIN 之后复位：{who} 仍在发送"},
    {"reset.by_peer", true, "reset by {peer}", "被 {peer} 复位"},
    {"reset.sent", true, "reset by {resetter}: {reason}", "被 {resetter} 复位：{reason}"},
    {"gave_up.retransmissions", true, "given up by {who}'s kernel: {peer} answered nothing",
     "{who} 的内核放弃：{peer} 没有任何回应"},
    {"gave_up.unreachable", true, "given up by {who}'s kernel: the network says that {peer} can't be reached",
     "{who} 的内核放弃：网络称 {peer} 不可达"},
    {"life.ended", false, "ended", "已结束"},
});

const LifeRow* row(std::string_view id) {
  const auto* found = std::ranges::find(rows, id, &LifeRow::id);
  TCPWHY_CHECK(found != rows.end());
  return found;
}

bool is_unreachable(int error) { return error == EHOSTUNREACH || error == ENETUNREACH || error == EHOSTDOWN; }

// By the kernel's stack, which tells more than its reason: several causes share one. "": it tells nothing.
std::string_view by_stack(const SocketLife& life) {
  const auto& cause = life.reset_cause;
  if (cause == "close.unread_data")
    return life.closed_by_exit ? "reset.unread_data_at_exit" : "reset.unread_data_at_close";
  if (cause == "close.linger_zero") return "reset.linger_zero";
  if (cause == "close.linger2") return "reset.linger_2";
  if (cause == "close.listener_queue") return "reset.listener_closed";
  if (cause == "disconnect") return "reset.disconnected";
  if (cause == "abort.sock_diag") return "reset.destroyed";
  if (cause == "keep_alive_gave_up") return "reset.keep_alive";
  if (cause == "out_of_memory") return "reset.out_of_memory";
  if (cause == "segment.accept_queue_full") return "reset.queue_full";
  // It had closed: a segment that came then was not for anybody.
  const bool closed = life.was_in("FIN-WAIT-1") || life.was_in("LAST-ACK");
  if (closed && life.reset_answers_data && (cause == "segment.refused" || cause == "segment.no_socket"))
    return *life.reset_answers_data ? "reset.after_close" : "reset.late_after_close";
  return {};
}

std::string_view sent_reset(const SocketLife& life) {
  if (const std::string_view id = by_stack(life); !id.empty()) return id;
  const auto& reason = life.reset_reason;
  if (reason == "TCP_ABORT_ON_CLOSE")
    return life.closed_by_exit ? "reset.unread_data_at_exit" : "reset.unread_data_at_close";
  if (reason == "TCP_STATE") return "reset.aborted";
  if (reason == "TCP_ABORT_ON_LINGER") return "reset.linger_2";
  if (reason == "TCP_KEEPALIVE_TIMEOUT") return "reset.keep_alive";
  if (reason == "TCP_ABORT_ON_DATA" || reason == "TCP_TIMEWAIT_SOCKET") return "reset.after_close";
  if (reason == "TCP_ABORT_ON_MEMORY") return "reset.out_of_memory";
  if (reason == "INVALID_SYN") return "reset.queue_full";
  return "reset.sent";
}

// Who sent the first FIN: FIN-WAIT-1 before CLOSE-WAIT is this side.
Closer first_fin(const SocketLife& life) {
  for (std::uint8_t i = 0; i < life.state_count; ++i) {
    if (life.states[i] == "FIN-WAIT-1") return life.was_in("CLOSING") ? Closer::both : Closer::local;
    if (life.states[i] == "CLOSE-WAIT") return Closer::remote;
  }
  return Closer::nobody;
}

LifeVerdict judge_opening(const SocketLife& life) {
  if (life.error == ECONNREFUSED || life.reset_received) return {row("open.refused"), Closer::remote, true, {}};
  if (life.error == ETIMEDOUT) return {row("open.timed_out"), Closer::nobody};
  if (is_unreachable(life.error)) return {row("open.unreachable"), Closer::nobody};
  return {row("open.abandoned"), Closer::local};
}

}  // namespace

std::span<const LifeRow> life_rows() { return rows; }

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
  std::string text(language == Language::zh ? verdict.row->zh : verdict.row->en);
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

}  // namespace tcpwhy::explain
