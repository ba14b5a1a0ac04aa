#include "scan/problems.h"

#include <algorithm>

#include "base/check.h"

namespace tcpwhy::scan {
namespace {

using explain::Grade;
using explain::Severity;

constexpr ProblemRule rules[] = {
    {"capture.reset.third_party", Severity::error,
     "the reset has another TTL than its sender's segments and an IP ID that does not fit, or its sender went on afterwards",
     "RFC 5961 1; RFC 3360", "reset by somebody else in the peer's name: a middlebox, or forged",
     "由第三方冒充对端发出的复位：中间设备或伪造报文",
     "capture at both ends and compare; look for firewalls and inline devices on the path",
     "在两端同时抓包比较；检查路径上的防火墙与串接设备"},
    {"capture.reset.unread_data", Severity::error,
     "reset with ACK, right behind data of the peer that its sender did not answer", "RFC 2525 2.17; tcp_close()",
     "aborted right after data had come: most likely closed with unread data",
     "数据刚到达就中止：很可能是关闭时接收缓冲区还有未读数据",
     "let the program read to the end of file before close(), or shutdown(SHUT_WR) and drain",
     "close() 前先读到文件结束，或先 shutdown(SHUT_WR) 再读完"},
    {"capture.reset.no_connection", Severity::error,
     "reset without ACK in answer to a segment, though its sender had neither closed nor reset",
     "RFC 9293 3.5.1; tcp_v4_send_reset()",
     "the peer's host does not know the connection (any more): rebooted, or a middlebox answered for it",
     "对端主机不认识（或已忘记）这个连接：可能重启过，或由中间设备代答",
     "look whether the host restarted, or whether a NAT or load balancer timed out",
     "检查主机是否重启，NAT 或负载均衡是否超时"},
    {"capture.reset.keep_alive_gave_up", Severity::error,
     "reset with ACK behind keep-alive probes that nobody answered", "RFC 9293 3.8.4; tcp_keepalive_timer()",
     "keep-alive probes had no answer: given up", "保活探测无人应答：放弃连接",
     "the peer or the path was gone; look there", "对端或路径已失效，请到那里查找原因"},
    {"capture.gave_up", Severity::error,
     "at the end three or more retransmissions of one end had no answer, and no reset came",
     "RFC 9293 3.8.3; tcp_retries2", "sent again and again without an answer until the end",
     "反复重传，直到最后都没有应答", "the peer or the path was gone; look there", "对端或路径已失效，请到那里查找原因"},
    {"capture.reset.aborted", Severity::warning, "reset with ACK of its sender's own accord",
     "RFC 9293 3.10.5; tcp_disconnect(), SO_LINGER in socket(7)",
     "aborted by the program: SO_LINGER 0, disconnect, or killed", "被程序中止：SO_LINGER 0、断开或被杀死",
     "if that is not meant: shutdown(SHUT_WR), read to the end of file, then close()",
     "若非本意：shutdown(SHUT_WR)，读到文件结束，再 close()"},
    {"capture.reset.data_after_close", Severity::warning, "reset in answer to data for an end that had sent its FIN",
     "RFC 9293 3.10.7.1; tcp_rcv_state_process(), tcp_timewait_state_process()",
     "data came for a program that had closed: reset", "数据到达时程序已关闭：复位",
     "the sender should stop at end of file, or the closer should wait for the peer's end",
     "发送方读到文件结束就应停止发送，或关闭方先等对端结束"},
    {"capture.refused", Severity::warning, "reset in answer to the SYN", "RFC 9293 3.10.7.1",
     "refused: nobody listens on that port, or a firewall rejects", "被拒绝：该端口无人监听，或被防火墙拒绝",
     "start the server, correct the port, or look at the firewall", "启动服务、改正端口，或检查防火墙"},
    {"capture.unanswered", Severity::warning, "SYN without any answer", "RFC 9293 3.8.3; tcp_syn_retries",
     "no answer to the SYN", "SYN 没有任何应答", "a firewall that drops, a host that is down, or a full accept queue",
     "防火墙丢弃、主机不在线，或接受队列已满"},
    {"capture.icmp_error", Severity::warning, "an ICMP error quoted a segment of it", "RFC 792, RFC 4443; RFC 5461",
     "an ICMP error came back: unreachable, too big, or expired on the way",
     "收到 ICMP 差错：不可达、报文过大或途中超时", "the frame says who sent it and what it says",
     "该帧说明由谁发出以及原因"},
    {"capture.loss", Severity::warning, "three or more retransmissions, and at least 1 % of the data segments",
     "RFC 5681, RFC 6298", "segments were lost and sent again", "报文丢失并被重传",
     "look at the path: queues, duplex, radio", "检查路径：队列、双工、无线"},
    {"capture.timeout", Severity::warning, "a retransmission by timer", "RFC 6298", "waited for a retransmission timer",
     "等待了重传定时器", "", ""},
    {"capture.syn_lost", Severity::warning, "a SYN or SYN-ACK was sent again before the handshake was done",
     "RFC 6298 5.7", "slow to open: a SYN or SYN-ACK was sent again", "建立缓慢：SYN 或 SYN-ACK 被重传",
     "loss on the path, or a full accept or SYN queue", "路径丢包，或接受队列、SYN 队列已满"},
    {"capture.zero_window", Severity::warning, "an end offered a window of 0", "RFC 9293 3.8.6.1",
     "the receiver's buffer was full: its program did not read", "接收缓冲区已满：程序没有及时读取",
     "look at the receiving program, not at the network", "应检查接收程序，而不是网络"},
    {"capture.half_open_handshake", Severity::warning, "the SYN-ACK was never acknowledged", "RFC 9293 3.5",
     "the handshake was never finished: a scan, a lost client, or asymmetric routes",
     "握手未完成：扫描、客户端消失或路由不对称", "", ""},
    {"capture.illegal", Severity::warning, "a segment that RFC 9293 3.10.7 or RFC 5961 rejects",
     "RFC 9293 3.10.7, RFC 5961", "segments that the receiver must not take: strays, or forged",
     "接收方不得接受的报文：走失的或伪造的", "", ""},
    {"capture.reset.late_after_close", Severity::note,
     "reset in answer to a segment without data, after its sender's FIN", "RFC 9293 3.10.7.1",
     "reset after the close: no harm, nothing was lost", "关闭之后的复位：无害，没有丢失数据", "", ""},
    {"capture.reset.abandoned", Severity::note, "the opener reset before the handshake was done", "RFC 9293 3.10.5",
     "the opener gave up during the handshake: a scan, or connect() was abandoned",
     "握手期间发起方放弃：扫描，或 connect() 被放弃", "", ""},
    {"capture.needless", Severity::note,
     "three or more retransmissions that D-SACK, time stamps or earlier ACKs prove needless", "RFC 2883, RFC 3522",
     "sent again though nothing was lost: reordering, or delay that jumped", "并未丢失却被重传：乱序或时延突变", "",
     ""},
    {"capture.reordered", Severity::note, "three or more segments overtaken on the way",
     "RFC 9293 3.10.7.4; IP ID, time stamps", "segments overtook each other on the way", "报文在途中乱序", "", ""},
    {"capture.gaps", Severity::note, "bytes were acknowledged that the capture lacks", "the acknowledgments",
     "the capture lacks segments: what is said of this connection may be incomplete",
     "抓包缺失报文：对此连接的结论可能不完整",
     "capture with a larger buffer (tcpdump -B), or fewer bytes a packet (-s)",
     "加大抓包缓冲（tcpdump -B）或减小截取长度（-s）"},
    {"capture.one_way", Severity::note, "segments of one end only, though acknowledgments move", "the acknowledgments",
     "only one direction was captured", "只抓到一个方向", "", ""},
    {"capture.copies", Severity::note, "half or more of an end's data segments were seen twice", "IP ID, time stamps",
     "packets were captured twice (mirror port, any interface)", "报文被重复抓取（镜像端口或 any 接口）", "", ""},
    {"capture.evicted", Severity::note, "more connections were open than memory is set aside for", "--max-connections",
     "left out before its end: too many connections open at once", "同时打开的连接过多，未跟踪到结束",
     "raise --max-connections", "调大 --max-connections"},
};

const ProblemRule* rule_named(std::string_view id) {
  const auto* row = std::ranges::find(rules, id, &ProblemRule::id);
  TCPWHY_CHECK(row != std::end(rules));
  return row;
}

class Finder {
 public:
  explicit Finder(const ConnectionRecord& record) : record_(record) {}

  std::vector<Problem> run() {
    opening();
    reset();
    transfer();
    observer();
    std::ranges::stable_sort(found_, std::ranges::greater{}, [](const Problem& p) { return p.rule->severity; });
    return std::move(found_);
  }

 private:
  void say(std::string_view id, std::uint64_t frame, std::uint64_t count = 1, Grade grade = Grade::derived) {
    found_.push_back({rule_named(id), grade, frame, count});
  }
  [[nodiscard]] std::uint64_t sum(std::uint32_t EndRecord::* field) const {
    return std::uint64_t{record_.ends[0].*field} + record_.ends[1].*field;
  }

  void opening() {
    if (record_.icmp.frame != 0) say("capture.icmp_error", record_.icmp.frame);
    if (record_.opening == Opening::refused) say("capture.refused", record_.reset_frame, 1, Grade::assumed);
    if (record_.opening == Opening::unanswered && record_.reset_cause == tcp::ResetCause::none)
      say("capture.unanswered", record_.first_frame, record_.ends[opener].segments);
    if (record_.opening == Opening::incomplete && record_.reset_cause == tcp::ResetCause::none)
      say("capture.half_open_handshake", record_.last_frame);
    if (record_.opening == Opening::handshake && record_.evidence.resent_syn != 0)
      say("capture.syn_lost", record_.evidence.resent_syn);
  }

  void reset() {
    const Grade grade = record_.reset_assumed ? Grade::assumed : Grade::derived;
    const auto cause = [&](std::string_view id) { say(id, record_.reset_frame, 1, grade); };
    switch (record_.reset_cause) {
      case tcp::ResetCause::third_party: return cause("capture.reset.third_party");
      case tcp::ResetCause::unread_data: return cause("capture.reset.unread_data");
      case tcp::ResetCause::no_connection: return cause("capture.reset.no_connection");
      case tcp::ResetCause::keep_alive_gave_up: return cause("capture.reset.keep_alive_gave_up");
      case tcp::ResetCause::aborted: return cause("capture.reset.aborted");
      case tcp::ResetCause::data_after_close: return cause("capture.reset.data_after_close");
      case tcp::ResetCause::late_after_close: return cause("capture.reset.late_after_close");
      case tcp::ResetCause::abandoned: return cause("capture.reset.abandoned");
      case tcp::ResetCause::none:
      case tcp::ResetCause::refused:      // told by the opening
      case tcp::ResetCause::bad_ack:      // ends no connection
      case tcp::ResetCause::after_reset:  // never the first
        return;
    }
  }

  void transfer() {
    const std::uint64_t data = sum(&EndRecord::data_segments), again = record_.retransmissions();
    if (record_.opening == Opening::handshake || record_.opening == Opening::before_capture) {
      if (record_.reset_cause == tcp::ResetCause::none &&
          std::max(record_.ends[0].unanswered_resends, record_.ends[1].unanswered_resends) >= 3)
        say("capture.gave_up", record_.evidence.retransmission,
            std::max(record_.ends[0].unanswered_resends, record_.ends[1].unanswered_resends));
      if (again >= 3 && again * 100 >= data) say("capture.loss", record_.evidence.retransmission, again);
      if (const auto timeouts = sum(&EndRecord::timeouts); timeouts > 0)
        say("capture.timeout", record_.evidence.retransmission, timeouts);
    }
    if (const auto shut = sum(&EndRecord::zero_windows); shut > 0)
      say("capture.zero_window", record_.evidence.zero_window, shut);
    if (const auto illegal = sum(&EndRecord::illegal); illegal > 0)
      say("capture.illegal", record_.evidence.illegal, illegal);
    if (const auto needless = sum(&EndRecord::needless); needless >= 3)
      say("capture.needless", record_.evidence.needless, needless);
    if (const auto overtaken = sum(&EndRecord::reordered); overtaken >= 3)
      say("capture.reordered", record_.first_frame, overtaken);
  }

  void observer() {
    if (const auto unseen = record_.ends[0].unseen_bytes + record_.ends[1].unseen_bytes; unseen > 0 && both_seen())
      say("capture.gaps", record_.evidence.gap, unseen);
    for (const EndRecord& end : record_.ends)
      if (end.data_segments >= 2 && std::uint64_t{end.duplicates} * 2 >= end.data_segments) {
        say("capture.copies", record_.first_frame, end.duplicates);
        break;
      }
    if (!both_seen() && record_.opening != Opening::unanswered && record_.segments() >= 3)
      say("capture.one_way", record_.first_frame);
    if (record_.left == Left::evicted) say("capture.evicted", record_.last_frame);
  }

  [[nodiscard]] bool both_seen() const { return record_.ends[0].segments > 0 && record_.ends[1].segments > 0; }

  const ConnectionRecord& record_;
  std::vector<Problem> found_;
};

}  // namespace

std::span<const ProblemRule> problem_rules() { return rules; }

std::vector<Problem> problems_of(const ConnectionRecord& record) { return Finder(record).run(); }

}  // namespace tcpwhy::scan
