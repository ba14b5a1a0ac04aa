#include "explain/texts/wire_words.h"

#include <fmt/format.h>

#include <array>

#include "explain/texts/reset_reasons.h"

namespace tcpwhy::explain {
namespace {

// Each table stands in the order of its enum.
constexpr std::array<Text, tcp::kind_count> kinds = {{
    {"SYN", "SYN"},
    {"SYN-ACK", "SYN-ACK"},
    {"data", "数据"},
    {"FIN", "FIN"},
    {"ACK", "ACK"},
    {"duplicate ACK", "重复 ACK"},
    {"window update", "窗口更新"},
    {"challenge ACK", "质询 ACK"},
    {"keep-alive", "保活探测"},
    {"keep-alive ACK", "保活应答"},
    {"window probe", "窗口探测"},
    {"window probe ACK", "窗口探测应答"},
    {"retransmission", "重传"},
    {"duplicate", "副本"},
    {"reordered", "乱序"},
    {"reset", "复位"},
    {"illegal", "非法"},
}};

constexpr Text reasons[] = {
    {"", ""},
    {"handshake timer", "握手定时器"},
    {"the FIN's timer", "FIN 的定时器"},
    {"timeout", "超时"},
    {"fast", "快速"},
    {"SACK hole", "SACK 空洞"},
    {"tail-loss probe", "尾部丢失探测"},
    {"recovery", "恢复"},
    {"reason not seen", "原因不可见"},
    {"answers the SYN that came again", "回应再次到来的 SYN"},
};
static_assert(std::size(reasons) == static_cast<std::size_t>(tcp::RetransmissionReason::syn_again) + 1);

struct IllegalityRow {
  std::string_view clause;
  Text words;
};
constexpr IllegalityRow illegalities[] = {
    {"", {"", ""}},
    {"RFC 9293 3.10.7", {"flags that no sender combines", "没有发送者会用的标志组合"}},
    {"RFC 5961 3.2", {"reset inside the window, but not at its edge", "复位在窗口内，却不在其左边界"}},
    {"RFC 9293 3.10.7.4", {"reset outside the window", "复位在窗口之外"}},
    {"RFC 9293 3.10.7.3", {"reset that does not acknowledge the SYN", "复位没有确认 SYN"}},
    {"RFC 5961 4.2", {"SYN into an open connection", "已建立的连接中出现 SYN"}},
    {"RFC 9293 3.10.7.3", {"acknowledges something else than the SYN", "确认的不是 SYN"}},
    {"RFC 9293 3.10.7.4", {"outside the window", "在窗口之外"}},
    {"RFC 5961 5.2", {"acknowledges what was never sent, or long ago", "确认从未发送或很久以前的数据"}},
    {"RFC 9293 3.5",
     {"a SYN-ACK with another number than before: not the same one again", "SYN-ACK 的序号与之前不同：并非重传"}},
};
static_assert(std::size(illegalities) == static_cast<std::size_t>(tcp::Illegality::another_syn_ack) + 1);

constexpr Text marks[] = {
    {"something before it not captured", "其前有未捕获的数据"},
    {"acknowledges what was not captured", "确认了未捕获的数据"},
    {"zero window", "零窗口"},
    {"window full", "窗口已满"},
    {"urgent", "紧急数据"},
    {"Fast Open", "Fast Open"},
    {"simultaneous open", "同时打开"},
    {"split handshake", "拆分握手"},
    {"port used again", "端口重用"},
    {"needless", "不必要"},
    {"shows that a retransmission was needless", "表明某次重传不必要"},
    {"with FIN", "带 FIN"},
    {"carries new data too", "也带新数据"},
    {"another TTL", "TTL 不同"},
    {"the capture's copy", "抓包产生的副本"},
    {"acknowledges the FIN", "确认 FIN"},
    {"old ACK", "旧 ACK"},
    {"assumed", "推测"},
    {"captured behind its acknowledgment", "抓到时已在其确认之后"},
    {"from the other side of an offload", "来自卸载（offload）的另一侧"},
    {"it had been acknowledged", "此前已被确认"},
    {"its time stamp goes back", "时间戳倒退"},
};
static_assert(std::size(marks) == tcp::mark::count);

// What the flags or the grade show already.
constexpr std::uint32_t unspoken = tcp::mark::with_fin | tcp::mark::assumed;

constexpr Text before_detail = {": ", "："};
constexpr Text between_marks = {", ", "，"};

}  // namespace

std::string_view words(tcp::Kind kind, Language language) { return kinds[static_cast<std::size_t>(kind)].in(language); }
std::string_view words(tcp::RetransmissionReason reason, Language language) {
  return reasons[static_cast<std::size_t>(reason)].in(language);
}
std::string_view words(tcp::Illegality illegality, Language language) {
  return illegalities[static_cast<std::size_t>(illegality)].words.in(language);
}
std::string_view words(tcp::ResetCause cause, Language language) {
  return cause == tcp::ResetCause::none ? std::string_view()
                                        : reset_reason_on_wire(cause).on_wire.short_form.in(language);
}
std::string_view mark_words(int bit, Language language) { return marks[bit].in(language); }
std::string_view clause_of(tcp::Illegality illegality) {
  return illegalities[static_cast<std::size_t>(illegality)].clause;
}

std::string segment_in_words(const tcp::Verdict& verdict, Language language) {
  std::string_view detail;
  std::string text;
  switch (verdict.kind) {
    case tcp::Kind::syn:
    case tcp::Kind::syn_ack:
    case tcp::Kind::data:
    case tcp::Kind::fin:
    case tcp::Kind::ack: break;
    case tcp::Kind::retransmission: detail = words(verdict.reason, language); [[fallthrough]];
    default: text = words(verdict.kind, language);
  }
  if (verdict.kind == tcp::Kind::illegal) detail = words(verdict.illegality, language);
  if (verdict.kind == tcp::Kind::reset) detail = words(verdict.reset_cause, language);
  if (!detail.empty()) text += fmt::format("{}{}", before_detail.in(language), detail);
  for (int bit = 0; bit < tcp::mark::count; ++bit) {
    if (!verdict.has((1U << static_cast<unsigned>(bit)) & ~unspoken)) continue;
    if (!text.empty()) text += between_marks.in(language);
    text += mark_words(bit, language);
  }
  return text;
}

}  // namespace tcpwhy::explain
