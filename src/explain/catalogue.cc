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
    {"open.refused_later",
     "Nobody listens on port {port}: the kernel answered {opener}'s SYN with a RST that acknowledges it. connect() had "
     "not waited (EINPROGRESS): ECONNREFUSED stays with the socket until SO_ERROR or the next call takes it.",
     "端口 {port} 上没有监听者：内核用一个确认了该 SYN 的 RST 回应{opener}。connect() 没有等待（EINPROGRESS）："
     "ECONNREFUSED 留在套接字上，由 SO_ERROR 或下一个调用取走。",
     "start the server, or check the address and port it listens on (ss -ltn)",
     "启动服务器，或检查它监听的地址和端口（ss -ltn）"},
    {"open.timed_out",
     "{who}'s {call} gave up after {after}: {syns} SYNs were sent and none was answered, not even refused.",
     "{who}的 {call} 在 {after} 后放弃：发出了 {syns} 个 SYN，没有任何回应，连拒绝也没有。",
     "a firewall that drops, a host that is down, or a listener whose accept queue is full: look at the other side",
     "防火墙丢弃、主机不在线，或监听者的 accept 队列已满：检查对端"},
    {"open.unreachable",
     "{who}'s {call} failed after {after}, {syns} SYNs having been sent: an ICMP message, a missing route or a neighbour that does not answer said that there is no way.",
     "{who}的 {call} 在 {after} 后失败，已发送 {syns} 个 SYN：ICMP 消息、缺少路由或邻居不应答表明无路可达。",
     "check the route (ip route get ADDRESS) and the neighbour (ip neigh)",
     "检查路由（ip route get 地址）和邻居（ip neigh）"},
    {"open.refused_by_icmp",
     "{who}'s {call}: no RST came, so an ICMP message refused it after {after} ({syns} SYNs): a firewall that rejects, not a closed port.",
     "{who}的 {call}：没有收到 RST，因此是 {after} 后的一个 ICMP 消息拒绝了它（{syns} 个 SYN）：是防火墙拒绝，而不是端口关闭。",
     "look for a reject rule in the firewall on the way", "检查途中防火墙的 reject 规则"},
    {"open.refused_though_listening",
     "{who} was refused though a socket listens on {address}: it listens on another address or for IPv6 only, or a firewall answered in its place (port {port}).",
     "{who}被拒绝，尽管有套接字监听 {address}：它监听的是另一个地址、只接受 IPv6，或者是防火墙代为应答（端口 {port}）。",
     "compare the address asked for with ss -ltn; check IPV6_V6ONLY", "将请求的地址与 ss -ltn 比较；检查 IPV6_V6ONLY"},
    {"open.no_local_port",
     "{who}'s {call}: no local port is left for that destination, or the one bound is still in TIME-WAIT; nothing was sent ({syns} SYNs, {after}).",
     "{who}的 {call}：到该目的地已没有可用的本地端口，或绑定的端口仍在 TIME-WAIT；没有发送任何报文（{syns} 个 SYN，{after}）。",
     "use connections again, let the server close first, or widen net.ipv4.ip_local_port_range (tcpwhy ps counts TIME-WAIT)",
     "复用连接，让服务器先关闭，或扩大 net.ipv4.ip_local_port_range（tcpwhy ps 会统计 TIME-WAIT）"},
    {"open.interrupted",
     "{who}'s {call} was interrupted by a signal after {after}; the kernel goes on connecting ({syns} SYNs).",
     "{who}的 {call} 在 {after} 后被信号中断；内核仍在继续连接（{syns} 个 SYN）。",
     "wait with poll() and ask SO_ERROR; do not call connect() again",
     "用 poll() 等待并查询 SO_ERROR；不要再次调用 connect()"},
    {"open.syn_lost",
     "The handshake took {after}: {who} had to send its SYN {times} more times before {peer} answered.",
     "握手用了 {after}：{who}不得不把 SYN 重发 {times} 次，{peer}才回应。",
     "look for loss on the path, or a full queue at the listener (tcpwhy ps there)",
     "检查路径上的丢包，或监听者的队列是否已满（在对端运行 tcpwhy ps）"},
    {"open.syn_ack_lost",
     "The handshake took {after}: {peer} had to send its SYN-ACK {times} more times until {who} answered it.",
     "握手用了 {after}：{peer}不得不把 SYN-ACK 重发 {times} 次，{who}才回应。", "look for loss on the path",
     "检查路径上的丢包"},
    {"open.queue_full",
     "{peer}'s accept queue was full: its kernel dropped the handshake of {who} and let it try again ({times} SYNs, {after} so far).",
     "{peer}的 accept 队列已满：内核丢弃了{who}的握手，让它重试（{times} 个 SYN，已用 {after}）。",
     "call accept() sooner, or raise listen(backlog) and net.core.somaxconn",
     "更快地调用 accept()，或加大 listen(backlog) 与 net.core.somaxconn"},
    {"open.deferred",
     "{peer} waits for data before it takes the connection (TCP_DEFER_ACCEPT): it ignored {who}'s bare ACK and sent the SYN-ACK {times} more times, {after}.",
     "{peer}设置了 TCP_DEFER_ACCEPT，收到数据才接受连接：它忽略了{who}的纯 ACK，又发送了 {times} 次 SYN-ACK，{after}。",
     "", ""},
    {"open.self",
     "{who} connected to itself: its local address and the destination are the same, {address}, and one socket is both ends.",
     "{who}连接到了自己：本地地址与目的地址相同（{address}），一个套接字就是连接的两端。",
     "happens when a client picks the port that it asks for, and nobody listens there: keep server ports out of ip_local_port_range",
     "客户端恰好选中要连接的端口而又无人监听时会发生：不要让服务端口落在 ip_local_port_range 内"},
    {"open.simultaneous", "{who} and {peer} both sent a SYN: a simultaneous open, one connection and no listener.",
     "{who}和{peer}都发出了 SYN：同时打开，只有一个连接，没有监听者。", "", ""},
    {"open.fast_open",
     "{who} sent {bytes} bytes within its SYN (TCP Fast Open): they can be read before the handshake ends.",
     "{who}在 SYN 中携带了 {bytes} 字节（TCP Fast Open）：握手结束前就可以读取。", "", ""},
    {"accept.already_reset",
     "{who}'s {call} handed out a connection that {peer} had reset already: the next call on it will say so.",
     "{who}的 {call} 取出了一个已被{peer}复位的连接：对它的下一个调用会得知。", "", ""},
    {"open.abandoned",
     "{who} closed its socket before {peer} had answered the SYN: that sends nothing, and an answer that comes later is refused with a RST.",
     "{who}在{peer}回应 SYN 之前就关闭了套接字：这不发送任何报文，之后到来的回应会被 RST 拒绝。", "", ""},
    // --- closing ---
    {"close.fin",
     "{who}'s close() sent a FIN, {after} after it was called: {who} went to {state} and, as the FIN arrived, {peer} to "
     "{peer_state}.",
     "{who}的 close() 在调用 {after} 后发出 FIN：{who}进入 {state}；FIN 到达时{peer}进入 {peer_state}。", "", ""},
    {"close.fin_at_exit", "{who}'s process ended, and the kernel closed what it held: that sent the FIN.",
     "{who}的进程结束，内核关闭它持有的描述符，因此发出 FIN。", "", ""},
    {"close.nothing_sent",
     "{who}'s close() returned 0 and sent nothing: other descriptors still refer to the socket ({others}), and only the last "
     "close() closes the connection.",
     "{who}的 close() 返回 0 却没有发送任何报文：还有别的描述符指向这个套接字（{others_zh}），最后一个 close() 才会关闭连接。",
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
    {"close.under_recv",
     "{who}'s {call} came while another thread was inside {recv}: the number is gone, but that call goes on and keeps the socket, so nothing was sent.",
     "{who}的 {call} 执行时另一个线程正在 {recv} 中：编号已不在，但那个调用仍在继续并持有套接字，因此没有发送任何报文。",
     "call shutdown() first: it wakes the reader and sends the FIN; then close()",
     "先调用 shutdown()：它会唤醒读者并发出 FIN；然后再 close()"},
    {"shutdown.woke_recv",
     "{who}'s {call} woke another thread: its {recv} returned 0 though the peer had closed nothing.",
     "{who}的 {call} 唤醒了另一个线程：它的 {recv} 返回 0，尽管对端什么也没有关闭。", "", ""},
    {"close_wait.left_open",
     "{peer} closed {after} before the end of the recording, and {who} has still not: its socket stays in CLOSE-WAIT until it calls close().",
     "{peer}在记录结束前 {after} 就已关闭，{who}仍没有：它的套接字会停在 CLOSE-WAIT，直到调用 close()。",
     "close() the descriptor when recv() returns 0; tcpwhy ps shows who holds such sockets",
     "recv() 返回 0 时 close() 该描述符；tcpwhy ps 可显示谁持有这样的套接字"},
    {"shutdown.peer_keeps_open",
     "{who} shut down its sending half {after} before the end of the recording and waits for {peer}, which has not closed; while the descriptor is open that has no time limit.",
     "{who}在记录结束前 {after} 关闭了发送方向，等待尚未关闭的{peer}；只要描述符打开就没有时限。", "", ""},
    {"close.lingered",
     "{who}'s close() took {after}: SO_LINGER made it wait until {peer} had acknowledged everything, or its time was over.",
     "{who}的 close() 用了 {after}：SO_LINGER 使它等待{peer}确认全部数据，或等到超时。", "", ""},
    {"close.simultaneous",
     "{who} and {peer} closed at the same time: their FINs crossed, and both went through CLOSING.",
     "{who}和{peer}同时关闭：两个 FIN 在途中交错，双方都经过 CLOSING。", "", ""},
    {"fin.again", "{who} sent its FIN {times} more times: it, or the ACK of it, was lost on the way to {peer}.",
     "{who}又发送了 {times} 次 FIN：它或它的 ACK 在与{peer}之间丢失。", "", ""},
    {"close.delivered_later",
     "{who}'s close() returned with {bytes} bytes still unsent: its kernel delivered them to {peer} afterwards, then the FIN.",
     "{who}的 close() 返回时还有 {bytes} 字节未发送：内核随后把它们交付给{peer}，然后才发 FIN。", "", ""},
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
    {"send.connection_reset",
     "{who}'s {call}: the reset came without a FIN, so the error is ECONNRESET, once.{because}",
     "{who}的 {call}：复位之前没有 FIN，因此错误是 ECONNRESET，只有一次。{because_zh}", "", ""},
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
     "{who}'s {call}: {peer} had reset the connection without a FIN. The error is handed out once.{because}",
     "{who}的 {call}：{peer}未发 FIN 就复位了连接。这个错误只会交出一次。{because_zh}",
     "find out why the peer reset: unread data at close() and SO_LINGER 0 are the usual causes",
     "查明对端为何复位：close() 时有未读数据和 SO_LINGER 0 是常见原因"},
    {"recv.zero_after_error", "{who}'s next receiving call returned 0: the error had been taken.",
     "{who}的下一次接收调用返回 0：错误已被取走。", "", ""},
    {"recv.data_before_reset", "{who} still read {bytes} bytes that had arrived before the reset.",
     "{who}仍读到了复位之前到达的 {bytes} 字节。", "", ""},
    {"bind.in_use", "{who}'s {call}: another socket has that port, or a connection of it is still in TIME-WAIT.",
     "{who}的 {call}：该端口已被其他套接字占用，或其连接仍在 TIME-WAIT。",
     "set SO_REUSEADDR before bind() (it allows a port in TIME-WAIT, never two listeners); ss -ltnp shows who listens",
     "在 bind() 之前设置 SO_REUSEADDR（允许处于 TIME-WAIT 的端口，但不允许两个监听者）；ss -ltnp 可看到谁在监听"},
    {"accept.no_descriptor",
     "{who}'s {call}: no descriptor is free. The connection stays in the queue, and poll() goes on reporting it.",
     "{who}的 {call}：没有空闲的描述符。连接留在队列中，poll() 会一直报告它。",
     "close descriptors that are no longer needed, or raise the limit (ulimit -n)",
     "关闭不再需要的描述符，或提高上限（ulimit -n）"},
    {"call.not_connected", "{who}'s {call}: the socket is not connected, or not any more.",
     "{who}的 {call}：套接字没有连接，或已不再连接。", "", ""},
    {"send.held_back",
     "The bytes of {who}'s {call} stayed in its kernel for {after} (TCP_CORK, MSG_MORE or Nagle) and left with {by}.",
     "{who}的 {call} 的字节在内核中停留了 {after}（TCP_CORK、MSG_MORE 或 Nagle），随 {by} 发出。", "", ""},
    {"error.taken",
     "{who} took the error {error} by getsockopt(SO_ERROR): an error is handed out once, the next call no longer sees it.",
     "{who}通过 getsockopt(SO_ERROR) 取走了错误 {error}：错误只交出一次，之后的调用不再看到它。", "", ""},
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
    {"reset.listener_closed",
     "{who} closed its listening socket (port {port}) while {peer}'s connection waited to be accepted: the kernel reset it.",
     "{who}关闭监听套接字（端口 {port}）时，{peer}的连接还在等待 accept：内核将其复位。",
     "accept and close what is queued before closing the listener; let clients try again",
     "关闭监听套接字之前先 accept 并关闭排队的连接；让客户端重试"},
    {"reset.aborted_from_outside",
     "Somebody aborted {who}'s socket from outside (ss -K or the like): the kernel sent {peer} a RST.",
     "有人从外部中止了{who}的套接字（ss -K 之类）：内核向{peer}发出 RST。",
     "find out who runs ss -K, a connection killer or a container runtime",
     "查明是谁运行了 ss -K、断连工具或容器运行时"},
    {"reset.disconnected", "{who} called connect() with AF_UNSPEC: that dissolves the connection with a RST to {peer}.",
     "{who}以 AF_UNSPEC 调用 connect()：这会用一个 RST 解除与{peer}的连接。", "", ""},
    {"reset.keep_alive",
     "{who}'s keep-alive probes were not answered by {peer}: its kernel gave the connection up and sent a RST in case somebody is there after all.",
     "{who}的保活探测没有得到{peer}的回应：内核放弃了连接，并发出 RST 以防对端其实还在。",
     "the peer or the path is gone; tcp_keepalive_time, TCP_KEEPIDLE and TCP_KEEPCNT say how soon that is noticed",
     "对端或路径已不在；tcp_keepalive_time、TCP_KEEPIDLE、TCP_KEEPCNT 决定多久发现"},
    {"reset.peer_forgot",
     "{who} does not know the connection any more, and answered {peer}'s segment with a RST: it was restarted, or something between has forgotten it.",
     "{who}已不认识这个连接，用 RST 回应了{peer}的报文段：它重启过，或途中的设备遗忘了该连接。",
     "connect again; keep-alive notices sooner that the peer has forgotten", "重新连接；保活可以更早发现对端已遗忘"},
    {"reset.queue_full",
     "{who}'s accept queue (port {port}) was full, and tcp_abort_on_overflow is set: its kernel reset the connection that {peer} thought established.",
     "{who}的 accept 队列（端口 {port}）已满，且设置了 tcp_abort_on_overflow：内核复位了{peer}以为已建立的连接。",
     "call accept() sooner, raise the backlog, or leave tcp_abort_on_overflow at 0",
     "更快地 accept、加大 backlog，或将 tcp_abort_on_overflow 保持为 0"},
    {"reset.unacceptable_ack",
     "{who} refused {peer}'s segment with a RST: it acknowledges something that was never sent, as a segment of an older connection does.",
     "{who}用 RST 拒绝了{peer}的报文段：它确认了从未发送过的内容，像是旧连接的报文段。", "", ""},
    {"reset.linger_2",
     "{who} had set TCP_LINGER2 so that nothing waits in FIN-WAIT-2: once its FIN was acknowledged the kernel sent {peer} a RST.",
     "{who}设置了 TCP_LINGER2，不在 FIN-WAIT-2 等待：FIN 被确认后内核就向{peer}发出 RST。", "", ""},
    {"reset.time_wait_entry",
     "{who}'s TIME-WAIT entry answered a segment of {peer}'s with a RST: both had closed, so it is an old or a late one.",
     "{who}的 TIME-WAIT 条目用 RST 回应了{peer}的报文段：双方都已关闭，它是旧的或迟到的。", "", ""},
    {"reset.again",
     "{who}'s kernel answered another segment of {peer}'s with a RST: after the first one nothing of the connection is left, and the segment met {met}.",
     "{who}的内核又用 RST 回应了{peer}的另一个报文段：第一个 RST 之后连接已不复存在，该报文段遇到的是{met_zh}。", "",
     ""},
    // --- nobody answers, or not for a while ---
    {"gave_up.retransmissions",
     "{who}'s kernel gave the connection up ({error}): what it sent was retransmitted {times} times over {after} and {peer} answered nothing.",
     "{who}的内核放弃了连接（{error}）：在 {after} 内重传 {times} 次，{peer}没有任何回应。",
     "the peer or the path is gone; TCP_USER_TIMEOUT says how long to wait",
     "对端或路径已不在；TCP_USER_TIMEOUT 决定等待多久"},
    {"gave_up.user_timeout",
     "{who}'s kernel gave the connection up ({error}) because TCP_USER_TIMEOUT was over: nothing was heard of {peer} for {after}, {times} retransmissions.",
     "{who}的内核因 TCP_USER_TIMEOUT 到期放弃了连接（{error}）：{after} 内没有收到{peer}的回应，重传 {times} 次。", "",
     ""},
    {"gave_up.keep_alive",
     "{who}'s kernel gave the connection up ({error}): {times} keep-alive probes over {after} were not answered by {peer}.",
     "{who}的内核放弃了连接（{error}）：{after} 内 {times} 次保活探测都没有得到{peer}的回应。", "", ""},
    {"gave_up.window_probes",
     "{who}'s kernel gave the connection up ({error}): {peer}'s window was shut, and {times} window probes over {after} were not answered.",
     "{who}的内核放弃了连接（{error}）：{peer}的窗口已关闭，{after} 内 {times} 次窗口探测没有得到回应。", "", ""},
    {"gave_up.unreachable",
     "{who}'s kernel gave the connection up ({error}): {times} retransmissions over {after} reached nobody, and ICMP or the neighbour table said that {peer} cannot be reached.",
     "{who}的内核放弃了连接（{error}）：{after} 内重传 {times} 次都未到达，ICMP 或邻居表表明无法到达{peer}。", "", ""},
    {"stall.nagle_delayed_ack",
     "{who}'s bytes waited up to {after} ({times}×): Nagle held the small segment until the one before was acknowledged, and {peer}'s kernel delayed that ACK.",
     "{who}的字节最多等待了 {after}（{times} 次）：Nagle 算法扣留小报文段直到前一个被确认，而{peer}的内核延迟了该 ACK。",
     "write the message in one call (writev, MSG_MORE), or set TCP_NODELAY",
     "一次写完整条消息（writev、MSG_MORE），或设置 TCP_NODELAY"},
    {"stall.zero_window",
     "{who} did not read: its window was shut for {after}, and {peer} had to wait ({probes} window probes).",
     "{who}没有读取：它的窗口关闭了 {after}，{peer}只能等待（{probes} 次窗口探测）。",
     "look at what {who} did meanwhile: the fault is there, not on the network",
     "查看{who}当时在做什么：问题在那里，而不在网络"},
    {"loss.retransmitted",
     "{who} sent payload again {times} times: it was lost on the way to {peer}, or the acknowledgment was.",
     "{who}重发了 {times} 次数据：在去往{peer}的途中丢失，或是确认丢失。", "", ""},
    {"ack.challenge",
     "{who} answered {peer}'s {flags} with an ACK instead of obeying it: its numbers were not exactly those expected, so it may be forged or old (challenge ACK).",
     "{who}没有遵从{peer}的 {flags}，而是以 ACK 回应：序号与期望不完全一致，可能是伪造或过期的（质询 ACK）。", "", ""},
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
