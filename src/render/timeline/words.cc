#include "render/timeline/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/language.h"
#include "explain/texts/reset_reasons.h"

namespace tcpwhy::render {
namespace {

using base::Language;

struct WordRow {
  Word word;
  base::Text text;
};
constexpr WordRow words[] = {
    {Word::because_call, {"{0}'s {1}, row {2}", "{0}的 {1}，第 {2} 行"}},
    {Word::because_segment, {"answer to row {}", "对第 {} 行的回应"}},
    {Word::because_timer, {"{}, started by row {}", "{}，由第 {} 行启动"}},
    {Word::because_exit, {"its process ended", "其进程结束"}},
    {Word::because_exit_of, {"{} ended, a holder of its socket", "持有其套接字的 {} 结束"}},
    {Word::because_thread_exit, {"a thread with descriptors of its own ended", "有自己描述符表的线程结束"}},
    {Word::because_other_exit, {"a process ended that held its socket", "一个持有其套接字的进程结束"}},
    {Word::because_unknown, {"cause not known", "原因不明"}},
    {Word::because_call_elsewhere, {"a call at {}", "{} 一端的调用"}},
    {Word::because_segment_elsewhere, {"answer to an arriving segment", "对到达报文段的回应"}},
    {Word::forgotten, {"{} entry forgotten: its time ran out", "{} 条目被遗忘：时间已到"}},
    {Word::given_up, {"{}: the kernel gave the connection up", "{}：内核放弃了连接"}},
    {Word::state_moved, {"{} → {}", "{} → {}"}},
    {Word::segment_left, {"its kernel sent {}: {}", "其内核发出了 {}：{}"}},
    {Word::reset_sent, {"its kernel sent a reset{}", "其内核发出了复位{}"}},
    {Word::reset_received, {"its kernel received a reset{}", "其内核收到了复位{}"}},
    {Word::socket_error, {"socket error {}", "套接字错误 {}"}},
    {Word::dropped, {"thrown away: {}", "被丢弃：{}"}},
    {Word::dropped_leaving, {"its kernel threw {} away on its way out: {}", "其内核丢弃了要发出的 {}：{}"}},
    {Word::dropped_arriving, {"its kernel threw the arriving {} away: {}", "其内核丢弃了到达的 {}：{}"}},
    {Word::expected_but, {"expected {}; actual: {} (line {})", "期望 {}；实际：{}（第 {} 行）"}},
    {Word::answer, {"Answer", "回答"}},
    {Word::in_short, {"In short", "简而言之"}},
    {Word::experiment, {"Experiment", "实验"}},
    {Word::contrast, {"Contrast", "对照"}},
    {Word::shown_above, {"{} (shown at question {})", "{}（见问题 {}）"}},
    {Word::opening_elided, {"rows 1–{}: the connection is opened, as in question 1", "第 1–{} 行：建立连接，同问题 1"}},
    {Word::row, {"row {}", "第 {} 行"}},
    {Word::rows, {"rows {}", "第 {} 行"}},
    {Word::from_experiments, {"from: {}", "依据：{}"}},
    {Word::what_to_do, {"what to do: {}", "怎么办：{}"}},
    {Word::legend,
     {"Under each packet its cause and how we know it: observed (the kernel says so), derived (it follows from what was observed), "
      "assumed. ✓: the kernel's own table (sock_diag) showed this state.",
      "每个报文下面是它的原因以及依据：observed（内核所示）、derived（由观察推出）、assumed（推测）。✓：内核自己的表（sock_diag）显示了该状态。"}},
    {Word::not_found, {"not shown by these experiments on this kernel: {}", "本内核上的这些实验未能显示：{}"}},
    {Word::failed, {"did not go as expected", "与期望不符"}},
    {Word::nothing_found, {"no finding", "没有发现"}},
    {Word::frame, {"frame {}", "帧 {}"}},
    {Word::folded, {"… {} segments{}, {}", "… {} 个报文段{}，{}"}},
    {Word::folded_bytes, {"{} from {} to {}", "{} 从 {} 到 {}"}},
    {Word::calls_repeated, {"⋮ the same {} times more, in {}", "⋮ 同样的调用又重复了 {} 次，历时 {}"}},
    {Word::rows_folded, {"⋮ rows {}–{}", "⋮ 第 {}–{} 行"}},
    {Word::left_out, {"… {} segments left out: too many to keep", "… 省略 {} 个报文段：过多，未予保留"}},
    {Word::frame_evidence, {"{}; frame {}", "{}；帧 {}"}},
    {Word::or_else, {"Or: {}", "或者：{}"}},
};

struct TimerRow {
  timeline::Timer timer;
  std::string_view zh;
};
constexpr TimerRow timers[] = {
    {timeline::Timer::delayed_ack, "延迟确认定时器"},
    {timeline::Timer::retransmission, "重传定时器"},
    {timeline::Timer::tail_loss_probe, "尾部丢失探测定时器"},
    {timeline::Timer::syn_ack, "SYN-ACK 定时器"},
    {timeline::Timer::zero_window_probe, "零窗口探测定时器"},
    {timeline::Timer::keep_alive, "保活定时器"},
    {timeline::Timer::pacing, "发送节奏定时器"},
};

struct KernelCauseRow {
  std::string_view id;
  base::Text text;
};
// The ids are those of docs/KERNEL-CAUSES.md; the words of those that are a reason to reset stand in explain/texts/reset_reasons.cc. What a
// process's end does to its sockets is what close() does.
constexpr KernelCauseRow kernel_causes[] = {
    {"connect", {}},
    {"send", {}},
    {"send_fastopen", {"TCP Fast Open", "TCP Fast Open"}},
    {"close", {}},
    {"shutdown", {}},
    {"setsockopt", {"released what was held back", "放出被扣留的数据"}},
    {"recv", {"the reader made room", "读取腾出了空间"}},
    {"segment.syn", {}},
    {"segment.arrived", {}},
    {"segment.fin", {}},
    {"segment.challenge", {"challenge ACK", "质询 ACK"}},
    {"segment.no_socket", {"no full socket", "没有完整的套接字"}},
    {"segment.refused", {"the socket refuses it", "套接字拒绝它"}},
    {"segment.time_wait", {"by a TIME-WAIT or FIN-WAIT-2 entry", "由 TIME-WAIT 或 FIN-WAIT-2 条目发出"}},
    {"segment.request", {"by a request not accepted yet", "由尚未完成的连接请求发出"}},
    {"segment.ack_made_room", {"it made room", "它腾出了空间"}},
    {"segment.fast_retransmit", {"fast retransmit", "快速重传"}},
    {"segment.icmp", {"ICMP", "ICMP"}},
    {"delayed_ack_timer", {}},
    {"compressed_ack_timer", {"compressed ACKs", "压缩 ACK"}},
    {"retransmission_timer", {}},
    {"reordering_timer", {"reordering timer (RACK)", "乱序定时器（RACK）"}},
    {"tail_loss_probe_timer", {}},
    {"zero_window_probe_timer", {}},
    {"keep_alive_timer", {}},
    {"syn_ack_timer", {}},
    {"pacing_timer", {}},
    {"unknown", {}},
};

}  // namespace

std::string_view word(Word wanted, Language language) {
  const auto* row = std::ranges::find(words, wanted, &WordRow::word);
  return row->text.in(language);
}

std::string_view timer_words(timeline::Timer timer, Language language) {
  if (language == Language::zh) {
    const auto* row = std::ranges::find(timers, timer, &TimerRow::timer);
    if (row != std::end(timers)) return row->zh;
  }
  return name(timer);
}

std::optional<std::string_view> kernel_cause_words(std::string_view id, Language language) {
  if (const auto* reason = explain::reset_reason_of_kernel(id, "");
      reason != nullptr && !reason->kernel.row_words.empty())
    return reason->kernel.row_words.in(language);
  const auto* row = std::ranges::find(kernel_causes, id, &KernelCauseRow::id);
  // A variant that is not known here reads as what it is a variant of.
  if (row == std::end(kernel_causes))
    row = std::ranges::find(kernel_causes, id.substr(0, id.find('.')), &KernelCauseRow::id);
  if (row == std::end(kernel_causes)) return std::nullopt;
  return row->text.in(language);
}

std::string segment_words(const wire::TcpSegment& tcp, std::int64_t seq, std::int64_t ack) {
  std::string text = fmt::format("[{}]", wire::to_string(tcp.flags));
  if (tcp.payload_length > 0)
    text += fmt::format(" {}:{}", seq, seq + tcp.payload_length);
  else
    text += fmt::format(" {}", seq);
  if (tcp.flags.ack()) text += fmt::format(" ack {}", ack);
  if (tcp.payload_length > 0) text += fmt::format(" ({})", tcp.payload_length);
  const auto& options = tcp.options;
  if (options.maximum_segment_size) text += fmt::format(" mss {}", *options.maximum_segment_size);
  const auto relative = [&](wire::SequenceNumber number) {
    return ack + static_cast<std::int32_t>(number.value - tcp.ack.value);
  };
  for (const auto& block : options.sack())
    text += fmt::format(" sack {}:{}", relative(block.left), relative(block.right));
  return text;
}

std::string segment_words(const timeline::Segment& segment) {
  std::string text = segment_words(segment.tcp, segment.seq, segment.ack);
  if (segment.segment_class == tcp::SegmentClass::retransmission) text += " again";
  if (segment.segment_class == tcp::SegmentClass::keep_alive) text += " probe";
  return text;
}

}  // namespace tcpwhy::render
