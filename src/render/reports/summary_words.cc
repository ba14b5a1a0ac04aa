#include "render/reports/summary_words.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "base/units.h"
#include "explain/texts/catalogue.h"

namespace tcpwhy::render {
namespace {

using base::Language;
using base::Text;
using explain::Ending;
using explain::EndKind;
using timeline::listener;
using timeline::opener;

struct KindRow {
  EndKind kind;
  Text text;
};
constexpr KindRow kinds[] = {
    {EndKind::open, {"still open", "仍然打开"}},
    {EndKind::half, {"half closed", "半关闭"}},
    {EndKind::in_order, {"closed in order", "正常关闭"}},
    {EndKind::reset, {"reset", "被复位"}},
    {EndKind::refused, {"refused", "被拒绝"}},
    {EndKind::given_up, {"given up", "被放弃"}},
    {EndKind::failed, {"never stood", "从未建立"}},
    {EndKind::withdrawn, {"closed before an answer came", "未得到回应就已关闭"}},
    {EndKind::not_known, {"ended, how is not known", "已结束，方式未知"}},
};

std::string by_what(const Ending& ending, Language language) {
  if (ending.process_ended && ending.ended == "?")
    return std::string(
        Text{", a process that held its socket having ended", "（一个持有其套接字的进程已结束）"}.in(language));
  if (ending.process_ended && !ending.ended.empty())
    return base::format(language, {", {} having ended, which held its socket", "（持有其套接字的 {} 已结束）"},
                        base::escape_controls(ending.ended));
  if (ending.process_ended) return std::string(Text{", its process having ended", "（其进程已结束）"}.in(language));
  if (ending.call.empty()) return {};
  return base::format(language, {", by {}()", "（{}()）"}, base::escape_controls(ending.call));
}

std::string ending_words(const Ending& ending, const std::string& who, Language language) {
  const auto say = [&](const base::Format<std::string, std::string, std::string>& words) {
    return base::format(language, words, who, by_what(ending, language),
                        std::string(explain::error_words(ending.error)));
  };
  switch (ending.kind) {
    case EndKind::open: return say({"still open", "仍然打开"});
    case EndKind::half:
      return by_what(ending, language).empty()
                 ? say({"{0} sent its FIN, the other side has not", "{0} 已发出 FIN，另一方还没有"})
                 : say({"{0} closed{1}, the other side has not", "{0} 已关闭{1}，另一方还没有"});
    case EndKind::in_order:
      return who.empty()                         ? say({"closed in order", "正常关闭"})
             : by_what(ending, language).empty() ? say({"{0} sent its FIN first; in order", "{0} 先发出 FIN；正常结束"})
                                                 : say({"{0} closed first{1}; in order", "{0} 先关闭{1}；正常结束"});
    case EndKind::reset:
      return who.empty() ? say({"reset, by whom is not known", "被复位，由谁复位未知"})
                         : say({"reset by {0}{1}", "被 {0} 复位{1}"});
    case EndKind::refused: return say({"refused by {0}", "被 {0} 拒绝"});
    case EndKind::given_up: return say({"given up by {0}'s kernel: {2}", "{0} 的内核放弃：{2}"});
    case EndKind::failed: return say({"never stood: {2}", "从未建立：{2}"});
    case EndKind::withdrawn: return say({"closed by {0}{1} before an answer came", "{0} 未得到回应就已关闭{1}"});
    case EndKind::not_known:
      return who.empty() ? say({"ended; how is not known without packets", "已结束；没有报文，无从得知如何结束"})
                         : say({"{0} closed first{1}; whether in order is not known without packets",
                                "{0} 先关闭{1}；没有报文，无从得知是否正常"});
  }
  return {};
}

std::string side_words(const timeline::ConnectionSide& side, Language language) {
  const bool known = side.address.ip.family != wire::IpFamily::none;
  const std::string address = known ? wire::to_string(side.address) : "?";
  if (side.name == address || side.name == "?" || side.name.empty()) return address;
  const auto name = base::escape_controls(explain::end_name(side.name, language));
  return name.find(address) != std::string::npos || !known ? name : name + " " + address;
}

}  // namespace

std::string_view kind_words(EndKind kind, Language language) {
  const auto* row = std::ranges::find(kinds, kind, &KindRow::kind);
  return row->text.in(language);
}

std::string ends_words(const timeline::Timeline& timeline, timeline::ConnectionIndex index, Language language) {
  const auto& sides = timeline.connections[index].sides;
  return side_words(sides[opener], language) + " → " + side_words(sides[listener], language);
}

std::string summary_words(const timeline::Timeline& timeline, timeline::ConnectionIndex index, Language language) {
  const auto ending = explain::ending_of(timeline, index);
  const auto& sides = timeline.connections[index].sides;
  const auto who =
      ending.first ? base::escape_controls(explain::end_name(sides[*ending.first].name, language)) : std::string();
  return fmt::format("{}, {}→ ←{}; {}", base::in_words(ending.lasted),
                     base::bytes_in_words(explain::bytes_sent(timeline, index, opener)),
                     base::bytes_in_words(explain::bytes_sent(timeline, index, listener)),
                     ending_words(ending, who, language));
}

}  // namespace tcpwhy::render
