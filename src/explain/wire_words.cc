#include "explain/wire_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"

namespace tcpwhy::explain {
namespace {

struct Pair {
  std::string_view en, zh;
  [[nodiscard]] constexpr std::string_view in(Language language) const { return language == Language::zh ? zh : en; }
};

// Each table stands in the order of its enum.
constexpr std::array<Pair, tcp::kind_count> kinds = {{
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

constexpr Pair reasons[] = {
    {"", ""},
    {"handshake timer", "握手定时器"},
    {"the FIN's timer", "FIN 的定时器"},
    {"timeout", "超时"},
    {"fast", "快速"},
    {"SACK hole", "SACK 空洞"},
    {"tail-loss probe", "尾部丢失探测"},
    {"reason not seen", "原因不可见"},
};
static_assert(std::size(reasons) == static_cast<std::size_t>(tcp::RetransmissionReason::unknown) + 1);

struct IllegalityRow {
  std::string_view clause;
  Pair words;
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
};
static_assert(std::size(illegalities) == static_cast<std::size_t>(tcp::Illegality::ack_out_of_window) + 1);

constexpr Pair marks[] = {
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
};
static_assert(std::size(marks) == tcp::mark::count);

// What the flags or the grade show already.
constexpr std::uint32_t unspoken = tcp::mark::with_fin | tcp::mark::assumed;

constexpr std::array<Pair, tcp::reset_cause_count> causes = {{
    {"", ""},
    {"refused", "被拒绝"},
    {"abandoned while opening", "打开时放弃"},
    {"wrong ACK of a SYN", "对 SYN 的错误确认"},
    {"data after close", "关闭后仍有数据"},
    {"segment after close", "关闭后仍有报文段"},
    {"after a reset", "复位之后"},
    {"connection not known", "不认识该连接"},
    {"closed with unread data", "关闭时有未读数据"},
    {"aborted", "主动中止"},
    {"keep-alive gave up", "保活失败"},
    {"third party", "第三方"},
}};

constexpr ResetText resets[] = {
    {tcp::ResetCause::refused, "{sender} refused the connection: it answered {receiver}'s SYN with a reset.",
     "{sender} 拒绝了连接：以复位回应 {receiver} 的 SYN。",
     "The reset acknowledges a SYN, and {sender} had sent nothing else.",
     "该复位确认了 SYN，此前 {sender} 没有发送过任何报文。",
     "Nobody listens there; or a firewall rejects in its name; or the accept queue is full and tcp_abort_on_overflow is set.",
     "该处无人监听；或防火墙以其名义拒绝；或接受队列已满且设置了 tcp_abort_on_overflow。",
     "see whether a program listens at that very address and port (ss -ltn), then look for a reject rule on the way",
     "先看是否有程序正监听该地址和端口（ss -ltn），再查途中的 reject 规则"},
    {tcp::ResetCause::abandoned, "{sender} abandoned the connection that it was opening itself.",
     "{sender} 放弃了自己正在打开的连接。", "The end that had sent the SYN reset before the handshake was done.",
     "发送 SYN 的一方在握手完成之前发出了复位。", "", "",
     "look at {sender}: a connect() that was cut short by a timeout or by close(), or a probe that only asks whether the port is open",
     "检查 {sender}：connect() 因超时或 close() 而中断，或只是探测端口是否开放"},
    {tcp::ResetCause::bad_ack,
     "{receiver} answered the SYN with an ACK of something else, and {sender} refused that answer.",
     "{receiver} 对 SYN 的回应确认了别的序号，{sender} 拒绝了这个回应。",
     "The reset has the sequence number of that wrong acknowledgment (RFC 9293 3.10.7.3).",
     "该复位的序号正是那个错误确认的序号（RFC 9293 3.10.7.3）。", "", "",
     "{receiver} still holds an older connection from this port (ss -tan there), or something on the way changes sequence numbers",
     "{receiver} 仍保有来自该端口的旧连接（在其上运行 ss -tan），或途中有设备改写序号"},
    {tcp::ResetCause::data_after_close,
     "{receiver} sent data after {sender} had closed: nobody was left to read it, so {sender}'s kernel reset.",
     "{sender} 关闭之后 {receiver} 仍在发送数据：已无人读取，{sender} 的内核因此复位。",
     "{sender}'s FIN came before, and the last segment from {receiver} carried data.",
     "此前 {sender} 已发出 FIN，而 {receiver} 的最后一个报文段带有数据。",
     "{sender} may also have closed with data unread, after its FIN.",
     "也可能是 {sender} 在 FIN 之后关闭时仍有未读数据。",
     "{sender} should read to the end before it closes, or {receiver} stop sending when it has read the end of file",
     "{sender} 应读到末尾再关闭，或 {receiver} 读到文件结束后停止发送"},
    {tcp::ResetCause::late_after_close,
     "{receiver}'s segment came after {sender} had closed and forgotten the connection; no data was lost by it.",
     "{receiver} 的报文段到达时，{sender} 已关闭并忘记了该连接；没有因此丢失数据。",
     "{sender}'s FIN came before, and the segment that was answered carried no data.",
     "此前 {sender} 已发出 FIN，被回应的报文段不带数据。", "", "", "", ""},
    {tcp::ResetCause::after_reset, "The connection had been reset already; this answers what was still on its way.",
     "连接此前已被复位；这是对仍在途中的报文段的回应。", "One of the two ends had sent a reset before.",
     "此前两端之一已发出过复位。", "", "", "", ""},
    {tcp::ResetCause::no_connection,
     "{sender}'s host did not know the connection any more: it answered {receiver}'s segment as a stranger's.",
     "{sender} 的主机已不认识该连接：它把 {receiver} 的报文段当作陌生报文回应。",
     "The reset has no ACK and the sequence number that the answered segment acknowledged, and no close of {sender} was seen.",
     "该复位不带 ACK，序号等于被回应报文段的确认号，且没有看到 {sender} 关闭。",
     "The host restarted or aborted unseen; or a firewall, load balancer or NAT on the way forgot the connection and answers in its name.",
     "主机重启，或其中止未被捕获；或途中的防火墙、负载均衡或 NAT 忘记了该连接并以其名义回应。",
     "compare the idle time before it with the timeouts on the way; keep-alives more often than that hold the entry open",
     "将此前的空闲时间与途中设备的超时相比较；更频繁的保活可保持其条目"},
    {tcp::ResetCause::unread_data,
     "{sender} closed, or ended, while data from {receiver} lay unread: its kernel reset instead of sending a FIN.",
     "{sender} 在来自 {receiver} 的数据尚未读取时关闭或结束：其内核发出复位而不是 FIN。",
     "{sender} reset by itself, and had answered the last data with none of its own.",
     "{sender} 主动复位，且没有用自己的数据回应最后收到的数据。",
     "SO_LINGER with 0 seconds, connect() to AF_UNSPEC or ss -K: they look the same.",
     "SO_LINGER 为 0 秒、connect() 到 AF_UNSPEC 或 ss -K：看上去相同。",
     "{sender} should read until the end of file before it closes: shutdown(SHUT_WR), read until 0, close()",
     "{sender} 应在关闭前读到文件结束：shutdown(SHUT_WR)、读到 0、close()"},
    {tcp::ResetCause::aborted, "{sender} aborted the connection by itself.", "{sender} 主动中止了连接。",
     "The reset has {sender}'s next sequence number and an ACK: nothing provoked it.",
     "该复位带有 {sender} 的下一个序号和 ACK：并非由任何报文段引起。", "A close() with data unread looks the same.",
     "在有未读数据时 close() 看上去相同。",
     "look in {sender}'s program for SO_LINGER with 0 seconds, connect() to AF_UNSPEC, and for ss -K",
     "在 {sender} 的程序中查找 0 秒的 SO_LINGER、connect() 到 AF_UNSPEC，以及 ss -K"},
    {tcp::ResetCause::keep_alive_gave_up,
     "{sender} gave the connection up: none of its last keep-alive probes was answered.",
     "{sender} 放弃了连接：最后的保活探测均无回应。",
     "{sender} reset by itself after probes to which {receiver} did not answer.",
     "{sender} 在 {receiver} 未回应探测之后主动复位。", "", "",
     "look for the moment when {receiver} was last heard: its host or the way to it was gone from then on",
     "查看 {receiver} 最后一次出现的时刻：此后其主机或通往它的路径已中断"},
    {tcp::ResetCause::third_party, "Somebody else reset the connection in {sender}'s name.",
     "有第三方以 {sender} 的名义复位了连接。",
     "The reset has another TTL than {sender}'s segments, or answers nothing that {receiver} sent.",
     "该复位的 TTL 与 {sender} 的报文段不同，或并不回应 {receiver} 发送的任何报文。",
     "A host that restarted, behind another path.", "也可能是重启过的主机，经由另一条路径。",
     "look for a firewall, proxy or intrusion prevention between the tap and {sender}; its distance is in the TTL",
     "查找抓包点与 {sender} 之间的防火墙、代理或入侵防御；TTL 表明其距离"},
};
static_assert(std::size(resets) == tcp::reset_cause_count - 1);

std::string_view pick(Language language, std::string_view en, std::string_view zh) {
  return language == Language::zh ? zh : en;
}

}  // namespace

std::string_view words(tcp::Kind kind, Language language) { return kinds[static_cast<std::size_t>(kind)].in(language); }
std::string_view words(tcp::RetransmissionReason reason, Language language) {
  return reasons[static_cast<std::size_t>(reason)].in(language);
}
std::string_view words(tcp::Illegality illegality, Language language) {
  return illegalities[static_cast<std::size_t>(illegality)].words.in(language);
}
std::string_view words(tcp::ResetCause cause, Language language) {
  return causes[static_cast<std::size_t>(cause)].in(language);
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
  if (!detail.empty()) text += fmt::format("{}{}", pick(language, ": ", "："), detail);
  for (int bit = 0; bit < tcp::mark::count; ++bit) {
    if (!verdict.has((1U << static_cast<unsigned>(bit)) & ~unspoken)) continue;
    if (!text.empty()) text += pick(language, ", ", "，");
    text += mark_words(bit, language);
  }
  return text;
}

std::string_view ResetText::happened(Language language) const { return pick(language, happened_en, happened_zh); }
std::string_view ResetText::because(Language language) const { return pick(language, because_en, because_zh); }
std::string_view ResetText::or_else(Language language) const { return pick(language, or_else_en, or_else_zh); }
std::string_view ResetText::remedy(Language language) const { return pick(language, remedy_en, remedy_zh); }

const ResetText& text_of(tcp::ResetCause cause) {
  const auto* found = std::ranges::find(resets, cause, &ResetText::cause);
  TCPWHY_CHECK(found != std::end(resets));
  return *found;
}

}  // namespace tcpwhy::explain
