// The table of reset reasons.
#include "explain/texts/reset_reasons.h"

#include <algorithm>

#include "base/check.h"

namespace tcpwhy::explain {
namespace {

using enum Severity;
using tcp::ResetCause;

constexpr ResetReason table[] = {
    {.id = "reset.third_party",
     .severity = error,
     .rests_on = "RFC 5961 1; RFC 3360",
     .wire = ResetCause::third_party,
     .on_wire =
         {.short_form = {"third party", "第三方"},
          .sentence = {"Somebody else reset the connection in {who}'s name.", "有第三方以 {who} 的名义复位了连接。"},
          .because =
              {"The reset has another TTL than {who}'s segments, or answers nothing that {peer} sent, or {who} went on after it.",
               "该复位的 TTL 与 {who} 的报文段不同，或并不回应 {peer} 发送的任何报文，或 {who} 此后仍在继续。"},
          .or_else = {"A host that restarted, behind another path.", "也可能是重启过的主机，经由另一条路径。"},
          .problem = "capture.reset.third_party",
          .summary = {"reset by somebody else in the peer's name: a middlebox, or forged",
                      "由第三方冒充对端发出的复位：中间设备或伪造报文"}},
     .remedy =
         {"look for a firewall, proxy or intrusion prevention between the tap and {who}: its distance is in the TTL; capture at both ends and compare",
          "查找抓包点与 {who} 之间的防火墙、代理或入侵防御：TTL 表明其距离；在两端同时抓包比较"}},
    {.id = "reset.third_party_late",
     .severity = note,
     .rests_on = "RFC 9293 3.6",
     .wire = ResetCause::third_party_late,
     .on_wire =
         {.short_form = {"third party, after the close", "第三方，关闭之后"},
          .sentence =
              {"A reset in {who}'s name came when both had closed and that had been acknowledged: from somebody else, and no harm, nothing was lost.",
               "双方都已关闭并得到确认之后，才出现以 {who} 名义发出的复位：来自他方，无害，没有丢失任何数据。"},
          .because =
              {"The reset has another TTL than {who}'s segments, or {who} went on after it; both FINs had been acknowledged.",
               "该复位的 TTL 与 {who} 的报文段不同，或 {who} 此后仍在继续；两个 FIN 都已被确认。"},
          .or_else = {"A host that restarted, behind another path.", "也可能是重启过的主机，经由另一条路径。"},
          .problem = "capture.reset.third_party_late",
          .summary = {"a reset from somebody else when both had closed: no harm, nothing was lost",
                      "双方都已关闭之后来自他方的复位：无害，没有丢失数据"}}},
    {.id = "reset.fin_wait_2_entry",
     .severity = error,
     .rests_on = "RFC 9293 3.6.1, RFC 1122 4.2.2.13; tcp_timewait_state_process(): TCP_TW_RST",
     .kernel = {.cause = "segment.time_wait", .reasons = {"TCP_TIMEWAIT_SOCKET"}, .settles_it = false},
     .wider = "reset.after_close",
     .when = "a RST answered data that came after a closed socket's FIN had been acknowledged",
     .finding =
         {"{who}'s kernel answered the data with a RST: the program had closed, the FIN was acknowledged, and what was left of the connection, a FIN-WAIT-2 entry, has nobody to hand data to. It is not a closed port.",
          "{who}的内核用 RST 回应了数据：程序已关闭，FIN 已被确认，连接只剩一个 FIN-WAIT-2 条目，没有人可以接收数据。这并不是端口关闭。"},
     .headline = {"{act_peer} after {who} had closed → reset by {who}'s kernel",
                  "{act_peer}，在{who}关闭之后 → 被{who}的内核复位"},
     .answer =
         {"Why a RST: the FIN had been acknowledged, and of the connection only a FIN-WAIT-2 entry was left, with no program to hand data to. The port was not closed: the listener was there all the time.",
          "为什么是 RST：FIN 已被确认，连接只剩一个 FIN-WAIT-2 条目，没有程序可以接收数据。端口并没有关闭：监听套接字一直都在。"},
     .remedy = {"let the peer finish first: shutdown(SHUT_WR), read until 0, then close()",
                "让对端先结束：shutdown(SHUT_WR)，读到 0，再 close()"}},
    {.id = "reset.orphan_fin_wait_1",
     .severity = error,
     .rests_on = "RFC 9293 3.6.1, RFC 1122 4.2.2.13; tcp_rcv_state_process(): TCPABORTONDATA",
     .kernel = {.reasons = {"TCP_ABORT_ON_DATA"}, .settles_it = false},
     .wider = "reset.after_close",
     .when = "a RST answered data that arrived while a closed socket's FIN was not yet acknowledged",
     .finding = {"{who}'s kernel answered the data with a RST: the program {finish} and the socket, {nobody}.",
                 "{who}的内核用 RST 回应了数据：程序{finish_zh}，套接字{nobody_zh}。"},
     .headline = {"{act_peer} after {who} {finish} → reset by {who}'s kernel",
                  "{act_peer}，在{who}{finish_zh}之后 → 被{who}的内核复位"},
     .answer =
         {"While the ACK of the FIN is still pending, the same bytes meet an orphan in FIN-WAIT-1 and are refused for that reason (the counter TCPAbortOnData moved).",
          "若 FIN 的 ACK 尚未发出，同样的字节遇到的是处于 FIN-WAIT-1 的孤儿套接字，因此被拒绝（计数器 TCPAbortOnData 增加）。"},
     .remedy = {"let the peer finish first: shutdown(SHUT_WR), read until 0, then close()",
                "让对端先结束：shutdown(SHUT_WR)，读到 0，再 close()"}},
    {.id = "reset.after_shutdown",
     .severity = error,
     .rests_on = "tcp_rcv_state_process(): RCV_SHUTDOWN",
     .wider = "reset.after_close",
     .when = "a RST answered data for a socket whose program had called shutdown(SHUT_RDWR)",
     .finding =
         {"{who}'s kernel answered the data with a RST: its program had called shutdown(SHUT_RDWR), which refuses whatever comes.",
          "{who}的内核用 RST 回应了数据：程序调用过 shutdown(SHUT_RDWR)，拒绝后来的一切。"},
     .headline = {"{act_peer} after {who}'s shutdown(SHUT_RDWR) → reset by {who}'s kernel",
                  "{act_peer}，在{who}的 shutdown(SHUT_RDWR) 之后 → 被{who}的内核复位"},
     .remedy = {"use shutdown(SHUT_WR) and keep reading", "使用 shutdown(SHUT_WR) 并继续读取"}},
    {.id = "reset.forgotten",
     .severity = error,
     .rests_on = "RFC 9293 3.10.7.1; tcp_v4_rcv(): no_tcp_socket, tcp_v4_send_reset()",
     .kernel = {.reasons = {"NO_SOCKET", "TCP_FLAGS"}, .settles_it = false},
     .when = "a RST answered a segment for a connection that this side's kernel no longer knew",
     .finding = {"{who}'s kernel answered the segment with a RST because it knows no such connection: {reason}.",
                 "{who}的内核用 RST 回应该报文段，因为它不认识这个连接：{reason_zh}。"},
     .headline = {"{act_peer}: {who}'s kernel knows no such connection → reset",
                  "{act_peer}：{who}的内核不认识这个连接 → 复位"},
     .answer =
         {"Once the entry has been forgotten and nobody listens, the same bytes get the same RST for yet another reason: no such socket.",
          "当条目已被遗忘且无人监听时，同样的字节得到同样的 RST，却是另一个原因：没有这样的套接字。"}},
    {.id = "reset.unread_data_at_close",
     .severity = error,
     .rests_on = "RFC 2525 2.17, RFC 1122 4.2.2.13; __tcp_close(): TCPABORTONCLOSE",
     .kernel = {.cause = "close.unread_data",
                .row_words = {"data unread", "有未读数据"},
                .reasons = {"TCP_ABORT_ON_CLOSE"}},
     .wire = ResetCause::unread_data,
     .at_exit = "reset.unread_data_at_exit",
     .when = "close() sent a RST, and received bytes had not been read",
     .cannot_know = "from packets alone this may also be SO_LINGER 0",
     .finding =
         {"{who}'s {closing} sent a RST, not a FIN: {unread} from {peer} were never read, and {peer} has to learn that they are lost.",
          "{who}的{closing_zh}发出的是 RST 而不是 FIN：{peer}发来的{unread_zh}从未被读取，必须让{peer}知道它们丢失了。"},
     .headline = {"{act}: {unread} left unread → reset", "{act}：{unread_zh}未读 → 复位"},
     .ending = {"reset by {resetter}: it closed with received data unread", "被 {resetter} 复位：关闭时仍有未读数据"},
     .answer =
         {"If the server closes while something is unread ({reset.unread_data_at_close/unread} here), it is the closer that resets: its close() sends RST instead of FIN.",
          "如果服务器关闭时还有未读字节（此处为{reset.unread_data_at_close/unread_zh}），复位的就是关闭方：close() 发出 RST 而不是 FIN。"},
     .on_wire =
         {.short_form = {"closed with unread data", "关闭时有未读数据"},
          .sentence =
              {"{who} closed, or ended, while data from {peer} lay unread: its kernel reset instead of sending a FIN.",
               "{who} 在来自 {peer} 的数据尚未读取时关闭或结束：其内核发出复位而不是 FIN。"},
          .because = {"{who} reset by itself, and had answered the last data with none of its own.",
                      "{who} 主动复位，且没有用自己的数据回应最后收到的数据。"},
          .or_else =
              {"SO_LINGER with 0 seconds, connect() to AF_UNSPEC, ss -K, or a host that was restarted and does not know the connection: they look the same.",
               "SO_LINGER 为 0 秒、connect() 到 AF_UNSPEC、ss -K，或重启后不认识该连接的主机：看上去相同。"},
          .problem = "capture.reset.unread_data",
          .summary = {"aborted, the last data without an answer: most likely closed with unread data",
                      "中止，最后的数据未得到回应：很可能关闭时还有未读数据"}},
     .remedy = {"{who} should read until the end of file before it closes: shutdown(SHUT_WR), read until 0, close()",
                "{who} 应在关闭前读到文件结束：shutdown(SHUT_WR)、读到 0、close()"}},
    {.id = "reset.unread_data_at_exit",
     .severity = error,
     .rests_on = "do_exit(), __tcp_close(): TCPABORTONCLOSE",
     .wider = "reset.unread_data_at_close",
     .when = "a RST left as the process ended, and received bytes had not been read",
     .finding = {"{process} {how} with {unread} from {peer} unread: the kernel closed the socket with a RST.",
                 "{process_zh}{how_zh}时{peer}发来的{unread_zh}未被读取：内核用 RST 关闭了套接字。"},
     .headline = {"{process} {how}: {unread} left unread → reset", "{process_zh}{how_zh}：{unread_zh}未读 → 复位"},
     .ending = {"reset by {resetter}: its process ended with received data unread",
                "被 {resetter} 复位：进程结束时仍有未读数据"}},
    {.id = "reset.aborted",
     .severity = warning,
     .rests_on = "RFC 9293 3.10.5; tcp_disconnect(), SO_LINGER in socket(7)",
     .kernel = {.reasons = {"TCP_STATE"}},
     .wire = ResetCause::aborted,
     .ending = {"reset by {resetter}: aborted (SO_LINGER 0, ss -K, or a listener closed with a queue)",
                "被 {resetter} 复位：主动中止（SO_LINGER 0、ss -K 或监听套接字带队列关闭）"},
     .on_wire =
         {.short_form = {"aborted", "主动中止"},
          .sentence = {"{who} aborted the connection by itself.", "{who} 主动中止了连接。"},
          .because = {"The reset has {who}'s next sequence number: no segment provoked it.",
                      "该复位带有 {who} 的下一个序号：并非由任何报文段引起。"},
          .or_else =
              {"A close() with data unread, a listener that was closed before its program accepted, a device between that resets in its name, or an answer to a segment that was not captured, of a host that does not know the connection: they look the same.",
               "有未读数据时的 close()、程序 accept 之前监听套接字被关闭、途中设备以其名义复位，或不认识该连接的主机对未捕获报文段的应答：看上去相同。"},
          .problem = "capture.reset.aborted",
          .summary = {"aborted: by the program (SO_LINGER 0, disconnect), or from outside (ss -K)",
                      "被中止：由程序（SO_LINGER 0、断开），或从外部（ss -K）"}},
     .remedy =
         {"look in the program of {who} for SO_LINGER with 0 seconds and connect() to AF_UNSPEC, and for ss -K; if that is not meant: shutdown(SHUT_WR), read to the end of file, then close()",
          "在 {who} 的程序中查找 0 秒的 SO_LINGER、connect() 到 AF_UNSPEC，以及 ss -K；若非本意：shutdown(SHUT_WR)，读到文件结束，再 close()"}},
    {.id = "reset.idle",
     .severity = note,
     .rests_on = "RFC 9293 3.10.5; SO_LINGER in socket(7)",
     .wire = ResetCause::idle,
     .on_wire =
         {.short_form = {"dropped while idle", "空闲时断开"},
          .sentence = {"{who} dropped the connection with a reset, after {idle} without data.",
                       "{who} 在 {idle} 没有数据之后以复位断开了连接。"},
          .because = {"The reset has {who}'s next sequence number: no segment provoked it.",
                      "该复位带有 {who} 的下一个序号：并非由任何报文段引起。"},
          .or_else =
              {"A close() with data unread, a device between that forgets idle connections, a host that was restarted, or lost answers to keep-alives: they look the same.",
               "在有未读数据时 close()、中间设备清除空闲连接、主机重启，或保活应答丢失：看上去相同。"},
          .problem = "capture.reset.idle",
          .summary = {"dropped with a reset after a second or more without data", "一秒或更久没有数据之后以复位断开"}},
     .remedy = {}},
    {.id = "reset.linger_zero",
     .severity = error,
     .rests_on = "RFC 9293 3.10.5; socket(7) SO_LINGER; __tcp_close(), tcp_disconnect()",
     .kernel = {.cause = "close.linger_zero", .row_words = {"SO_LINGER 0", "SO_LINGER 0"}},
     .wider = "reset.aborted",
     .when = "close() sent a RST after SO_LINGER had been set to {on, 0}",
     .finding =
         {"{who}'s {closing} sent a RST, not a FIN, because SO_LINGER was set to {on, 0}: it aborts the connection and leaves no TIME-WAIT.",
          "{who}的{closing_zh}发出的是 RST 而不是 FIN，因为 SO_LINGER 设成了 {on, 0}：它中止连接，不留下 TIME-WAIT。"},
     .headline = {"{act}: SO_LINGER on, of 0 s → reset, no FIN", "{act}：SO_LINGER 启用且为 0 秒 → 复位，没有 FIN"},
     .ending = {"reset by {resetter}: closed with SO_LINGER on and 0 seconds",
                "被 {resetter} 复位：关闭时 SO_LINGER 打开且为 0 秒"},
     .remedy = {"do not set SO_LINGER to 0 for an orderly close", "要正常关闭就不要把 SO_LINGER 设为 0"}},
    {.id = "reset.unexplained",
     .severity = warning,
     .rests_on = "RFC 9293 3.5.2",
     .when = "a RST was seen and no rule above says why",
     .cannot_know = "why it was sent",
     .finding = {"{who} sent a RST; the evidence does not say why.", "{who}发出了 RST；现有证据无法说明原因。"},
     .headline = {"{who} sent a reset, why is not known", "{who}发出了复位，原因未知"},
     .remedy = {"trace {who} to see the call or the timer behind it", "跟踪{who}以查看背后的调用或定时器"}},
    {.id = "reset.unexplained_though_traced",
     .severity = warning,
     .rests_on = "RFC 9293 3.5.2",
     .when = "a RST was seen, no rule above says why, and calls of its sender were recorded",
     .cannot_know = "why it was sent",
     .finding = {"{who} sent a RST; of its calls none explains it, and its kernel's reason was not recorded.",
                 "{who}发出了 RST；它的调用都不能解释原因，内核的原因也没有记录。"},
     .headline = {"{who} sent a reset, which none of its calls explains", "{who}发出了复位，它的调用都不能解释"},
     .remedy = {"trace as root: then the kernel says what made the segment leave",
                "以 root 运行跟踪：内核会说明是什么使该报文段发出"}},
    {.id = "reset.for_kernels_reason",
     .severity = warning,
     .rests_on = "tracepoint tcp:tcp_send_reset; enum sk_rst_reason",
     .when = "a RST was seen, no rule above says why, and the kernel gave a reason",
     .cannot_know = "what made the kernel come to that reason",
     .finding = {"{who} sent a RST; its kernel gives the reason {reason}.",
                 "{who}发出了 RST；其内核给出的原因是 {reason}。"},
     .headline = {"{who} sent a reset for its kernel's reason {reason}", "{who}发出了复位，其内核的原因是 {reason}"}},
    {.id = "reset.listener_closed",
     .severity = error,
     .rests_on = "inet_csk_listen_stop(): inet_child_forget(), tcp_disconnect()",
     .kernel = {.cause = "close.listener_queue",
                .row_words = {"connections that nobody had accepted", "有未被 accept 的连接"}},
     .wider = "reset.aborted",
     .when =
         "a RST left as the listening socket was closed, or in answer to data after it, and nobody had accepted the connection",
     .finding =
         {"{who} closed its listening socket (port {port}) while {peer}'s connection waited to be accepted: the kernel reset it.",
          "{who}关闭监听套接字（端口 {port}）时，{peer}的连接还在等待 accept：内核将其复位。"},
     .headline = {"{act}: the listener was closed before {peer}'s connection was accepted → reset",
                  "{act}：{peer}的连接尚未被 accept，监听套接字就已关闭 → 复位"},
     .ending = {"reset by {resetter}: its listener was closed before anybody had accepted",
                "被 {resetter} 复位：监听套接字已关闭，连接尚未被 accept"},
     .remedy = {"accept and close what is queued before closing the listener; let clients try again",
                "关闭监听套接字之前先 accept 并关闭排队的连接；让客户端重试"}},
    {.id = "reset.aborted_from_outside",
     .severity = error,
     .rests_on = "sock_diag(7) SOCK_DESTROY; tcp_abort(); ss(8) -K",
     .kernel = {.cause = "abort.sock_diag",
                .row_words = {"aborted from outside: ss -K or the like", "被外部中止：ss -K 之类"}},
     .wider = "reset.aborted",
     .when = "the kernel's stack shows tcp_abort() for a sock_diag request",
     .finding = {"Somebody aborted {who}'s socket from outside (ss -K or the like): the kernel sent {peer} a RST.",
                 "有人从外部中止了{who}的套接字（ss -K 之类）：内核向{peer}发出 RST。"},
     .headline = {"somebody aborted {who}'s socket from outside (ss -K or the like) → reset",
                  "有人从外部中止了{who}的套接字（ss -K 之类）→ 复位"},
     .ending = {"reset by {resetter}'s kernel: somebody destroyed the socket (ss -K)",
                "被 {resetter} 的内核复位：套接字被外部销毁 (ss -K)"},
     .remedy = {"find out who runs ss -K, a connection killer or a container runtime",
                "查明是谁运行了 ss -K、断连工具或容器运行时"}},
    {.id = "reset.disconnected",
     .severity = note,
     .rests_on = "connect(2); tcp_disconnect()",
     .kernel = {.cause = "disconnect", .row_words = {"connect() to AF_UNSPEC", "connect() 到 AF_UNSPEC"}},
     .wider = "reset.aborted",
     .when = "connect() to AF_UNSPEC sent a RST",
     .finding = {"{who} called connect() with AF_UNSPEC: that dissolves the connection with a RST to {peer}.",
                 "{who}以 AF_UNSPEC 调用 connect()：这会用一个 RST 解除与{peer}的连接。"},
     .headline = {"{act} to AF_UNSPEC dissolved the connection → reset", "{act} 到 AF_UNSPEC 解除了连接 → 复位"},
     .ending = {"reset by {resetter}: connect(AF_UNSPEC)", "被 {resetter} 复位：connect(AF_UNSPEC)"}},
    {.id = "reset.peer_forgot",
     .severity = error,
     .rests_on = "RFC 9293 3.5.1 (half-open connections); tcp_v4_send_reset()",
     .wire = ResetCause::no_connection,
     .when = "a RST answered a segment of a standing connection, its sender never having been seen to close",
     .cannot_know = "a restart of the host, a middlebox that lost its state, or a program whose calls were not seen",
     .finding =
         {"{who} does not know the connection any more, and answered {peer}'s segment with a RST: it was restarted, or something between has forgotten it.",
          "{who}已不认识这个连接，用 RST 回应了{peer}的报文段：它重启过，或途中的设备遗忘了该连接。"},
     .headline = {"{who} does not know the connection any more: restarted, or forgotten between → reset",
                  "{who}已不认识这个连接：被重启，或途中设备遗忘 → 复位"},
     .on_wire =
         {.short_form = {"connection not known", "不认识该连接"},
          .sentence = {"{who}'s host did not know the connection: it answered {peer}'s segment as a stranger's.",
                       "{who} 的主机不认识该连接：它把 {peer} 的报文段当作陌生报文回应。"},
          .because =
              {"The reset has no ACK and the sequence number that the answered segment acknowledged, and no close of {who} was seen.",
               "该复位不带 ACK，序号等于被回应报文段的确认号，且没有看到 {who} 关闭。"},
          .or_else =
              {"The host restarted or aborted unseen; a reset that somebody else sent it in {peer}'s name ended the connection there; it never took the connection (a full accept queue); or a firewall, load balancer or NAT on the way forgot the connection and answers in its name.",
               "主机重启，或其中止未被捕获；或有人以 {peer} 的名义发给它的复位已在那里结束了连接；或它从未接受该连接（接受队列已满）；或途中的防火墙、负载均衡或 NAT 忘记了该连接并以其名义回应。"},
          .problem = "capture.reset.no_connection",
          .summary =
              {"the peer's host does not know the connection (any more): rebooted, or a middlebox answered for it",
               "对端主机不认识（或已忘记）这个连接：可能重启过，或由中间设备代答"}},
     .remedy =
         {"compare the idle time before it with the timeouts on the way (keep-alives more often than that hold the entry open), and look whether the host of {who} restarted",
          "将此前的空闲时间与途中设备的超时相比较（更频繁的保活可保持其条目），并检查 {who} 的主机是否重启过"}},
    {.id = "reset.keep_alive",
     .severity = error,
     .rests_on = "RFC 9293 3.8.4, RFC 1122 4.2.3.6; tcp_keepalive_timer()",
     .kernel = {.cause = "keep_alive_gave_up", .row_words = {"gave up", "放弃"}, .reasons = {"TCP_KEEPALIVE_TIMEOUT"}},
     .wire = ResetCause::keep_alive_gave_up,
     .when = "a RST left after keep-alive probes that nobody answered",
     .finding =
         {"{who}'s keep-alive probes were not answered by {peer}: its kernel gave the connection up and sent a RST in case somebody is there after all.",
          "{who}的保活探测没有得到{peer}的回应：内核放弃了连接，并发出 RST 以防对端其实还在。"},
     .headline = {"{who}'s keep-alive probes were not answered by {peer} → given up, reset",
                  "{who}的保活探测没有得到{peer}的应答 → 放弃，复位"},
     .ending = {"reset by {resetter}: no keep-alive probe was answered", "被 {resetter} 复位：保活探测无回应"},
     .on_wire = {.short_form = {"keep-alive gave up", "保活失败"},
                 .sentence = {"{who} gave up: no answer to its last keep-alive probes reached it.",
                              "{who} 放弃了连接：最后的保活探测没有应答到达它。"},
                 .because = {"{who} reset when a probe was due: answers that stand here were lost on their way.",
                             "{who} 在应再探测时复位：此处若有应答，则在返回途中丢失。"},
                 .or_else = {"Its program may also have aborted just then.", "也可能是程序恰在此时中止。"},
                 .problem = "capture.reset.keep_alive_gave_up",
                 .summary = {"no answer to keep-alive probes reached their sender: given up",
                             "保活探测的应答没有到达探测方：放弃连接"}},
     .remedy =
         {"look for the moment when {peer} was last heard: its host or the way to it was gone from then on; tcp_keepalive_time, TCP_KEEPIDLE and TCP_KEEPCNT say how soon that is noticed",
          "查看 {peer} 最后一次出现的时刻：此后其主机或通往它的路径已中断；tcp_keepalive_time、TCP_KEEPIDLE、TCP_KEEPCNT 决定多久发现"}},
    {.id = "reset.had_given_up",
     .severity = error,
     .rests_on = "RFC 9293 3.8.3; tcp_write_timeout(), tcp_retries2, TCP_USER_TIMEOUT",
     .wire = ResetCause::had_given_up,
     .on_wire =
         {.short_form = {"had given up", "早已放弃"},
          .sentence =
              {"{who} had given the connection up: what it had sent again and again was never acknowledged. {peer}'s segment came too late, and was answered as a stranger's.",
               "{who} 已放弃该连接：它反复重传的数据从未被确认。{peer} 的报文段来得太迟，被当作陌生报文回应。"},
          .because =
              {"{who} had sent again at least twice what was never acknowledged, and the reset answers {peer}'s segment.",
               "{who} 至少两次重传从未被确认的数据，而该复位回应的是 {peer} 的报文段。"},
          .or_else = {"Its host may also have restarted, or its program ended meanwhile.",
                      "其主机也可能重启过，或程序已结束。"},
          .problem = "capture.reset.had_given_up",
          .summary = {"given up: what was sent again and again was never acknowledged, and the peer came too late",
                      "已放弃：反复重传从未被确认，对端来得太迟"}},
     .remedy =
         {"look at the way from {who} to {peer}: its data did not arrive, or the acknowledgments did not come back",
          "检查从 {who} 到 {peer} 的路径：数据没有到达，或确认没有返回"}},
    {.id = "reset.gave_up",
     .severity = error,
     .rests_on = "RFC 9293 3.8.3; RFC 6298 5.5",
     .wire = ResetCause::gave_up,
     .on_wire =
         {.short_form = {"gave up", "放弃"},
          .sentence = {"{who} gave the connection up: what it had sent again and again had no answer.",
                       "{who} 放弃了该连接：它反复重传的内容没有得到应答。"},
          .because = {"{who} had sent the same again at least twice, waited as long once more, and reset by itself.",
                      "{who} 至少两次重传同样的内容，又等待了同样长的时间，然后主动复位。"},
          .or_else =
              {"Its program may also have aborted the connection just then, or a device between cleared its entry.",
               "也可能是程序恰在此时中止了连接，或中间设备清除了其条目。"},
          .problem = "capture.reset.gave_up",
          .summary = {"given up with a reset: what was sent again and again had no answer",
                      "以复位放弃：反复重传没有得到应答"}},
     .remedy =
         {"look at {peer} and the way to it and back: from the first retransmission on nothing reached {who} that acknowledged it",
          "检查 {peer} 及往返路径：自第一次重传起，没有任何确认到达 {who}"}},
    {.id = "reset.let_go",
     .severity = note,
     .rests_on = "RFC 9293 3.6; RFC 2525 2.17; SO_LINGER in socket(7)",
     .wire = ResetCause::let_go,
     .on_wire =
         {.short_form = {"let go while closing", "关闭途中放手"},
          .sentence = {"{who} let go of the connection with a reset, while it was being closed.",
                       "连接正在关闭时，{who} 以复位放手。"},
          .because = {"A FIN had come before, and all data that {who} had sent was acknowledged.",
                      "此前已有 FIN，且 {who} 发送的数据均已被确认。"},
          .or_else =
              {"A close() that left {peer}'s last words unread, SO_LINGER with 0 seconds, a kernel that keeps no TIME-WAIT, and a device between that clears its entry look the same.",
               "close() 时 {peer} 最后的数据未读、0 秒的 SO_LINGER、不保留 TIME-WAIT 的内核，以及中间设备清除条目，看上去相同。"},
          .problem = "capture.reset.let_go",
          .summary = {"reset while it was being closed, with nothing of its sender's missing",
                      "关闭途中复位，发送方的数据没有缺失"}}},
    {.id = "reset.alone",
     .severity = note,
     .rests_on = "RFC 9293 3.5.2",
     .wire = ResetCause::alone,
     .on_wire =
         {.short_form = {"nothing else captured", "没有其他报文"},
          .sentence = {"{who} reset a connection of which nothing else was captured: why, the capture can't tell.",
                       "{who} 复位了一个没有捕获到其他报文的连接：原因无法从抓包得知。"},
          .because = {"No other segment of the connection stands before it.", "在它之前没有该连接的其他报文段。"},
          .or_else =
              {"An answer to a segment that was not captured, the end of a connection from before the capture, and a forged one look the same.",
               "对未捕获报文段的回应、抓包之前连接的结束，以及伪造的复位，看上去相同。"},
          .problem = "capture.reset.alone",
          .summary = {"a reset, and nothing else of its connection", "只有复位，没有该连接的其他报文"}}},
    {.id = "reset.after_close",
     .severity = warning,
     .rests_on = "RFC 9293 3.10.7.1; tcp_rcv_state_process(), tcp_timewait_state_process()",
     .wire = ResetCause::data_after_close,
     .when =
         "a side's sending call met a reset behind a FIN, no packet was seen, and that side had sent more after the FIN",
     .finding =
         {"{who}'s kernel answered the data with a RST: the program had closed, and nobody was left to hand it to.",
          "{who}的内核用 RST 回应了数据：程序已关闭，没有人可以接收数据。"},
     .headline = {"{act_peer} after {who} had closed → reset by {who}'s kernel",
                  "{act_peer}，在{who}关闭之后 → 被{who}的内核复位"},
     .ending = {"reset by {resetter}: data came after it had closed, or shut down both directions",
                "被 {resetter} 复位：它已关闭或关闭了两个方向，之后仍有数据到达"},
     .on_wire =
         {.short_form = {"data after close", "关闭后仍有数据"},
          .sentence =
              {"{peer}'s data came after {who} had closed, or shut down both directions: it takes no more, so {who}'s kernel reset.",
               "{peer} 的数据到达时 {who} 已关闭，或关闭了两个方向：不再接收，{who} 的内核因此复位。"},
          .because = {"{who}'s FIN came before, and data from {peer} had not been acknowledged until the reset.",
                      "此前 {who} 已发出 FIN，而 {peer} 的数据在复位之前未被确认。"},
          .or_else = {"{who} may also have closed with data unread, after its FIN.",
                      "也可能是 {who} 在 FIN 之后关闭时仍有未读数据。"},
          .problem = "capture.reset.data_after_close",
          .summary = {"data came for a program that takes no more: reset", "数据到达时程序已不再接收：复位"}},
     .remedy =
         {"{who} should read to the end before it closes, or {peer} stop sending when it has read the end of file",
          "{who} 应读到末尾再关闭，或 {peer} 读到文件结束后停止发送"}},
    {.id = "reset.after_unsent_fin",
     .severity = warning,
     .rests_on = "RFC 9293 3.10.4, 3.10.7.4; tcp_rcv_state_process(): TCPABORTONDATA",
     .wire = ResetCause::data_after_unsent_fin,
     .on_wire =
         {.short_form = {"data after close, FIN not yet sent", "关闭后仍有数据，FIN 尚未发出"},
          .sentence =
              {"{peer}'s data came, most likely, after {who} had closed: its FIN still waited behind what it had to send, nobody was left to read, and {who}'s kernel reset.",
               "{peer} 的数据到达时 {who} 很可能已经关闭：其 FIN 仍排在待发数据之后，已无人读取，{who} 的内核因此复位。"},
          .because =
              {"The reset answers {peer}'s data; shortly before, {who}'s host still sent or probed, with something left that was not acknowledged or not sent: it knew the connection.",
               "该复位回应的是 {peer} 的数据；此前不久 {who} 的主机仍在发送或探测，尚有未确认或未发出的数据：它认识该连接。"},
          .or_else =
              {"Its process was killed, or aborted the connection by a reset that was not captured; or something on the way forgot the connection and answers in its name.",
               "其进程被杀死，或以未被捕获的复位中止了连接；或途中的设备忘记了该连接并以其名义回应。"},
          .problem = "capture.reset.data_after_unsent_fin",
          .summary = {"data came for a program that had most likely closed, with data still to be sent: reset",
                      "数据到达时程序很可能已关闭且尚有待发数据：复位"}},
     .remedy =
         {"{who} should read to the end before it closes, or {peer} read what {who} sends, to the end of file, before it sends more",
          "{who} 应读到末尾再关闭，或 {peer} 先把 {who} 发来的内容读到文件结束，再继续发送"}},
    {.id = "reset.late_after_close",
     .severity = note,
     .rests_on = "RFC 9293 3.10.7.1",
     .wire = ResetCause::late_after_close,
     .ending = {"reset by {resetter}: a segment without data came after its close()",
                "被 {resetter} 复位：其 close() 之后仍有不带数据的报文段到达"},
     .on_wire =
         {.short_form = {"segment after close", "关闭后仍有报文段"},
          .sentence =
              {"{peer}'s segment came after {who} had closed and forgotten the connection; no data was lost by it.",
               "{peer} 的报文段到达时，{who} 已关闭并忘记了该连接；没有因此丢失数据。"},
          .because =
              {"{who}'s FIN came before, and all data of {peer}'s that was captured had been acknowledged: what was answered is a FIN, an acknowledgment, or a copy.",
               "此前 {who} 已发出 FIN，捕获到的 {peer} 的数据均已被确认：被回应的是 FIN、确认，或旧报文段的副本。"},
          .problem = "capture.reset.late_after_close",
          .summary = {"reset after the close: no harm, nothing was lost", "关闭之后的复位：无害，没有丢失数据"}}},
    {.id = "reset.out_of_memory",
     .severity = error,
     .rests_on = "__tcp_close(), tcp_out_of_resources(): TCPABORTONMEMORY; tcp_check_oom()",
     .kernel = {.cause = "out_of_memory",
                .row_words = {"too many orphans, or too little memory", "孤儿套接字过多或内存不足"},
                .reasons = {"TCP_ABORT_ON_MEMORY"}},
     .wider = "reset.aborted",
     .when = "the kernel gave TCP_ABORT_ON_MEMORY as the reason of a RST, or its stack shows that it gave an orphan up",
     .finding =
         {"{who}'s kernel gave up a socket that its program had closed, and sent {peer} a RST: too many such orphans, or too little memory for TCP.",
          "{who}的内核放弃了程序已关闭的套接字，并向{peer}发出 RST：此类孤儿套接字过多，或 TCP 内存不足。"},
     .headline = {"{who}'s kernel gave up a closed socket: too many orphans, or too little memory → reset",
                  "{who}的内核放弃了已关闭的套接字：孤儿过多，或内存不足 → 复位"},
     .ending = {"reset by {resetter}'s kernel: too many orphans, or too little memory",
                "被 {resetter} 的内核复位：孤儿套接字过多或内存不足"},
     .remedy = {"compare /proc/net/sockstat (orphan, mem) with net.ipv4.tcp_max_orphans and tcp_mem",
                "将 /proc/net/sockstat（orphan、mem）与 net.ipv4.tcp_max_orphans、tcp_mem 相比较"}},
    {.id = "reset.queue_full",
     .severity = error,
     .rests_on = "net.ipv4.tcp_abort_on_overflow; tcp_check_req()",
     .kernel = {.cause = "segment.accept_queue_full",
                .row_words = {"the accept queue is full", "接受队列已满"},
                .reasons = {"INVALID_SYN"}},
     .when = "a RST answered the handshake's last ACK or data because the accept queue was full",
     .finding =
         {"{who}'s accept queue (port {port}) was full, and tcp_abort_on_overflow is set: its kernel reset the connection that {peer} thought established.",
          "{who}的 accept 队列（端口 {port}）已满，且设置了 tcp_abort_on_overflow：内核复位了{peer}以为已建立的连接。"},
     .headline = {"{who}'s accept queue (port {port}) was full, and tcp_abort_on_overflow is set → reset",
                  "{who}的 accept 队列（端口 {port}）已满，且设置了 tcp_abort_on_overflow → 复位"},
     .ending = {"reset by {resetter}: its accept queue was full", "被 {resetter} 复位：接受队列已满"},
     .remedy = {"call accept() sooner, raise the backlog, or leave tcp_abort_on_overflow at 0",
                "更快地 accept、加大 backlog，或将 tcp_abort_on_overflow 保持为 0"}},
    {.id = "reset.unacceptable_ack",
     .severity = error,
     .rests_on = "RFC 9293 3.10.7.3, first",
     .kernel = {.reasons = {"TCP_INVALID_ACK_SEQUENCE"}},
     .wire = ResetCause::bad_ack,
     .when = "the kernel gave TCP_INVALID_ACK_SEQUENCE as the reason of a RST",
     .finding =
         {"{who} refused {peer}'s segment with a RST: it acknowledges something that was never sent, as a segment of an older connection does.",
          "{who}用 RST 拒绝了{peer}的报文段：它确认了从未发送过的内容，像是旧连接的报文段。"},
     .headline = {"{who} refused a segment of {peer}'s that acknowledges what was never sent → reset",
                  "{who}拒绝了{peer}的报文段：它确认了从未发送的数据 → 复位"},
     .on_wire = {.short_form = {"wrong ACK of a SYN", "对 SYN 的错误确认"},
                 .sentence = {"{peer} answered the SYN with an ACK of something else, and {who} refused that answer.",
                              "{peer} 对 SYN 的回应确认了别的序号，{who} 拒绝了这个回应。"},
                 .because = {"The reset has the sequence number of that wrong acknowledgment (RFC 9293 3.10.7.3).",
                             "该复位的序号正是那个错误确认的序号（RFC 9293 3.10.7.3）。"}},
     .remedy =
         {"{peer} still holds an older connection from this port (ss -tan there), or something on the way changes sequence numbers",
          "{peer} 仍保有来自该端口的旧连接（在其上运行 ss -tan），或途中有设备改写序号"}},
    {.id = "reset.linger_2",
     .severity = note,
     .rests_on = "tcp(7) TCP_LINGER2; tcp_rcv_state_process(), __tcp_close()",
     .kernel = {.cause = "close.linger2",
                .row_words = {"TCP_LINGER2 below 0", "TCP_LINGER2 小于 0"},
                .reasons = {"TCP_ABORT_ON_LINGER"}},
     .when = "a RST left after TCP_LINGER2 had been set below 0, or FIN-WAIT-2 was cut short",
     .finding =
         {"{who} had set TCP_LINGER2 so that nothing waits in FIN-WAIT-2: once its FIN was acknowledged the kernel sent {peer} a RST.",
          "{who}设置了 TCP_LINGER2，不在 FIN-WAIT-2 等待：FIN 被确认后内核就向{peer}发出 RST。"},
     .ending = {"reset by {resetter}: closed with TCP_LINGER2 below 0", "被 {resetter} 复位：TCP_LINGER2 小于 0"}},
    {.id = "reset.time_wait_entry",
     .severity = note,
     .rests_on = "RFC 9293 3.6.1, RFC 1337; tcp_timewait_state_process()",
     .wider = "reset.late_after_close",
     .when = "a RST answered a segment that met an entry in TIME-WAIT",
     .finding =
         {"{who}'s TIME-WAIT entry answered a segment of {peer}'s with a RST: both had closed, so it is an old or a late one.",
          "{who}的 TIME-WAIT 条目用 RST 回应了{peer}的报文段：双方都已关闭，它是旧的或迟到的。"}},
    {.id = "reset.again",
     .severity = note,
     .rests_on = "RFC 9293 3.10.7.1; tcp_v4_send_reset()",
     .wire = ResetCause::after_reset,
     .when = "a side sent another RST in answer to a later segment",
     .finding =
         {"{who}'s kernel answered another segment of {peer}'s with a RST: after the first one nothing of the connection is left, and the segment met {met}.",
          "{who}的内核又用 RST 回应了{peer}的另一个报文段：第一个 RST 之后连接已不复存在，该报文段遇到的是{met_zh}。"},
     .on_wire = {.short_form = {"after a reset", "复位之后"},
                 .sentence = {"The connection had been reset already; this answers what was still on its way.",
                              "连接此前已被复位；这是对仍在途中的报文段的回应。"},
                 .because = {"One of the two ends had sent a reset before.", "此前两端之一已发出过复位。"}}},
    {.id = "reset.refused",
     .severity = warning,
     .rests_on = "RFC 9293 3.10.7.1",
     .wire = ResetCause::refused,
     .on_wire =
         {.short_form = {"refused", "被拒绝"},
          .sentence = {"{who} refused the connection: it answered {peer}'s SYN with a reset.",
                       "{who} 拒绝了连接：以复位回应 {peer} 的 SYN。"},
          .because = {"The reset acknowledges a SYN, and {who} had sent nothing else.",
                      "该复位确认了 SYN，此前 {who} 没有发送过任何报文。"},
          .or_else =
              {"Nobody listens there; or a firewall rejects in its name; or the accept queue is full and tcp_abort_on_overflow is set.",
               "该处无人监听；或防火墙以其名义拒绝；或接受队列已满且设置了 tcp_abort_on_overflow。"},
          .problem = "capture.refused",
          .summary = {"refused: nobody listens on that port, or a firewall rejects",
                      "被拒绝：该端口无人监听，或被防火墙拒绝"}},
     .remedy =
         {"see whether a program listens at that very address and port (ss -ltn), then look for a reject rule on the way",
          "先看是否有程序正监听该地址和端口（ss -ltn），再查途中的 reject 规则"}},
    {.id = "reset.abandoned",
     .severity = note,
     .rests_on = "RFC 9293 3.10.5",
     .wire = ResetCause::abandoned,
     .on_wire = {.short_form = {"abandoned while opening", "打开时放弃"},
                 .sentence = {"{who} abandoned the connection that it was opening itself.",
                              "{who} 放弃了自己正在打开的连接。"},
                 .because = {"The end that had sent the SYN reset before the handshake was done.",
                             "发送 SYN 的一方在握手完成之前发出了复位。"},
                 .problem = "capture.reset.abandoned",
                 .summary = {"the opener gave up during the handshake: a scan, or connect() was abandoned",
                             "握手期间发起方放弃：扫描，或 connect() 被放弃"}},
     .remedy =
         {"look at {who}: a connect() that was cut short by a timeout or by close(), or a probe that only asks whether the port is open",
          "检查 {who}：connect() 因超时或 close() 而中断，或只是探测端口是否开放"}},

};

template <class Matches>
const ResetReason* find_row(Matches matches) {
  const auto* row = std::ranges::find_if(table, matches);
  return row == std::end(table) ? nullptr : row;
}

}  // namespace

std::span<const ResetReason> reset_reasons() { return table; }

const ResetReason* find_reset_reason(std::string_view id) {
  return find_row([&](const ResetReason& row) { return row.id == id; });
}

const ResetReason* reset_reason_of_problem(std::string_view problem) {
  return find_row([&](const ResetReason& row) { return !problem.empty() && row.on_wire.problem == problem; });
}

const ResetReason* reset_reason_of_kernel(std::string_view cause, std::string_view reason) {
  const auto* by_cause = find_row([&](const ResetReason& row) { return !cause.empty() && row.kernel.cause == cause; });
  if (by_cause != nullptr || reason.empty()) return by_cause;
  return find_row([&](const ResetReason& row) {
    return std::ranges::find(row.kernel.reasons, reason) != row.kernel.reasons.end();
  });
}

Text because(const tcp::ResetSeen& reset) {
  static constexpr Text signs[] = {
      {},
      {"The reset has another TTL than {who}'s segments.", "该复位的 TTL 与 {who} 的报文段不同。"},
      {"The reset has another TTL than {who}'s segments, and came sooner than an answer of {who}'s can: in less than half of the handshake's round trip.",
       "该复位的 TTL 与 {who} 的报文段不同，且来得比 {who} 的应答可能的更早：不到握手往返时间的一半。"},
      {"The reset has an IP ID that is not the next one of {who}'s segments.",
       "该复位的 IP ID 不是 {who} 的报文段的下一个。"},
      {"The reset answers nothing that {peer} sent, nor has it {who}'s next sequence number as its own would.",
       "该复位并不回应 {peer} 发送的任何报文，也不像 {who} 自己发出的那样带有其下一个序号。"},
      {"{who} went on after it.", "{who} 此后仍在继续。"},
      {"{who} had sent a SYN of another connection meanwhile, {peer} answered for this one, and the reset answers that.",
       "{who} 其间为另一个连接发送了 SYN，{peer} 仍按本连接作答，复位即对此的回应。"},
      {"The reset answers {peer}'s last segment, and {who}'s IP IDs have begun anew before it, as those of a host do that was restarted.",
       "该复位回应 {peer} 的最后一个报文段，而 {who} 的 IP ID 在此之前已重新开始计数，如同主机重启之后。"},
      {"The reset has no ACK, as an answer has none, and what it answers was not captured.",
       "该复位不带 ACK，如同应答；它所回应的报文段未被捕获。"},
  };
  if (reset.sign != tcp::ResetSign::usual) return signs[static_cast<std::size_t>(reset.sign)];
  return reset_reason_on_wire(reset.cause).on_wire.because;
}

const ResetReason& reset_reason_on_wire(ResetCause cause) {
  const auto* row = find_row([&](const ResetReason& each) { return each.wire == cause; });
  TCPWHY_CHECK(cause != ResetCause::none && row != nullptr);
  return *row;
}

}  // namespace tcpwhy::explain
