#include "explain/texts/headlines.h"

#include <algorithm>
#include <vector>

#include "explain/texts/reset_reasons.h"

namespace tcpwhy::explain {
namespace {

constexpr Headline table[] = {
    // --- opening ---
    {"open.refused", {"{act_opener}: nobody listens on port {port}", "{act_opener}：端口 {port} 无人监听"}},
    {"open.refused_later", {"{act_opener}: nobody listens on port {port}", "{act_opener}：端口 {port} 无人监听"}},
    {"open.timed_out", {"{act}: no answer, {counted} having been sent", "{act}：没有任何回应，已发送{counted_zh}"}},
    {"open.unreachable",
     {"{act}: no way there, by ICMP, the routes or the neighbour", "{act}：由 ICMP、路由或邻居得知无路可达"}},
    {"open.refused_by_icmp",
     {"{act}: an ICMP message refused it, not a closed port", "{act}：被 ICMP 消息拒绝，而非端口关闭"}},
    {"open.refused_though_listening",
     {"{who} was refused though a socket listens on {address}", "{who}被拒绝，尽管有套接字监听 {address}"}},
    {"open.refused_unseen",
     {"{act}: refused; nobody listens on port {port}, or a firewall rejects",
      "{act}：被拒绝；端口 {port} 无人监听，或防火墙拒绝"}},
    {"open.given_up",
     {"{act}: the program gave up after {after}, no answer to {counted}",
      "{act}：程序在 {after} 后放弃，{counted_zh}没有任何回应"}},
    {"open.no_route", {"{act}: no route there, nothing was sent", "{act}：没有路由，未发送任何报文"}},
    {"open.no_way", {"{act}: no way there, most likely no route", "{act}：无路可达，很可能没有路由"}},
    {"open.firewall_drop_in",
     {"{act}: {by} here threw the {segment} away as it arrived", "{act}：本机的{by_zh}丢弃了到达的 {segment}"}},
    {"open.firewall_drop_out",
     {"{act}: {by} here threw the {segment} away before it left", "{act}：本机的{by_zh}在发出之前丢弃了 {segment}"}},
    {"open.firewall_icmp",
     {"{act}: {by} here rejected the {segment} by ICMP", "{act}：本机的{by_zh}以 ICMP 拒绝了 {segment}"}},
    {"open.firewall_reset",
     {"{act}: {by} here rejected the {segment} with a RST", "{act}：本机的{by_zh}以 RST 拒绝了 {segment}"}},
    {"open.thrown_away", {"{act}: the {segment} was thrown away here: {by}", "{act}：{segment} 在本机被丢弃：{by_zh}"}},
    {"open.no_local_address",
     {"{act}: no local port is left, or no local address leads there",
      "{act}：没有可用的本地端口，或没有可到达那里的本地地址"}},
    {"open.family_off", {"{act}: IPv6 is off on this machine", "{act}：本机已关闭 IPv6"}},
    {"open.pair_in_use",
     {"{act}: {local} to {remote} is in use, by {holder}", "{act}：{local} 到 {remote} 已被{holder}使用"}},
    {"open.pair_or_time_wait",
     {"{act}: {local} to {remote} is in use, or in TIME-WAIT",
      "{act}：{local} 到 {remote} 正被使用，或处于 TIME-WAIT"}},
    {"open.not_permitted", {"{act}: not allowed ({error})", "{act}：不被允许（{error}）"}},
    {"open.failed", {"{act}: {error}", "{act}：{error}"}},
    {"open.earlier_incarnation",
     {"{who}'s SYN met an earlier connection that {peer} still has", "{who}的 SYN 遇到了{peer}仍保有的较早的连接"}},
    {"open.syn_lost",
     {"{who} had to send its SYN {times} more times: {after} until {peer} answered",
      "{who}不得不把 SYN 重发 {times} 次：{after} 后{peer}才回应"}},
    {"open.syn_ack_lost",
     {"{peer} had to send its SYN-ACK {times} more times: {after} until {who} answered",
      "{peer}不得不把 SYN-ACK 重发 {times} 次：{after} 后{who}才回应"}},
    {"open.queue_full",
     {"{peer}'s accept queue was full: its kernel dropped the handshake of {who}",
      "{peer}的 accept 队列已满：内核丢弃了{who}的握手"}},
    {"open.signature_refused",
     {"{peer}'s kernel threw away what {who} sent, for its signature ({reason})",
      "{peer}的内核因签名（{reason}）丢弃了{who}的报文段"}},
    // --- closing ---
    {"close.nothing_sent",
     {"{act} sent nothing: others still hold the socket ({others})",
      "{act} 没有发送任何报文：还有别的描述符指向套接字（{others_zh}）"}},
    {"close.fin_waits",
     {"{act}: its FIN waits behind {bytes} bytes that {peer} has not acknowledged",
      "{act}：FIN 排在{peer}尚未确认的 {bytes} 字节之后"}},
    {"close.under_recv",
     {"{act} sent nothing: another thread is inside a call on the socket",
      "{act} 没有发送任何报文：另一个线程正在该套接字的调用中"}},
    {"close.killed",
     {"{who} was killed by {signal} with the connection open: its kernel closed it",
      "{who}在连接未关闭时被 {signal} 终止：内核关闭了连接"}},
    {"close_wait.left_open",
     {"{who} has not closed since {peer}'s FIN, {after} ago: CLOSE-WAIT",
      "{peer}的 FIN 已在 {after} 前到达，{who}还没有关闭：CLOSE-WAIT"}},
    // --- calls ---
    {"call.bad_descriptor", {"{act}: the descriptor had been closed", "{act}：描述符已被关闭"}},
    {"call.send_after_shutdown", {"{act} after {whose} shutdown({how})", "{act}，在{whose_zh} shutdown({how}) 之后"}},
    {"call.not_connected",
     {"{act}: the socket is not connected, or not any more", "{act}：套接字未连接，或已不再连接"}},
    {"call.wrong_state", {"{act}: the socket is not in a state for that call", "{act}：套接字的状态不允许这个调用"}},
    {"call.send_unconnected", {"{act}: the socket never had a peer", "{act}：套接字从未有过对端"}},
    {"send.after_peer_closed", {"{act} after {peer} {finish}", "{act}，在{peer}{finish_zh}之后"}},
    {"send.broken_pipe", {"{act}: {peer} had reset the connection", "{act}：{peer}已复位连接"}},
    {"send.broken_pipe_unseen",
     {"{act}: {peer} had closed, and then reset the connection", "{act}：{peer}已关闭，随后复位了连接"}},
    {"send.connection_reset", {"{act}: {peer} had reset the connection", "{act}：{peer}已复位连接"}},
    {"send.broken_pipe_later", {"{act}: the connection had been reset before", "{act}：连接此前已被复位"}},
    {"recv.end_of_file_ignored",
     {"{who} goes on reading at the end of the stream: 0, {times} times in {after}",
      "{who}在流结束后仍不断读取：{after} 内 {times} 次返回 0"}},
    {"recv.connection_reset", {"{act}: {peer} had reset the connection", "{act}：{peer}已复位连接"}},
    {"recv.own_limit",
     {"{act}: its own SO_RCVTIMEO was over after {after}, {peer} had sent nothing",
      "{act}：它自己的 SO_RCVTIMEO 在 {after} 后到期，{peer}什么也没有发来"}},
    {"send.own_limit",
     {"{act}: its own SO_SNDTIMEO was over after {after}, {peer} had not read",
      "{act}：它自己的 SO_SNDTIMEO 在 {after} 后到期，{peer}没有读取"}},
    {"urgent.replaced",
     {"{who} sent another urgent byte before {peer} had read the first",
      "{who}在{peer}读取第一个紧急字节之前又发了一个"}},
    {"bind.in_use", {"{act}: port {port} is in use, by whom is not known", "{act}：端口 {port} 已被占用，占用者未知"}},
    {"bind.held_by_listener", {"{act}: {holder} listens on port {port}", "{act}：{holder_zh}正在监听端口 {port}"}},
    {"bind.held_by_connection",
     {"{act}: {holder} has port {port} with a connection", "{act}：{holder_zh}以一个连接占用了端口 {port}"}},
    {"bind.held_by_time_wait",
     {"{act}: a connection of port {port} is in TIME-WAIT", "{act}：端口 {port} 的一个连接处于 TIME-WAIT"}},
    {"bind.no_port_left", {"{act}: no port is free", "{act}：没有空闲端口"}},
    {"bind.no_such_address", {"{act}: no interface here has that address", "{act}：本机没有接口拥有该地址"}},
    {"bind.not_permitted", {"{act}: not allowed: {why}", "{act}：不被允许：{why_zh}"}},
    {"bind.failed", {"{act}: {error}", "{act}：{error}"}},
    {"accept.no_descriptor", {"{act}: no descriptor is free", "{act}：没有空闲的描述符"}},
    {"socket.multipath",
     {"{who} made sockets of Multipath TCP, which are not followed", "{who}创建了多路径 TCP 套接字，无法跟踪"}},
    {"signal.killed", {"SIGPIPE killed {who}", "SIGPIPE 杀死了{who}"}},
    {"signal.killed_unseen",
     {"SIGPIPE killed {who}, by which call was not seen", "SIGPIPE 杀死了{who}，没有看到是哪个调用"}},
    {"reset.unsent_discarded",
     {"{bytes} bytes that {who} had sent never left: thrown away at the reset",
      "{who}已交给内核的 {bytes} 字节从未发出：随复位被丢弃"}},
    // --- nobody answers, or not for a while ---
    {"gave_up.retransmissions",
     {"{who} gave up ({error}): {peer} answered nothing to {times} retransmissions over {after}",
      "{who}放弃（{error}）：{after} 内重传 {times} 次，{peer}没有回应"}},
    {"gave_up.user_timeout",
     {"{who} gave up ({error}): TCP_USER_TIMEOUT was over", "{who}放弃（{error}）：TCP_USER_TIMEOUT 到期"}},
    {"gave_up.keep_alive",
     {"{who} gave up ({error}): {peer} answered none of {times} keep-alive probes over {after}",
      "{who}放弃（{error}）：{after} 内 {times} 次保活探测，{peer}都没有应答"}},
    {"gave_up.window_probes",
     {"{who} gave up ({error}): {peer}'s window was shut, {times} window probes over {after} without an answer",
      "{who}放弃（{error}）：{peer}的窗口关闭，{after} 内 {times} 次窗口探测没有应答"}},
    {"gave_up.unreachable",
     {"{who} gave up ({error}): {peer} cannot be reached, by ICMP or the neighbour table",
      "{who}放弃（{error}）：由 ICMP 或邻居表得知无法到达{peer}"}},
    {"loss.thrown_away",
     {"{host} threw {who}'s payload away {where}: {by}", "{host_zh}{where_zh}丢弃了{who}的数据：{by_zh}"}},
    {"stall.nagle_delayed_ack",
     {"{who}'s bytes waited up to {after} ({times}×): Nagle, and {peer}'s delayed ACK",
      "{who}的字节最多等待 {after}（{times} 次）：Nagle 算法与{peer}的延迟 ACK"}},
    {"stall.zero_window",
     {"{who} did not read: its window was shut for {after}, {peer} waited",
      "{who}没有读取：窗口关闭了 {after}，{peer}在等待"}},
};

}  // namespace

std::span<const Headline> headlines() {
  static const std::vector<Headline> all = [] {
    std::vector<Headline> made(std::begin(table), std::end(table));
    for (const ResetReason& reason : reset_reasons())
      if (!reason.headline.empty()) made.push_back({reason.id, reason.headline});
    return made;
  }();
  return all;
}

const Headline* find_headline(std::string_view id) {
  const auto row = std::ranges::find(headlines(), id, &Headline::id);
  return row == headlines().end() ? nullptr : &*row;
}

}  // namespace tcpwhy::explain
