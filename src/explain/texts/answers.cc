// The table of answers: sentence by sentence, each said only if its findings were found.
#include "explain/explain.h"
#include "explain/texts/reset_reasons.h"

namespace tcpwhy::explain {

std::span<const Question> questions() {
  static constexpr Question table[] = {
      {1, {"How is a connection established?", "连接是如何建立的？"}},
      {2, {"What happens when the server calls close()?", "服务器调用 close() 时发生了什么？"}},
      {3, {"What happens when the server sends after its close()?", "服务器 close() 之后再发送会怎样？"}},
      {4, {"What happens when the server receives after its close()?", "服务器 close() 之后再接收会怎样？"}},
      {5,
       {"What happens when the client sends after the server's close()?", "服务器 close() 之后，客户端发送会怎样？"}},
      {6,
       {"What happens when the client receives after the server's close()?",
        "服务器 close() 之后，客户端接收会怎样？"}},
      {7, {"When does SIGPIPE come, and what does it do?", "SIGPIPE 何时到来？它做了什么？"}},
  };
  return table;
}

namespace {

// All but the clauses on why a reset was sent.
std::vector<AnswerRow> own_rows() {
  return {
      // --- 1 ---
      {1,
       {"open.handshake", "open.inside_connect"},
       {"Three segments open it: SYN, SYN-ACK, ACK. connect() is all of it: it came back after {open.inside_connect/connect}, "
        "and the connection stood.",
        "三个报文段建立连接：SYN、SYN-ACK、ACK。connect() 就是全部：它在 {open.inside_connect/connect} 后返回，此时连接已建立。"}},
      {1,
       {"open.before_accept"},
       {"The server's program takes no part: its kernel completed the handshake, and accept(), called "
        "{open.before_accept/waited} later, only took the connection from the queue and sent nothing.",
        "服务器程序没有参与：握手由它的内核完成；{open.before_accept/waited} 之后才调用的 accept() 只是从队列中取走连接，"
        "没有发送任何报文。"}},
      {1,
       {"open.options"},
       {"SYN and SYN-ACK also say what each side can do; an option is used if both carry it: {open.options/agreed}; segments "
        "of at most {open.options/mss_listener} bytes.",
        "SYN 与 SYN-ACK 还说明各自的能力，双方都带的选项才会启用：{open.options/agreed}；报文段最大 "
        "{open.options/mss_listener} 字节。"}},
      {1,
       {"open.refused"},
       {"Where nobody listens, the kernel answers the SYN with a RST, and connect() fails with ECONNREFUSED.",
        "没有监听者时，内核用 RST 回应 SYN，connect() 以 ECONNREFUSED 失败。"}},
      // --- 2 ---
      {2,
       {"close.fin"},
       {"close() sent a FIN, {close.fin/after} after it was called, and returned without waiting. The closer went to FIN-WAIT-1, "
        "the other side, when the FIN arrived, to CLOSE-WAIT.",
        "close() 在调用 {close.fin/after} 后发出 FIN，并不等待就返回。关闭方进入 FIN-WAIT-1；FIN 到达时对方进入 CLOSE-WAIT。"}},
      {2,
       {"fin_ack.next_tick"},
       {"The ACK of the FIN is the delayed-ACK timer's, never immediate: a FIN switches its receiver to delayed ACKs. A client that had "
        "never received data sent it at the next tick, {fin_ack.next_tick/after} later ...",
        "FIN 的 ACK 由延迟确认定时器发出，从不立即：FIN 会使接收方转为延迟确认。从未收到过数据的客户端在下一个时钟滴答发出，"
        "即 {fin_ack.next_tick/after} 之后……"}},
      {2,
       {"fin_ack.delayed"},
       {"... and one that had received data {fin_ack.delayed/after} later: then the timer is set for 40 ms and runs in ticks.",
        "……而收到过数据的客户端在 {fin_ack.delayed/after} 之后：此时定时器设为 40 毫秒，并按滴答运行。"}},
      {2,
       {"fin_ack.covers_data"},
       {"This explains the 37 ms of the original experiment: data a few milliseconds before the FIN had started that timer, and one ACK "
        "covered both, {fin_ack.covers_data/after_data} after the data, {fin_ack.covers_data/after} after the FIN.",
        "这解释了原实验中的 37 毫秒：FIN 之前几毫秒的数据已启动该定时器，一个 ACK 同时确认两者：数据之后 "
        "{fin_ack.covers_data/after_data}，FIN 之后 {fin_ack.covers_data/after}。"}},
      {2,
       {"fin.probed"},
       {"Where data and FIN are both unacknowledged, the closer's kernel may not wait so long: it sent the FIN again after "
        "{fin.probed/after}, by the tail-loss-probe timer.",
        "当数据和 FIN 都未被确认时，关闭方内核可能等不了那么久：{fin.probed/after} 后它由尾部丢失探测定时器重发了 FIN。"}},
      {2,
       {"fin_ack.on_fin"},
       {"A client that closes at once spares the ACK: its own FIN, {fin_ack.on_fin/after} later, acknowledged the server's.",
        "立即关闭的客户端省去了单独的 ACK：它自己的 FIN 在 {fin_ack.on_fin/after} 后一并确认了服务器的 FIN。"}},
      {2,
       {"close.orphan_waits"},
       {"From then on the closer is in FIN-WAIT-2 and the other side in CLOSE-WAIT, until that side's program closes too.",
        "此后关闭方处于 FIN-WAIT-2，对方处于 CLOSE-WAIT，直到对方的程序也关闭。"}},
      {2,
       {"shutdown.half_close"},
       {"This is not the first half of an orderly four-way close: close() gives up both directions, and what still comes is refused. Only "
        "shutdown(SHUT_WR) closes half: after it the server still read {shutdown.half_close/bytes} bytes from the client.",
        "这并不是有序“四次挥手”的前一半：close() 放弃两个方向，之后到来的数据都会被拒绝。只有 shutdown(SHUT_WR) 才是半关闭："
        "之后服务器仍读到客户端的 {shutdown.half_close/bytes} 字节。"}},
      // --- 3 ---
      {3,
       {"call.bad_descriptor"},
       {"{call.bad_descriptor/call}. No packet left and no signal came: the descriptor is gone, TCP was never asked.",
        "{call.bad_descriptor/call}。没有报文发出，也没有信号：描述符已不存在，根本没有询问 TCP。"}},
      {3,
       {"call.send_after_shutdown"},
       {"After shutdown(SHUT_WR), by contrast, the descriptor is alive and TCP refuses: EPIPE, with SIGPIPE, at the first "
        "send().",
        "相比之下，shutdown(SHUT_WR) 之后描述符仍然有效，是 TCP 拒绝：第一次 send() 就得到 EPIPE 和 SIGPIPE。"}},
      // --- 4 ---
      {4,
       {"call.bad_descriptor"},
       {"{call.bad_descriptor/call}. As with sending, the descriptor is gone, and the connection does not notice.",
        "{call.bad_descriptor/call}。与发送一样，描述符已不存在，连接毫无察觉。"}},
      {4,
       {"call.recv_after_shutdown"},
       {"After shutdown(SHUT_RD), by contrast, recv() returns 0, as if the other side had closed.",
        "相比之下，shutdown(SHUT_RD) 之后 recv() 返回 0，就像对方已关闭一样。"}},
      // --- 5 ---
      {5,
       {"send.after_peer_closed"},
       {"The first send() succeeds: the FIN only said that the server will send no more. The bytes go out, and the server's kernel "
        "answers them with a RST.",
        "第一次 send() 成功：FIN 只表示服务器不再发送。字节发了出去，服务器的内核用 RST 回应。"}},
      // --- 6 ---
      {6,
       {"recv.end_of_file"},
       {"recv() returns 0, the end of the stream, again and again ({recv.end_of_file/times}× here).",
        "recv() 返回 0，即流的结尾，一次又一次（此处 {recv.end_of_file/times} 次）。"}},
      {6,
       {"recv.end_of_file_after_reset"},
       {"A reset that comes after the FIN does not change that: still 0, never ECONNRESET.",
        "FIN 之后到来的复位不改变这一点：仍是 0，绝不会是 ECONNRESET。"}},
      {6,
       {"recv.connection_reset", "recv.zero_after_error"},
       {"Only a reset without a FIN gives ECONNRESET, once; the next recv() returns 0.",
        "只有没有 FIN 的复位才给出 ECONNRESET，而且只有一次；下一个 recv() 返回 0。"}},
      // --- 7 ---
      {7,
       {"send.broken_pipe"},
       {"At the first send() after the reset has arrived: it fails with EPIPE, and SIGPIPE comes with it.",
        "在复位到达之后的第一次 send()：它以 EPIPE 失败，SIGPIPE 随之而来。"}},
      {7,
       {"send.before_reset"},
       {"Not simply at the second send(): over a link with delay the second one, called before the reset was back, "
        "succeeded as well.",
        "并不简单地是第二次 send()：在有延迟的链路上，复位返回之前的第二次 send() 同样成功。"}},
      {7,
       {"send.not_sent"},
       {"Its bytes never left: the reset came first, and the kernel threw them away.",
        "它的字节从未发出：复位先到，内核把它们丢弃了。"}},
      {7,
       {"signal.killed"},
       {"By default it kills the process inside the call; a shell reports exit status {signal.killed/status}.",
        "默认情况下，它在调用之内杀死进程；shell 报告退出状态 {signal.killed/status}。"}},
      {7,
       {"signal.ignored"},
       {"With SIG_IGN the call returns EPIPE and the process lives.",
        "设为 SIG_IGN 时，调用返回 EPIPE，进程继续运行。"}},
      {7,
       {"signal.not_asked_for"},
       {"With MSG_NOSIGNAL the same, for that call only.", "使用 MSG_NOSIGNAL 也一样，但只对那一次调用有效。"}},
      {7,
       {"signal.handled"},
       {"A handler runs first; then the call returns EPIPE.", "若有处理函数，它先运行；然后调用返回 EPIPE。"}},
      {7,
       {"send.connection_reset", "signal.none_with_econnreset"},
       {"After a reset without a FIN the next send() fails with ECONNRESET and no signal; EPIPE and SIGPIPE come with the one "
        "after it.",
        "没有 FIN 的复位之后，下一次 send() 以 ECONNRESET 失败，没有信号；再下一次才是 EPIPE 和 SIGPIPE。"}},
  };
}

}  // namespace

std::span<const AnswerRow> answer_rows() {
  static const std::vector<AnswerRow> all = [] {
    std::vector<AnswerRow> rows = own_rows();
    for (const ResetReason& reason : reset_reasons())
      if (!reason.answer.empty()) rows.push_back({5, {reason.id}, reason.answer});
    return rows;
  }();
  return all;
}

}  // namespace tcpwhy::explain
