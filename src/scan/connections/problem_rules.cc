// What can be wrong with a connection: a row a problem, and what is said of one connection besides.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <utility>

#include "base/format.h"
#include "base/language.h"
#include "base/units.h"
#include "explain/texts/catalogue.h"
#include "explain/texts/reset_reasons.h"
#include "scan/connections/problem_signs.h"
#include "scan/connections/problems.h"

namespace tcpwhy::scan {
namespace {

using base::Language;
using base::Text;
using explain::Severity;

std::string in_words(std::int64_t ns) { return base::in_words(base::Duration(ns)); }

// "10.0.0.1: fragmentation needed, MTU 1400"
std::string icmp_words(const wire::IcmpError& error) {
  auto text = fmt::format("{}: {}", wire::to_string(error.reporter), wire::words_for(error));
  if (error.mtu != 0) text += fmt::format(", MTU {}", error.mtu);
  return text;
}

std::string black_hole(const ConnectionRecord& record, Language language) {
  const std::uint32_t shrunk_from = record.greater(&EndRecord::shrunk_from);
  const std::uint32_t stuck = shrunk_from != 0 ? shrunk_from : record.greater(&EndRecord::stuck_length);
  const std::uint32_t through = record.greater(&EndRecord::largest_through);
  if (shrunk_from != 0 && (record.ends[opener].shrunk_through || record.ends[listener].shrunk_through))
    return base::format(
        language,
        {"segments of {} bytes did not get through, and in smaller pieces they did: a smaller MTU on the path "
         "that nobody tells of (PMTU black hole)",
         "{} 字节的报文段未能通过，拆小后才通过：途中 MTU 较小却无人告知（PMTU 黑洞）"},
        stuck);
  if (through == 0 || through >= stuck)
    return base::format(
        language,
        {"segments of {} bytes do not get through: a smaller MTU on the path that nobody tells of (PMTU black "
         "hole), or something that drops these very ones",
         "{} 字节的报文段未能通过：途中 MTU 较小却无人告知（PMTU 黑洞），或有设备专门丢弃它们"},
        stuck);
  return base::format(
      language,
      {"segments of {} bytes do not get through, smaller ones (up to {}) did: a smaller MTU on the path that "
       "nobody tells of (PMTU black hole), or something that drops these very ones",
       "{} 字节的报文段未能通过，较小的（至多 {} 字节）可以：途中 MTU 较小却无人告知（PMTU 黑洞），或有设备专门丢弃它们"},
      stuck, through);
}

std::string waited(const ConnectionRecord& /*record*/, Language language) {
  return base::format(language, {"waited for a retransmission timer", "等待了重传定时器"});
}

// Where each SYN was answered, none was lost; nor where they came at once.
std::string slow_to_open(const ConnectionRecord& record, Language language) {
  constexpr std::int64_t syn_timer_ns = 1'000'000'000;
  const EndRecord &asking = record.ends[opener], &asked = record.ends[listener];
  const bool is_slow_path = std::max({std::int64_t{asking.min_rtt_us} * 1000, std::int64_t{asked.min_rtt_us} * 1000,
                                      record.opener_rtt_ns}) >= syn_timer_ns;
  if (is_slow_path && asking.syn_resends > 0 && asked.syn_resends + asked.duplicates >= asking.syn_resends)
    return base::format(
        language, {"slow to open: the SYN was sent again, and each was answered: the round trip is longer than the "
                   "timer (1 s)",
                   "建立缓慢：SYN 被重传，且每个都得到应答：往返时间超过定时器（1 秒）"});
  if (asking.syn_was_held)
    return base::format(
        language, {"slow to open: SYNs were held on their way here and came at once, as where the next hop is looked "
                   "for first (ARP, NDP)",
                   "建立缓慢：多个 SYN 在途中被滞留后一起到达，如先要解析下一跳邻居（ARP、NDP）"});
  return base::format(language, {"slow to open: a SYN or SYN-ACK was sent again", "建立缓慢：SYN 或 SYN-ACK 被重传"});
}

std::string needless(const ConnectionRecord& record, Language language) {
  if (record.sum(&EndRecord::tail_loss_probes) * 2 > record.retransmissions())
    return base::format(
        language,
        {"sent again though nothing was lost: probes that were quicker than the acknowledgments, which the receiver "
         "or the path delayed",
         "并未丢失却被重传：探测早于确认，确认被接收方或路径延迟"});
  return base::format(
      language,
      {"sent again though nothing was lost: reordering, delay that jumped, or acknowledgments that came late, "
       "twice or never",
       "并未丢失却被重传：乱序、时延突变，或确认迟到、重复、丢失"});
}

std::string gave_up(const ConnectionRecord& record, Language language) {
  // Of an end alone that was captured: wherever its answers were lost, they did not reach it.
  if (record.in_vain)
    return base::format(language, {"sent again and again until the end: no answer reached its sender",
                                   "反复重传，直到最后都没有应答到达发送方"});
  const EndRecord& end = more_stuck(record);
  if (end.nothing_through)
    return base::format(
        language,
        {"sent again and again without an answer until the end; nothing behind the handshake was ever answered: "
         "the path or the peer is gone, the accept queue is full (ss -lt), or something drops these segments",
         "反复重传，直到最后都没有应答；握手之后没有任何应答：路径或对端已失效、接受队列已满（ss -lt），或有设备丢弃这些报文段"});
  return base::format(language,
                      {"sent again and again without an answer until the end", "反复重传，直到最后都没有应答"});
}

// What came of it, as far as it was captured.
std::string old_connection(const ConnectionRecord& record, Language language) {
  const EndRecord& asking = record.ends[opener];
  const bool was_reset = old_was_reset(record);
  Text words{"the listener still had an older connection between these ports, and answered for that",
             "监听方仍保留这对端口之间的旧连接，并以它作答"};
  if (was_reset && asking.syn_resends > 0) {
    words = {
        "the listener still had an older connection between these ports: its answer was reset, and the SYN sent again",
        "监听方仍保留这对端口之间的旧连接：其应答被复位，SYN 再次发送"};
  } else if (was_reset) {
    words = {"the listener still had an older connection between these ports: its answer was reset",
             "监听方仍保留这对端口之间的旧连接：其应答被复位"};
  }
  return std::string(words.in(language));
}

// Who opens takes no SYN-ACK where it sends its SYN once more behind it.
std::string half_open(const ConnectionRecord& record, Language language) {
  // Its answer came so late that the SYN had been sent again before.
  constexpr std::int64_t syn_timer_ns = 1'000'000'000;
  const bool is_late = record.reset_cause == tcp::ResetCause::abandoned && record.listener_rtt_ns >= syn_timer_ns;
  const Text words =
      is_late ? Text{"the handshake was never finished: the SYN was sent again and again, and when a SYN-ACK came here the "
                     "opener had given up",
                     "握手未完成：SYN 反复重传，SYN-ACK 到达此处时发起方已放弃"}
      : record.evidence.resent_syn != 0 && record.ends[opener].syn_resends > 0
          ? Text{"the handshake was never finished: the SYN was sent again though a SYN-ACK was captured: that did not "
                 "arrive, or was not taken (a signature, checksum or option that does not fit)",
                 "握手未完成：已捕获 SYN-ACK，SYN 仍被重传：它没有到达，或未被接受（签名、校验和或选项不符）"}
      : record.has_plain_segments || record.sum(&EndRecord::syn_resends) > 0
          ? Text{"the handshake was never finished: a scan, a lost client, or asymmetric routes",
                 "握手未完成：扫描、客户端消失或路由不对称"}
          : Text{"the handshake was never finished: a scan, a lost client, or asymmetric routes; or a filter lets only SYN, FIN "
                 "and RST through",
                 "握手未完成：扫描、客户端消失或路由不对称；也可能过滤器只放行 SYN、FIN 和 RST"};
  return std::string(words.in(language));
}

// All but the reasons of a reset: explain/texts/reset_reasons.cc.
constexpr ProblemRule own_rules[] = {
    {"capture.gave_up",
     Severity::error,
     "at the end three or more retransmissions of one end had no answer for a second, and no reset came; more than a FIN "
     "was not acknowledged; of an end alone that was captured: it sent the same payload again each time, for a second or "
     "longer",
     "RFC 9293 3.8.3; tcp_retries2",
     {"sent again and again without an answer until the end", "反复重传，直到最后都没有应答"},
     {"look whether the peer and the path were there; else at what drops such segments: a firewall (also the peer's own), "
      "a broken checksum, a smaller MTU",
      "检查对端和路径是否还在；否则检查是什么丢弃了这些报文段：防火墙（包括对端自身的）、校验和错误、较小的 MTU"},
     gave_up},
    {"capture.unanswered",
     Severity::warning,
     "SYN without any answer for a second: neither a segment nor an ICMP error, and its sender sent nothing else",
     "RFC 9293 3.8.3; tcp_syn_retries",
     {"no answer to the SYN", "SYN 没有任何应答"},
     {"a firewall that drops, a host that is down, or a full accept queue", "防火墙丢弃、主机不在线，或接受队列已满"}},
    {"capture.rejected",
     Severity::warning,
     "an ICMP error quoted the SYN, which nothing else answered",
     "RFC 9293 3.9.2.2; RFC 1122 4.2.3.9",
     {"an ICMP error answered the SYN: rejected on the way, or by the host",
      "SYN 得到的是 ICMP 差错：被途中或主机拒绝"},
     {"the frame says who sent it and what it says", "该帧说明由谁发出以及原因"},
     [](const ConnectionRecord& record, Language language) {
       return base::format(
           language, {"the SYN was rejected: an ICMP error came back, from {}", "SYN 被拒绝：收到 ICMP 差错，来自 {}"},
           icmp_words(record.icmp.error));
     },
     true},
    {"capture.accept_queue",
     Severity::warning,
     "the listener sent its SYN-ACK again after that had been acknowledged",
     "RFC 9293 3.10.7.4, fifth; tcp_check_req(), sk_acceptq_is_full()",
     {"the listener sent its SYN-ACK again though it had been acknowledged: its accept queue is full, the ACK did not "
      "arrive, or it waits for data first (TCP_DEFER_ACCEPT)",
      "SYN-ACK 已被确认，监听方仍再次发送：接受队列已满、ACK 未到达，或它先等待数据（TCP_DEFER_ACCEPT）"},
     {"look whether the server's program accepts (ss -lt: Recv-Q reaches Send-Q), then at the path; of a connection on "
      "which the client says nothing TCP_DEFER_ACCEPT is the likelier, and harmless",
      "检查服务器程序是否在 accept（ss -lt：Recv-Q 达到 Send-Q），再检查路径；若客户端一直不发数据，则更可能是 "
      "TCP_DEFER_ACCEPT，并无妨害"}},
    {"capture.mtu_black_hole",
     Severity::warning,
     "an end sent a segment three times or more without an answer that is larger than any that got through, or got "
     "through in smaller pieces at last, and no ICMP error came",
     "RFC 2923 2.1; RFC 4821",
     {"large segments do not get through: a smaller MTU on the path that nobody tells of (PMTU black hole), or something "
      "that drops these very ones",
      "较大的报文段未能通过：途中 MTU 较小却无人告知（PMTU 黑洞），或有设备专门丢弃它们"},
     {"let ICMP \"too big\" through, clamp the MSS, or set net.ipv4.tcp_mtu_probing",
      "放行 ICMP“报文过大”、限制 MSS，或设置 net.ipv4.tcp_mtu_probing"},
     black_hole},
    {"capture.old_timestamps",
     Severity::error,
     "at the end three or more retransmissions of one end were never acknowledged though the other end was heard meanwhile, and the "
     "time stamps of its new packets (by their IP IDs) are older than one before",
     "RFC 7323 5.3, R1: PAWS",
     {"sent again and again and never acknowledged: its time stamps went back, and the receiver must drop such segments (PAWS)",
      "反复重传从未被确认：其时间戳倒退，接收方必须丢弃这样的报文段（PAWS）"},
     {"look what sets the time stamps: a box on the path, a NAT before several hosts, or a sender that was moved; "
      "net.ipv4.tcp_timestamps=0 gets around it",
      "检查是什么改写了时间戳：途中设备、多台主机前的 NAT，或被迁移的发送方；net.ipv4.tcp_timestamps=0 可绕过"}},
    {"capture.not_getting_through",
     Severity::error,
     "at the end three or more retransmissions of one end were never acknowledged, though the other end was heard "
     "meanwhile, and none of the other rows says why",
     "RFC 9293 3.8.3",
     {"sent again and again and never acknowledged, though the peer still answers",
      "反复重传从未被确认，而对端仍有回应"},
     {"something on the path drops these very segments: by their size, their content, or a broken checksum",
      "途中有设备专门丢弃这些报文段：因其大小、内容或校验和错误"}},
    {"capture.undelivered",
     Severity::warning,
     "to the end, and for a second or longer, an end acknowledged what comes behind bytes that it lacks and the capture "
     "lacks too",
     "RFC 2018",
     {"bytes never arrived: the receiver lacks them to the end, though it has what comes behind them",
      "有数据从未到达：接收方直到最后都缺少它们，却已收到其后的数据"},
     {"they were lost before the capture saw them: look between it and their sender",
      "它们在到达抓包点之前就已丢失：检查抓包点与其发送方之间"},
     [](const ConnectionRecord& record, Language language) {
       return base::format(
           language,
           {"{} bytes never arrived: the receiver lacks them to the end, though it has what comes behind them",
            "有 {} 字节从未到达：接收方直到最后都缺少它们，却已收到其后的数据"},
           base::grouped(record.sum(&EndRecord::undelivered_bytes)));
     }},
    {"capture.never_came",
     Severity::warning,
     "an end's last segment, without data, has a number behind bytes that the capture lacks, and nobody acknowledged them to the "
     "end; `assumed` where the capture ended within a second",
     "RFC 9293 3.4: SND.NXT",
     {"bytes were sent that never came here: their sender's own numbers go beyond them, and nobody acknowledged them",
      "有数据已发送却从未到达此处：发送方自己的序号已越过它们，且无人确认"},
     {"they were lost before the capture saw them, or were late: look between it and their sender; of large segments at the MTU",
      "它们在到达抓包点之前丢失或迟到：检查抓包点与其发送方之间；若为大报文段，检查 MTU"},
     [](const ConnectionRecord& record, Language language) {
       return base::format(
           language,
           {"{} bytes were sent that never came here (a FIN counts as one): their sender's own numbers go beyond "
            "them, and nobody acknowledged them",
            "有 {} 字节（FIN 计为一个）已发送却从未到达此处：发送方自己的序号已越过它们，且无人确认"},
           base::grouped(record.sum(&EndRecord::vanished_bytes)));
     }},
    {"capture.acks_lost",
     Severity::warning,
     "two or more retransmissions by timer of what had been acknowledged",
     "RFC 6298 5.5; RFC 2883",
     {"sent again by the timer, and the first ones arrived too: the acknowledgments were lost, or late (the path stood still, "
      "or its delay jumped)",
      "因定时器重传，而最初的报文段也已到达：确认丢失或迟到（路径停顿，或时延突变）"},
     {"look at the way back, from the receiver to the sender, and at what may hold packets: queues, a link that sleeps",
      "检查从接收方返回发送方的路径，以及可能滞留报文的地方：队列、会休眠的链路"}},
    {"capture.probes_unanswered",
     Severity::warning,
     "an end offered a window of 0, and probes of that had no answer: two or more in a row, or one before the answer that "
     "opened the window or before the end; not counted are those within half a second of its last segment, which Linux may "
     "leave unanswered",
     "RFC 9293 3.8.6.1; tcp_probe_timer(), tcp_invalid_ratelimit",
     {"probes of a shut window had no answer: the path was gone, or what opened the window was lost",
      "零窗口探测无人应答：路径已中断，或打开窗口的通告丢失"},
     {"look at the path first, then at the receiving program", "先检查路径，再检查接收程序"}},
    {"capture.old_connection",
     Severity::note,
     "an ACK, not of a SYN, acknowledges something else than the SYN; `assumed` where the opener was not seen to reset it",
     "RFC 9293 3.5.1 (half-open connections)",
     {"the listener still had an older connection between these ports, and answered for that",
      "监听方仍保留这对端口之间的旧连接，并以它作答"},
     {},
     old_connection},
    {"capture.old_syn",
     Severity::note,
     "a SYN-ACK for the same SYN with another sequence number than the one that had been acknowledged",
     "RFC 9293 3.5, figure 8 (recovery from an old duplicate SYN)",
     {"the SYN was answered once more, with another number: a late copy of it reached the listener, that had forgotten the "
      "connection, or several hosts answer at this address",
      "该 SYN 以另一个序号再次得到应答：其迟到副本到达了监听方、监听方已忘记该连接，或该地址由多台主机应答"},
     {}},
    {"capture.close_unanswered",
     Severity::warning,
     "at the end three or more retransmissions of a FIN had no answer, nothing of the other end came meanwhile, and that "
     "had not closed; all data of the FIN's sender had been acknowledged",
     "RFC 9293 3.8.3; tcp_orphan_retries",
     {"closed, and nothing came back any more: since its last segment the peer, or the path to it, was gone; what that sent "
      "meanwhile, if anything, did not come",
      "关闭时已不再有任何回应：自其最后一个报文段之后，对端或通往它的路径已失效；其间对端若有发送，也没有到达"},
     {"compare the time since the peer's last segment with the idle timeouts of firewalls and NAT on the way, then look at the peer",
      "将对端最后一个报文段以来的时间与途中防火墙和 NAT 的空闲超时相比较，再检查对端"}},
    {"capture.fin_unanswered",
     Severity::note,
     "at the end three or more retransmissions of a FIN had no answer; all data had been acknowledged, and the other end "
     "had closed",
     "RFC 9293 3.6; tcp_orphan_retries",
     {"all data had arrived; only the last FIN was never acknowledged", "数据已全部送达，只有最后的 FIN 未被确认"},
     {}},
    {"capture.fin_again",
     Severity::note,
     "an end sent its FIN again after that had been acknowledged",
     "RFC 9293 3.10.7.4, eighth: TIME-WAIT",
     {"a FIN was sent again though it had been acknowledged: the acknowledgment did not reach its sender, or not in time",
      "FIN 已被确认仍被重传：确认没有到达其发送方，或没有及时到达"},
     {}},
    {"capture.icmp_error",
     Severity::warning,
     "an ICMP error quoted a segment of it",
     "RFC 792, RFC 4443; RFC 5461",
     {"an ICMP error came back: unreachable, too big, or expired on the way",
      "收到 ICMP 差错：不可达、报文过大或途中超时"},
     {"the frame says who sent it and what it says", "该帧说明由谁发出以及原因"},
     [](const ConnectionRecord& record, Language language) {
       return base::format(language, {"an ICMP error came back, from {}", "收到 ICMP 差错，来自 {}"},
                           icmp_words(record.icmp.error));
     },
     true},
    {"capture.loss",
     Severity::warning,
     "three or more retransmissions, and at least 1 % of the data segments, each counted once; not of a FIN that had been acknowledged, "
     "nor such as are proven needless, by D-SACK, or by a reset behind the close; nor, without SACK, what follows a timeout. "
     "`assumed` with those that may have come late, or that follow one, where the others are too few",
     "RFC 5681, RFC 6298",
     {"segments were lost and sent again", "报文丢失并被重传"},
     {"look at the path: queues, duplex, radio; whether they were damaged there shows a capture at the receiver, connection by connection "
      "(--conn)",
      "检查路径：队列、双工、无线；是否在途中损坏，由接收方的抓包逐个连接给出（--conn）"},
     nullptr,
     false,
     {"segments were lost and sent again, or they or their acknowledgments came late",
      "报文丢失并被重传，或报文及其确认迟到"}},
    {"capture.damaged",
     Severity::warning,
     "segments whose checksum does not fit were sent again, while those of most others of their sender fit; looked at in the one connection "
     "that is shown (`--stream`, `--conn`), where its segments were captured whole",
     "RFC 9293 3.1: checksum",
     {"segments arrived damaged: their checksum does not fit, so the receiver drops them, and they were sent again",
      "报文段到达时已损坏：校验和不符，接收方丢弃它们，随后被重传"},
     {"look for what damages packets between the sender and the capture: a line, a network card, memory of a router, a box that rewrites "
      "them",
      "查找发送方与抓包点之间是什么损坏了报文：线路、网卡、路由器内存，或改写报文的设备"}},
    {"capture.timeout",
     Severity::warning,
     "a retransmission by timer of what had not been acknowledged; `assumed` where what the peer told, or a probe, may have made it send "
     "again, and, far from the sender, where a recovery was under way: what that sends may be lost before it comes here",
     "RFC 6298; RFC 8985 7.2; tcp_schedule_loss_probe()",
     {"sent again only after a wait, most likely for a retransmission timer", "等待之后才重传，很可能是重传定时器"},
     {},
     waited,
     false,
     {"sent again after a wait: for a retransmission timer or a tail-loss probe, or because what a recovery had sent again "
      "was lost once more",
      "等待之后才重传：等待重传定时器或尾部丢失探测，或恢复中重传的报文段再次丢失"}},
    {"capture.syn_lost",
     Severity::warning,
     "a SYN or SYN-ACK was sent again before the handshake was done",
     "RFC 6298 5.7",
     {"slow to open: a SYN or SYN-ACK was sent again", "建立缓慢：SYN 或 SYN-ACK 被重传"},
     {"look at the path, at the accept and SYN queues (ss -lt), at the round trip, for the timer runs for 1 s, and at how long "
      "the neighbour was looked for (ARP, NDP)",
      "检查路径、接受队列和 SYN 队列（ss -lt）、往返时间（定时器为 1 秒），以及邻居解析（ARP、NDP）所用的时间"},
     slow_to_open},
    {"capture.zero_window",
     Severity::warning,
     "an end offered a window of 0, for 100 ms or longer",
     "RFC 9293 3.8.6.1",
     {"the receiver's buffer was full: its program did not read", "接收缓冲区已满：程序没有及时读取"},
     {"look at the receiving program, not at the network", "应检查接收程序，而不是网络"},
     [](const ConnectionRecord& record, Language language) {
       return base::format(language,
                           {"the receiver's buffer was full, for {} at most: its program did not read",
                            "接收缓冲区已满，最长 {}：程序没有及时读取"},
                           in_words(record.greater(&EndRecord::longest_shut_ns)));
     }},
    {"capture.tiny_window",
     Severity::warning,
     "20 or more segments of an end, and half of those that have data, filled what the other end takes, which is less than 536 bytes and "
     "never 0",
     "RFC 9293 3.8.6.2; RFC 7323 2",
     {"the receiver's window is tiny all the time, and that is what limits", "接收窗口始终极小，速度受此限制"},
     {"look at the receiver's buffer (SO_RCVBUF, net.ipv4.tcp_rmem), and whether a box on the path took the window scale out "
      "of the handshake or changes windows",
      "检查接收缓冲区（SO_RCVBUF、net.ipv4.tcp_rmem），以及途中是否有设备去掉了握手中的窗口缩放选项或改写窗口"},
     [](const ConnectionRecord& record, Language language) {
       const bool of_opener = is_limited_by_tiny_window(record.ends[opener], record.ends[listener]);
       return base::format(language,
                           {"the receiver's window is tiny all the time, {} bytes in the end, and that is what limits",
                            "接收窗口始终极小，最后为 {} 字节，速度受此限制"},
                           record.ends[of_opener ? listener : opener].window);
     }},
    {"capture.zero_window_brief",
     Severity::note,
     "an end offered a window of 0, and each time opened it again within 100 ms",
     "RFC 9293 3.8.6.1",
     {"the receiver's buffer was full for a moment", "接收缓冲区曾短暂占满"},
     {},
     [](const ConnectionRecord& record, Language language) {
       const std::int64_t longest_ns = record.greater(&EndRecord::longest_shut_ns);
       if (longest_ns == 0)  // its last segment: until when, nothing tells
         return base::format(language, {"the receiver's buffer was full for a moment", "接收缓冲区曾短暂占满"});
       return base::format(language,
                           {"the receiver's buffer was full for a moment, {} at most", "接收缓冲区曾短暂占满，最长 {}"},
                           in_words(longest_ns));
     }},
    {"capture.half_open_handshake",
     Severity::warning,
     "the SYN-ACK was not acknowledged, for a second; the SYN was captured; or its sender reset, and had sent it again twice or "
     "more; `assumed` where nothing was sent again and the capture has only SYN, FIN and RST of it",
     "RFC 9293 3.5",
     {"the handshake was never finished: a scan, a lost client, or asymmetric routes",
      "握手未完成：扫描、客户端消失或路由不对称"},
     {},
     half_open},
    {"capture.illegal",
     Severity::warning,
     "a segment that RFC 9293 3.10.7 or RFC 5961 rejects; `assumed` where the opening was not captured, or of all "
     "that is neither SYN, FIN nor RST nothing",
     "RFC 9293 3.10.7, RFC 5961",
     {"segments that the receiver must not take: of another connection between these ports, strays, or forged",
      "接收方不得接受的报文：属于同一对端口的另一连接、走失的，或伪造的"},
     {}},
    {"capture.needless",
     Severity::note,
     "three or more retransmissions that D-SACK, time stamps or earlier ACKs prove needless",
     "RFC 2883, RFC 3522",
     {"sent again though nothing was lost: reordering, delay that jumped, or acknowledgments that came late, twice or never",
      "并未丢失却被重传：乱序、时延突变，或确认迟到、重复、丢失"},
     {},
     needless},
    {"capture.reordered",
     Severity::note,
     "three or more segments overtaken on the way",
     "RFC 9293 3.10.7.4; IP ID, time stamps",
     {"segments overtook each other on the way", "报文在途中乱序"},
     {}},
    {"capture.gaps",
     Severity::note,
     "bytes were acknowledged that the capture lacks; where it begins late, not what may have been sent before",
     "the acknowledgments",
     {"the capture lacks segments: what is said of this connection may be incomplete",
      "抓包缺失报文：对此连接的结论可能不完整"},
     {"capture with a larger buffer (tcpdump -B), or fewer bytes a packet (-s)",
      "加大抓包缓冲（tcpdump -B）或减小截取长度（-s）"},
     [](const ConnectionRecord& record, Language language) {
       return base::format(language,
                           {"the capture lacks segments ({} bytes): what is said of this connection may be incomplete",
                            "抓包缺失报文（{} 字节）：对此连接的结论可能不完整"},
                           base::grouped(record.sum(&EndRecord::unseen_bytes)));
     }},
    {"capture.flags_only",
     Severity::note,
     "sequence numbers go beyond what the capture has, and all that it has are SYN, FIN and RST",
     "the sequence numbers",
     {"the capture has only its SYN, FIN and RST: a filter on flags, so what led to its end is not seen",
      "抓包中只有其 SYN、FIN 和 RST：按标志过滤，看不到导致其结束的过程"},
     {"capture all segments of the connection: tcpdump \"host ... and port ...\", with -s 128 where they are many",
      "抓取该连接的全部报文段：tcpdump \"host ... and port ...\"，数量多时加 -s 128"}},
    {"capture.one_way",
     Severity::note,
     "segments of one end only, which acknowledges what the other sent",
     "the acknowledgments",
     {"only one direction was captured: what is said rests on one end's word", "只抓到一个方向：结论仅依据一端"},
     {}},
    {"capture.out_of_order",
     Severity::note,
     "data stands in the capture behind the segment that acknowledges it",
     "the acknowledgments",
     {"captured out of order: segments stand behind their acknowledgments", "抓包乱序：报文段排在其确认之后"},
     {},
     [](const ConnectionRecord& record, Language language) {
       return base::format(language,
                           {"captured out of order: segments stand behind their acknowledgments, by {} at most",
                            "抓包乱序：报文段排在其确认之后，最多 {}"},
                           in_words(record.greater(&EndRecord::most_behind_ack_ns)));
     }},
    {"capture.offload",
     Severity::note,
     "segments larger than their receiver takes, and their pieces",
     "IP ID, time stamps; inet_gso_segment()",
     {"captured on both sides of segmentation or receive offload: the same bytes twice",
      "在分段或接收卸载的两侧各抓一次：相同字节出现两次"},
     {}},
    {"capture.icmp_disbelieved",
     Severity::note,
     "an ICMP error quotes a sequence number that was never sent",
     "RFC 5927 4.1",
     {"an ICMP error quotes a segment that was never sent: forged, or of another connection",
      "ICMP 差错引用了从未发送的报文段：伪造，或属于别的连接"},
     {}},
    {"capture.to_itself",
     Severity::note,
     "both ends are the same address and port",
     "RFC 9293 3.5, figure 7",
     {"a socket connected to itself: its port was the one that the kernel chose for it",
      "套接字连接到了自己：内核为它选的端口正是目标端口"},
     {"nobody listens there; choose a port outside net.ipv4.ip_local_port_range",
      "那里没有监听者；请使用 net.ipv4.ip_local_port_range 之外的端口"}},
    {"capture.copies",
     Severity::note,
     "half or more of an end's data segments were seen twice, and neither the time between nor an answer tells that the copies were "
     "on the way; what comes again with one and the same other TTL was seen at another place of the path",
     "IP ID, time stamps",
     {"packets were captured twice (mirror port, any interface, captures of several places merged)",
      "报文被重复抓取（镜像端口、any 接口，或合并了多处的抓包）"},
     {}},
    {"capture.copied_on_the_way",
     Severity::note,
     "half or more of what stands twice of an end came 50 ms or more apart, or was answered twice; `assumed` where few of them were "
     "answered",
     "IP ID, time stamps; RFC 2883",
     {"packets came twice: a loop, a bond or a box on the path copied them, or held a copy back; the receiver drops what it has",
      "报文到达两次：途中的环路、链路聚合或设备复制了它们，或滞留了副本；接收方会丢弃已有的数据"},
     {}},
    {"capture.evicted",
     Severity::note,
     "more connections were open than memory is set aside for",
     "--max-connections",
     {"left out before its end: too many connections open at once", "同时打开的连接过多，未跟踪到结束"},
     {"raise --max-connections", "调大 --max-connections"}},
};

// Lives as long as the rules that show it.
std::string_view kept(std::string text) {
  static std::deque<std::string> texts;
  return texts.emplace_back(std::move(text));
}

// What to do about a reset, where connections are counted and no end is named.
std::string_view unnamed(const base::Text& remedy, Language language) {
  const bool zh = language == Language::zh;
  return kept(explain::fill(remedy.in(language),
                            {{"who", std::string(zh ? "发出复位的一端" : "the end that reset")},
                             {"peer", std::string(zh ? "另一端" : "the other end")}},
                            language));
}

ProblemRule rule_of(const explain::ResetReason& reason) {
  return {.id = reason.on_wire.problem,
          .severity = reason.severity,
          .when = kept(fmt::format("the cause of its reset is `{}`", tcp::name(reason.wire))),
          .rests_on = reason.rests_on,
          .text = reason.on_wire.summary,
          .remedy = {unnamed(reason.remedy, Language::en), unnamed(reason.remedy, Language::zh)}};
}

}  // namespace

// Worst first.
std::span<const ProblemRule> problem_rules() {
  static const std::vector<ProblemRule> all = [] {
    std::vector<ProblemRule> rules;
    for (const explain::ResetReason& reason : explain::reset_reasons())
      if (!reason.on_wire.problem.empty()) rules.push_back(rule_of(reason));
    std::ranges::copy(own_rules, std::back_inserter(rules));
    std::ranges::stable_sort(rules, std::ranges::greater{}, &ProblemRule::severity);
    return rules;
  }();
  return all;
}

std::string say(const Problem& problem, const ConnectionRecord& record, base::Language language) {
  const ProblemRule& rule = *problem.rule;
  if (problem.grade == explain::Grade::assumed && !rule.if_assumed.empty())
    return std::string(rule.if_assumed.in(language));
  return rule.told != nullptr ? rule.told(record, language) : std::string(rule.text.in(language));
}

std::string remedy(const Problem& problem, base::Language language) {
  return problem.rule->told_is_all ? std::string() : std::string(problem.rule->remedy.in(language));
}

}  // namespace tcpwhy::scan
