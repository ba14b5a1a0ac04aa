#include "scan/connections/problems.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/language.h"
#include "explain/texts/catalogue.h"
#include "explain/texts/reset_reasons.h"

namespace tcpwhy::scan {
namespace {

using base::Language;
using explain::Grade;
using explain::Severity;

// All but the reasons of a reset: explain/texts/reset_reasons.cc.
constexpr ProblemRule own_rules[] = {
    {"capture.gave_up",
     Severity::error,
     "at the end three or more retransmissions of one end had no answer, and no reset came",
     "RFC 9293 3.8.3; tcp_retries2",
     {"sent again and again without an answer until the end", "反复重传，直到最后都没有应答"},
     {"the peer or the path was gone; look there", "对端或路径已失效，请到那里查找原因"}},
    {"capture.unanswered",
     Severity::warning,
     "SYN without any answer",
     "RFC 9293 3.8.3; tcp_syn_retries",
     {"no answer to the SYN", "SYN 没有任何应答"},
     {"a firewall that drops, a host that is down, or a full accept queue", "防火墙丢弃、主机不在线，或接受队列已满"}},
    {"capture.icmp_error",
     Severity::warning,
     "an ICMP error quoted a segment of it",
     "RFC 792, RFC 4443; RFC 5461",
     {"an ICMP error came back: unreachable, too big, or expired on the way",
      "收到 ICMP 差错：不可达、报文过大或途中超时"},
     {"the frame says who sent it and what it says", "该帧说明由谁发出以及原因"}},
    {"capture.loss",
     Severity::warning,
     "three or more retransmissions, and at least 1 % of the data segments",
     "RFC 5681, RFC 6298",
     {"segments were lost and sent again", "报文丢失并被重传"},
     {"look at the path: queues, duplex, radio", "检查路径：队列、双工、无线"}},
    {"capture.timeout",
     Severity::warning,
     "a retransmission by timer",
     "RFC 6298",
     {"waited for a retransmission timer", "等待了重传定时器"},
     {}},
    {"capture.syn_lost",
     Severity::warning,
     "a SYN or SYN-ACK was sent again before the handshake was done",
     "RFC 6298 5.7",
     {"slow to open: a SYN or SYN-ACK was sent again", "建立缓慢：SYN 或 SYN-ACK 被重传"},
     {"loss on the path, or a full accept or SYN queue", "路径丢包，或接受队列、SYN 队列已满"}},
    {"capture.zero_window",
     Severity::warning,
     "an end offered a window of 0",
     "RFC 9293 3.8.6.1",
     {"the receiver's buffer was full: its program did not read", "接收缓冲区已满：程序没有及时读取"},
     {"look at the receiving program, not at the network", "应检查接收程序，而不是网络"}},
    {"capture.half_open_handshake",
     Severity::warning,
     "the SYN-ACK was never acknowledged",
     "RFC 9293 3.5",
     {"the handshake was never finished: a scan, a lost client, or asymmetric routes",
      "握手未完成：扫描、客户端消失或路由不对称"},
     {}},
    {"capture.illegal",
     Severity::warning,
     "a segment that RFC 9293 3.10.7 or RFC 5961 rejects",
     "RFC 9293 3.10.7, RFC 5961",
     {"segments that the receiver must not take: strays, or forged", "接收方不得接受的报文：走失的或伪造的"},
     {}},
    {"capture.needless",
     Severity::note,
     "three or more retransmissions that D-SACK, time stamps or earlier ACKs prove needless",
     "RFC 2883, RFC 3522",
     {"sent again though nothing was lost: reordering, or delay that jumped", "并未丢失却被重传：乱序或时延突变"},
     {}},
    {"capture.reordered",
     Severity::note,
     "three or more segments overtaken on the way",
     "RFC 9293 3.10.7.4; IP ID, time stamps",
     {"segments overtook each other on the way", "报文在途中乱序"},
     {}},
    {"capture.gaps",
     Severity::note,
     "bytes were acknowledged that the capture lacks",
     "the acknowledgments",
     {"the capture lacks segments: what is said of this connection may be incomplete",
      "抓包缺失报文：对此连接的结论可能不完整"},
     {"capture with a larger buffer (tcpdump -B), or fewer bytes a packet (-s)",
      "加大抓包缓冲（tcpdump -B）或减小截取长度（-s）"}},
    {"capture.one_way",
     Severity::note,
     "segments of one end only, though acknowledgments move",
     "the acknowledgments",
     {"only one direction was captured", "只抓到一个方向"},
     {}},
    {"capture.copies",
     Severity::note,
     "half or more of an end's data segments were seen twice",
     "IP ID, time stamps",
     {"packets were captured twice (mirror port, any interface)", "报文被重复抓取（镜像端口或 any 接口）"},
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

const ProblemRule* rule_named(std::string_view id) {
  const auto row = std::ranges::find(problem_rules(), id, &ProblemRule::id);
  TCPWHY_CHECK(row != problem_rules().end());
  return &*row;
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
    return std::uint64_t{record_.ends[opener].*field} + record_.ends[listener].*field;
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
    const tcp::ResetCause cause = record_.reset_cause;
    if (cause == tcp::ResetCause::none || cause == tcp::ResetCause::refused) return;  // refused is told by the opening
    const std::string_view problem = explain::reset_reason_on_wire(cause).on_wire.problem;
    if (!problem.empty()) say(problem, record_.reset_frame, 1, record_.reset_assumed ? Grade::assumed : Grade::derived);
  }

  void transfer() {
    // What was sent again though it had been acknowledged was not lost: a verdict speaks of the same bytes once.
    const std::uint64_t data = sum(&EndRecord::data_segments), needless = sum(&EndRecord::needless),
                        again = record_.retransmissions() - std::min(record_.retransmissions(), needless);
    if (record_.opening == Opening::handshake || record_.opening == Opening::before_capture) {
      if (record_.reset_cause == tcp::ResetCause::none &&
          std::max(record_.ends[opener].unanswered_resends, record_.ends[listener].unanswered_resends) >= 3)
        say("capture.gave_up", record_.evidence.retransmission,
            std::max(record_.ends[opener].unanswered_resends, record_.ends[listener].unanswered_resends));
      if (again >= 3 && again * 100 >= data) say("capture.loss", record_.evidence.retransmission, again);
      if (const auto timeouts = sum(&EndRecord::timeouts); timeouts > 0)
        say("capture.timeout", record_.evidence.retransmission, timeouts);
    }
    if (const auto shut = sum(&EndRecord::zero_windows); shut > 0)
      say("capture.zero_window", record_.evidence.zero_window, shut);
    if (const auto illegal = sum(&EndRecord::illegal); illegal > 0)
      say("capture.illegal", record_.evidence.illegal, illegal);
    if (needless >= 3) say("capture.needless", record_.evidence.needless, needless);
    if (const auto overtaken = sum(&EndRecord::reordered); overtaken >= 3)
      say("capture.reordered", record_.first_frame, overtaken);
  }

  void observer() {
    if (const auto unseen = record_.ends[opener].unseen_bytes + record_.ends[listener].unseen_bytes;
        unseen > 0 && both_seen())
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

  [[nodiscard]] bool both_seen() const {
    return record_.ends[opener].segments > 0 && record_.ends[listener].segments > 0;
  }

  const ConnectionRecord& record_;
  std::vector<Problem> found_;
};

bool tells_icmp_error(const Problem& problem) { return problem.rule->id == "capture.icmp_error"; }

// "10.0.0.1: fragmentation needed, MTU 1400"
std::string icmp_words(const wire::IcmpError& error) {
  auto text = fmt::format("{}: {}", wire::to_string(error.reporter), wire::words_for(error));
  if (error.mtu != 0) text += fmt::format(", MTU {}", error.mtu);
  return text;
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

std::vector<Problem> problems_of(const ConnectionRecord& record) { return Finder(record).run(); }

std::string say(const Problem& problem, const ConnectionRecord& record, base::Language language) {
  if (!tells_icmp_error(problem)) return std::string(problem.rule->text.in(language));
  constexpr base::Text came{"an ICMP error came back, from ", "收到 ICMP 差错，来自 "};
  return fmt::format("{}{}", came.in(language), icmp_words(record.icmp.error));
}

std::string remedy(const Problem& problem, base::Language language) {
  if (tells_icmp_error(problem)) return {};  // to look at the frame: it has been said what it says
  return std::string(problem.rule->remedy.in(language));
}

}  // namespace tcpwhy::scan
