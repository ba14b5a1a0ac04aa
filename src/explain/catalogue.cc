#include "explain/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/text.h"

namespace tcpwhy::explain {
namespace {

constexpr Text table[] = {
    // --- opening ---
    {"open.handshake",
     "SYN, SYN-ACK, ACK: the connection stood after {took}. {opener} was ESTABLISHED when the SYN-ACK reached it, "
     "{listener} when the ACK did.",
     "SYN、SYN-ACK、ACK：{took} 后连接建立。SYN-ACK 到达时{opener}进入 ESTABLISHED，ACK 到达时{listener}进入 ESTABLISHED。",
     "", ""},
    {"open.inside_connect", "All three segments left inside {opener}'s connect(), which took {connect}.",
     "三个报文段都在{opener}的 connect() 之内发出，该调用用时 {connect}。", "", ""},
    {"open.before_accept",
     "{listener} was ESTABLISHED {waited} before it called accept(): the kernel opens the connection by itself, accept() "
     "only takes it from the queue and sends nothing.",
     "{listener}在调用 accept() 之前 {waited} 就已是 ESTABLISHED：内核自行完成连接，accept() 只是从队列中取走它，不发送任何报文。",
     "", ""},
    {"open.never_accepted", "{listener} never accepted the connection, and yet it was ESTABLISHED: the kernel did it.",
     "{listener}从未 accept 这个连接，它却已是 ESTABLISHED：这是内核完成的。", "", ""},
    {"open.options",
     "Negotiated in SYN and SYN-ACK: {opener} takes segments of up to {mss_opener} bytes, {listener} of up to "
     "{mss_listener}; both offered: {agreed}.",
     "SYN 与 SYN-ACK 中协商的选项：{opener}最大可收 {mss_opener} 字节的报文段，{listener}为 {mss_listener} 字节；双方都提供：{agreed}。",
     "", ""},
    {"open.refused",
     "Nobody listens on port {port}: the kernel answered {opener}'s SYN with a RST that acknowledges it, and connect() "
     "returned ECONNREFUSED.",
     "端口 {port} 上没有监听者：内核用一个确认了该 SYN 的 RST 回应{opener}，connect() 返回 ECONNREFUSED。",
     "start the server, or check the address and port it listens on (ss -ltn)",
     "启动服务器，或检查它监听的地址和端口（ss -ltn）"},
    // --- closing ---
    {"close.fin",
     "{who}'s close() sent a FIN, {after} after it was called: {who} went to {state} and, as the FIN arrived, {peer} to "
     "{peer_state}.",
     "{who}的 close() 在调用 {after} 后发出 FIN：{who}进入 {state}；FIN 到达时{peer}进入 {peer_state}。", "", ""},
    {"close.fin_at_exit", "{who}'s process ended, and the kernel closed what it held: that sent the FIN.",
     "{who}的进程结束，内核关闭它持有的描述符，因此发出 FIN。", "", ""},
    {"close.nothing_sent",
     "{who}'s close() returned 0 and sent nothing: another descriptor still refers to the socket, and only the last close() "
     "closes the connection.",
     "{who}的 close() 返回 0 却没有发送任何报文：还有别的描述符指向这个套接字，最后一个 close() 才会关闭连接。",
     "close the other copies (a forked child, a dup), or call shutdown(), which acts on the connection itself",
     "关闭其余副本（fork 的子进程、dup），或调用直接作用于连接的 shutdown()"},
    {"shutdown.fin", "{who}'s shutdown() sent a FIN, {after} after it was called; the descriptor stays open.",
     "{who}的 shutdown() 在调用 {after} 后发出 FIN；描述符仍然打开。", "", ""},
    {"shutdown.half_close",
     "After its shutdown(SHUT_WR) {who} still received and read {bytes} bytes from {peer}: half of the connection is closed, "
     "the other half works.",
     "shutdown(SHUT_WR) 之后，{who}仍收到并读取了{peer}的 {bytes} 字节：连接只关闭了一半，另一半照常工作。", "", ""},
    {"close.orphan_waits",
     "With its FIN acknowledged {who} is in FIN-WAIT-2, a small entry that no process holds, and {peer} is in CLOSE-WAIT, where "
     "it stays until its own program closes.",
     "FIN 被确认后，{who}处于 FIN-WAIT-2，只是一个没有进程持有的小条目；{peer}处于 CLOSE-WAIT，直到它自己的程序关闭为止。",
     "", ""},
    {"close.both", "Both sides have closed: {who} first, then {peer}. {who} keeps a TIME-WAIT entry, {peer} nothing.",
     "双方都已关闭：先是{who}，然后是{peer}。{who}留下一个 TIME-WAIT 条目，{peer}什么也不留。", "", ""},
    {"fin_ack.next_tick",
     "{acker}'s kernel acknowledged the FIN {after} later, by the delayed-ACK timer. {acker} had never received data, so the timer "
     "was set for the next tick.",
     "{acker}的内核在 {after} 后由延迟确认定时器确认了 FIN。{acker}从未收到过数据，因此定时器设在下一个时钟滴答。", "",
     ""},
    {"fin_ack.delayed",
     "{acker}'s kernel acknowledged the FIN {after} later, by the delayed-ACK timer. {acker} had received data before, so the timer "
     "was set for 40 ms.",
     "{acker}的内核在 {after} 后由延迟确认定时器确认了 FIN。{acker}此前收到过数据，因此定时器设为 40 毫秒。", "", ""},
    {"fin_ack.covers_data",
     "One ACK of {acker}'s covers data and FIN: the delayed-ACK timer was started by the data, so it ran out {after_data} after "
     "the data and {after} after the FIN.",
     "{acker}的一个 ACK 同时确认了数据和 FIN：延迟确认定时器由数据启动，因此在数据之后 {after_data}、FIN 之后 {after} 到期。",
     "", ""},
    {"fin_ack.on_fin",
     "{acker} acknowledged the FIN {after} later within its own FIN: it closed before the delayed-ACK timer ran out.",
     "{acker}在 {after} 后用自己的 FIN 一并确认了对方的 FIN：它在延迟确认定时器到期之前就关闭了。", "", ""},
    {"fin_ack.on_data",
     "{acker} acknowledged the FIN {after} later within a segment of data: it sent before the delayed-ACK timer ran out.",
     "{acker}在 {after} 后用一个数据报文段一并确认了 FIN：它在延迟确认定时器到期之前就发送了数据。", "", ""},
    {"fin.probed",
     "{who}'s kernel sent the FIN again after {after}: with two segments unacknowledged the tail-loss-probe timer runs, and it was "
     "faster than the other side's delayed ACK.",
     "{who}的内核在 {after} 后重发了 FIN：有两个报文段未被确认时尾部丢失探测定时器会启动，它比对方的延迟确认更快。", "",
     ""},
    // --- calls ---
    {"call.bad_descriptor",
     "{who}'s {call}: the descriptor was closed, its number means nothing any more. TCP was not asked, no packet left.",
     "{who}的 {call}：描述符已关闭，这个数字不再有任何意义。根本没有询问 TCP，也没有任何报文发出。",
     "do not use a descriptor after close(); its number may already be another connection's",
     "close() 之后不要再使用该描述符；它的编号可能已属于另一个连接"},
    {"call.send_after_shutdown",
     "{who}'s {call} came after its own shutdown(SHUT_WR): the kernel refuses at once, and no packet leaves.",
     "{who}的 {call} 在它自己的 shutdown(SHUT_WR) 之后：内核立即拒绝，没有报文发出。",
     "send everything before shutdown(SHUT_WR)", "在 shutdown(SHUT_WR) 之前发完所有数据"},
    {"call.recv_after_shutdown",
     "{who}'s {call} came after its own shutdown(SHUT_RD): 0 as at the end of a file, though {peer} has closed nothing.",
     "{who}的 {call} 在它自己的 shutdown(SHUT_RD) 之后：如同文件结尾返回 0，尽管{peer}什么也没有关闭。", "", ""},
    {"send.after_peer_closed",
     "{who}'s {call} succeeded though {peer} had closed {after} before: a FIN says only that no more data will come, and "
     "{who}'s kernel cannot know that nobody is there to read.",
     "{who}的 {call} 成功了，尽管{peer}在 {after} 之前已经关闭：FIN 只表示不再有数据发来，{who}的内核无法知道对面已无人读取。",
     "when recv() returns 0 the peer has closed: stop sending unless the protocol uses half-close",
     "recv() 返回 0 表示对端已关闭：除非协议使用半关闭，否则应停止发送"},
    {"send.before_reset", "{who}'s {call} succeeded as well: the reset was still on its way.",
     "{who}的 {call} 同样成功：复位报文还在路上。", "", ""},
    {"send.not_sent", "The bytes of {who}'s {call} never left: the reset arrived first and the kernel threw them away.",
     "{who}的 {call} 的字节从未发出：复位先到达，内核把它们丢弃了。", "", ""},
    {"send.broken_pipe",
     "{who}'s {call} came {after} after the reset had arrived. Since a FIN had come before the reset, the error is EPIPE.",
     "{who}的 {call} 在复位到达 {after} 之后。由于 FIN 先于复位到达，错误是 EPIPE。",
     "treat EPIPE as the end of the connection; ignore SIGPIPE or use MSG_NOSIGNAL",
     "把 EPIPE 当作连接结束处理；忽略 SIGPIPE 或使用 MSG_NOSIGNAL"},
    {"send.connection_reset", "{who}'s {call}: the reset came without a FIN, so the error is ECONNRESET, once.",
     "{who}的 {call}：复位之前没有 FIN，因此错误是 ECONNRESET，只有一次。", "", ""},
    {"send.broken_pipe_later",
     "{who}'s {call}: an earlier call had taken ECONNRESET already; from then on it is EPIPE.",
     "{who}的 {call}：之前的调用已经取走了 ECONNRESET；从此以后都是 EPIPE。", "", ""},
    {"recv.end_of_file",
     "{who}'s receiving calls returned 0 ({times}×): {peer}'s FIN is the end of the stream, and it stays so.",
     "{who}的接收调用返回 0，共 {times} 次：{peer}的 FIN 就是流的结尾，此后一直如此。", "", ""},
    {"recv.end_of_file_after_reset",
     "{who}'s receiving calls returned 0 ({times}×), even after the reset: the FIN had come first, and the end of the stream is "
     "tested before the error.",
     "即使在复位之后，{who}的接收调用仍返回 0，共 {times} 次：FIN 先到，内核先检查流结尾，再检查错误。", "", ""},
    {"recv.connection_reset",
     "{who}'s {call}: {peer} had reset the connection without a FIN. The error is handed out once.",
     "{who}的 {call}：{peer}未发 FIN 就复位了连接。这个错误只会交出一次。",
     "find out why the peer reset: unread data at close() and SO_LINGER 0 are the usual causes",
     "查明对端为何复位：close() 时有未读数据和 SO_LINGER 0 是常见原因"},
    {"recv.zero_after_error", "{who}'s next receiving call returned 0: the error had been taken.",
     "{who}的下一次接收调用返回 0：错误已被取走。", "", ""},
    {"recv.data_before_reset", "{who} still read {bytes} bytes that had arrived before the reset.",
     "{who}仍读到了复位之前到达的 {bytes} 字节。", "", ""},
    // --- resets ---
    {"reset.fin_wait_2_entry",
     "{who}'s kernel answered the data with a RST: the program had closed, the FIN was acknowledged, and what was left of the "
     "connection, a FIN-WAIT-2 entry, has nobody to hand data to. It is not a closed port.",
     "{who}的内核用 RST 回应了数据：程序已关闭，FIN 已被确认，连接只剩一个 FIN-WAIT-2 条目，没有人可以接收数据。这并不是端口关闭。",
     "let the peer finish first: shutdown(SHUT_WR), read until 0, then close()",
     "让对端先结束：shutdown(SHUT_WR)，读到 0，再 close()"},
    {"reset.orphan_fin_wait_1",
     "{who}'s kernel answered the data with a RST: the program had closed and the socket, an orphan in FIN-WAIT-1 whose FIN these "
     "very bytes acknowledged, has nobody to hand them to.",
     "{who}的内核用 RST 回应了数据：程序已关闭，套接字成为处于 FIN-WAIT-1 的孤儿（正是这些字节确认了它的 FIN），没有人可以接收它们。",
     "let the peer finish first: shutdown(SHUT_WR), read until 0, then close()",
     "让对端先结束：shutdown(SHUT_WR)，读到 0，再 close()"},
    {"reset.after_shutdown",
     "{who}'s kernel answered the data with a RST: its program had called shutdown(SHUT_RDWR), which refuses whatever comes.",
     "{who}的内核用 RST 回应了数据：程序调用过 shutdown(SHUT_RDWR)，拒绝后来的一切。",
     "use shutdown(SHUT_WR) and keep reading", "使用 shutdown(SHUT_WR) 并继续读取"},
    {"reset.forgotten", "{who}'s kernel answered the segment with a RST because it knows no such connection: {reason}.",
     "{who}的内核用 RST 回应该报文段，因为它不认识这个连接：{reason_zh}。", "", ""},
    {"reset.unread_data_at_close",
     "{who}'s close() sent a RST, not a FIN: {bytes} bytes that {peer} had sent were never read, and {peer} has to learn that they "
     "are lost.",
     "{who}的 close() 发出的是 RST 而不是 FIN：{peer}发来的 {bytes} 字节从未被读取，必须让{peer}知道它们丢失了。",
     "read until recv() returns 0 before close()", "在 close() 之前一直读到 recv() 返回 0"},
    {"reset.unread_data_at_exit",
     "{who}'s process ended with {bytes} bytes unread: the kernel closed its socket with a RST.",
     "{who}的进程结束时还有 {bytes} 字节未读：内核用 RST 关闭了它的套接字。", "", ""},
    {"reset.linger_zero",
     "{who}'s close() sent a RST, not a FIN, because SO_LINGER was set to {on, 0}: it aborts the connection and leaves no "
     "TIME-WAIT.",
     "{who}的 close() 发出的是 RST 而不是 FIN，因为 SO_LINGER 设成了 {on, 0}：它中止连接，不留下 TIME-WAIT。",
     "do not set SO_LINGER to 0 for an orderly close", "要正常关闭就不要把 SO_LINGER 设为 0"},
    {"reset.unexplained", "{who} sent a RST; the evidence does not say why.", "{who}发出了 RST；现有证据无法说明原因。",
     "trace {who} to see the call or the timer behind it", "跟踪{who}以查看背后的调用或定时器"},
    // --- signals ---
    {"signal.killed",
     "SIGPIPE killed {who} inside its {call}: the call never returned. A shell reports exit status {status}.",
     "SIGPIPE 在 {call} 之内杀死了{who}：该调用没有返回。shell 报告的退出状态是 {status}。",
     "ignore SIGPIPE (signal(SIGPIPE, SIG_IGN)) or send with MSG_NOSIGNAL, and handle EPIPE",
     "忽略 SIGPIPE（signal(SIGPIPE, SIG_IGN)）或以 MSG_NOSIGNAL 发送，并处理 EPIPE"},
    {"signal.handled", "{who} had a handler for SIGPIPE: it ran, and then the call returned EPIPE.",
     "{who}为 SIGPIPE 装有处理函数：它先运行，然后调用返回 EPIPE。", "", ""},
    {"signal.ignored", "{who} ignores SIGPIPE: the call returned EPIPE and that was all.",
     "{who}忽略 SIGPIPE：调用返回 EPIPE，仅此而已。", "", ""},
    {"signal.not_asked_for", "{who} sent with MSG_NOSIGNAL: the call returned EPIPE, and no signal came.",
     "{who}以 MSG_NOSIGNAL 发送：调用返回 EPIPE，没有信号。", "", ""},
    {"signal.none_with_econnreset", "No signal came with ECONNRESET: SIGPIPE belongs to EPIPE.",
     "ECONNRESET 不伴随信号：SIGPIPE 只随 EPIPE 而来。", "", ""},
};

std::string slot_text(const Slot& slot, Language language) {
  if (const auto* words = std::get_if<std::string>(&slot)) {
    const bool english_end = language == Language::en && (*words == "server" || *words == "client");
    return (english_end ? "the " : "") + base::escape_controls(end_name(*words, language));
  }
  if (const auto* duration = std::get_if<base::Duration>(&slot)) return in_words(*duration);
  return fmt::format("{}", std::get<std::int64_t>(slot));
}

}  // namespace

std::span<const Text> texts() { return table; }

const Text* find_text(std::string_view id) {
  const auto* row = std::ranges::find(table, id, &Text::id);
  return row == std::end(table) ? nullptr : row;
}

std::string end_name(std::string_view name, Language language) {
  if (language == Language::zh) {
    if (name == "server") return "服务器";
    if (name == "client") return "客户端";
  }
  return std::string(name);
}

std::string fill(std::string_view text, const std::map<std::string, Slot, std::less<>>& slots, Language language) {
  std::string filled;
  while (!text.empty()) {
    const auto open = text.find('{');
    filled += text.substr(0, open);
    if (open == std::string_view::npos) break;
    const auto close = text.find('}', open);
    if (close == std::string_view::npos) {
      filled += text.substr(open);
      break;
    }
    const auto slot = slots.find(text.substr(open + 1, close - open - 1));
    if (slot == slots.end())
      filled += text.substr(open, close - open + 1);
    else
      filled += slot_text(slot->second, language);
    text.remove_prefix(close + 1);
  }
  return filled;
}

std::string error_words(int error) {
  const char* name = strerrorname_np(error);
  return name != nullptr && error != 0 ? std::string(name) : fmt::format("{}", error);
}

std::string in_words(base::Duration duration) {
  const double ms = base::to_ms(duration);
  if (ms < 1) return fmt::format("{:.0f} µs", ms * 1000);
  if (ms < 10) return fmt::format("{:.2f} ms", ms);
  if (ms < 1000) return fmt::format("{:.1f} ms", ms);
  return fmt::format("{:.2f} s", ms / 1000);
}

std::string say(const Finding& finding, Language language) {
  const Text* text = find_text(finding.rule->id);
  if (text == nullptr) return std::string(finding.rule->id);
  std::string said = fill(language == Language::zh ? text->zh : text->en, finding.slots, language);
  if (said.starts_with("the ")) said.front() = 'T';
  for (auto at = said.find(". the "); at != std::string::npos; at = said.find(". the ", at)) said[at + 2] = 'T';
  return said;
}

std::string remedy(const Finding& finding, Language language) {
  const Text* text = find_text(finding.rule->id);
  return text == nullptr ? std::string()
                         : fill(language == Language::zh ? text->remedy_zh : text->remedy_en, finding.slots, language);
}

}  // namespace tcpwhy::explain
